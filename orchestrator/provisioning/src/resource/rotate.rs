//! `resource_rotate`: new credentials from the provider, delivered under the same names.
//!
//! A saga of one step, so that a crash between the provider's answer and the vault repeats the call with the same key and
//! gets the same new values.

use purser_authority::action::ResourceRotate;
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome, authorise};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::standing;
use purser_values::error::Kind;
use purser_values::id::{ResourceId, SagaId};
use purser_wire::resource::ResourceState;
use serde::{Deserialize, Serialize};

use super::add::Begun;
use super::{own, resource_row};
use crate::account;
use crate::app::App;
use crate::error::OpError;
use crate::fault::{of_call, permanent};
use crate::perform;
use crate::store::resource::State;

pub const KIND: &str = "resource_rotate";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotateState {
    pub resource: ResourceId,
    caller: Caller,
    agent_jkt: String,
    pub variables: Vec<String>,
}

/// # Errors
/// When the caller may not, or the resource is not live.
pub async fn resource_rotate(app: &App, caller: &Caller, agent_jkt: &str, id: ResourceId) -> Result<Begun, OpError> {
    let (app_in, caller_in, jkt) = (app.clone(), caller.clone(), agent_jkt.to_owned());
    perform(&app.core, Attempt::new("resource_rotate", caller, id.as_str()), move |tx| {
        let (app, caller, now) = (&app_in, &caller_in, app_in.core.env.now());
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, now, caller)?;
        let facts = Facts {
            owner: Some(&row.organisation),
            project: Some(&row.project_name),
            provider: Some(&row.provider),
            ..standing.facts(now, id.as_str())
        };
        let permit = authorise::<ResourceRotate>(caller, &facts)?;
        if row.state != State::Live {
            return Err(OpError::WrongState("resource_rotate", row.state.name()));
        }
        let saga = SagaId::mint(&app.core.env);
        let state = RotateState { resource: id.clone(), caller: caller.clone(), agent_jkt: jkt.clone(), variables: Vec::new() };
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, &app.core.env, &saga, KIND, row.organisation.as_str(), &state)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), id.as_str());
        Ok(Done::with_event(Begun { saga, resource: id.clone() }, event))
    })
    .await
}

pub fn definition(app: &App) -> Definition<RotateState> {
    let app = app.clone();
    Definition { kind: KIND, steps: vec![Step::new("rotate", move |cx, state| rotate(app.clone(), cx, state))] }
}

async fn rotate(app: App, cx: StepCx, mut state: RotateState) -> Result<RotateState, StepError> {
    let row = resource_row(&app, &state.resource).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    let id = row.provider_resource.as_deref().unwrap_or_default();
    let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
    let opened = account::ensure(&app, &cx, &state.caller, &state.agent_jkt, &provider).await?;
    let key = cx.key().parse().map_err(|_| permanent("request_unusable", Kind::Internal, "the key cannot be sent", None))?;
    let envelope = provider.client.resource_rotate(&opened.access, &id, &key).await.map_err(|e| of_call(&cx, &e))?;
    let ResourceState::Complete { access_configuration: Some(access), .. } = envelope.state else {
        return Err(permanent("not_rotatable", Kind::Provider, "the provider gave no new credentials", Some("this service may have none")));
    };
    let (env, keyring, caller, values) = (app.core.env.clone(), app.core.keyring.clone(), state.caller.clone(), access.0);
    let (delivery, subject) = (super::delivery(&row), row.id.clone());
    state.variables = perform(&app.core, Attempt::new("resource_rotate", &state.caller, row.id.as_str()), move |tx| {
        let variables = purser_vault::deliver(tx, &env, &keyring, &delivery, &values)?;
        let event = Event::done("resource_rotate", &caller, subject.as_str()).with(serde_json::json!({ "variables": variables }));
        Ok::<_, purser_vault::DeliverError>(Done::with_event(variables, event))
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    Ok(state)
}
