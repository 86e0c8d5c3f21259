//! `resource_rotate`: new credentials from the provider, delivered under the same names.
//!
//! A saga of one step, so that a crash between the provider's answer and the vault repeats the call with the same key and
//! gets the same new values.

use purser_authority::action::ResourceRotate;
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::standing;
use purser_values::error::Kind;
use purser_values::id::{ResourceId, SagaId};
use purser_wire::resource::ResourceState;
use serde::{Deserialize, Serialize};

use super::add::Begun;
use super::{first_answer, keep_answer, not_an_agent, own, permit_on, resource_row, still_permitted};
use crate::account;
use crate::app::App;
use crate::error::OpError;
use crate::fault::{of_call, permanent};
use crate::perform;
use crate::store::resource::{self, State};

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
pub async fn resource_rotate(app: &App, caller: &Caller, agent_jkt: &str, id: ResourceId, key: Option<String>) -> Result<Begun, OpError> {
    let (app_in, caller_in, jkt) = (app.clone(), caller.clone(), agent_jkt.to_owned());
    perform(&app.core, Attempt::new("resource_rotate", caller, id.as_str()), move |tx| {
        let (app, caller, now) = (&app_in, &caller_in, app_in.core.env.now());
        let Caller::Agent { agent, .. } = caller else {
            let owner = own(tx, caller, &id)?.organisation;
            return Err(not_an_agent::<ResourceRotate>(caller, &Facts { owner: Some(&owner), ..Facts::new(now, id.as_str()) }));
        };
        if let Some(first) = first_answer(tx, app, agent, key.as_deref(), &format!("resource_rotate {id}"))? {
            return Ok(Done::quiet(first));
        }
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, now, caller)?;
        let permit = permit_on::<ResourceRotate>(&standing, &row, now)?;
        if row.state != State::Live {
            return Err(OpError::WrongState("resource_rotate", row.state.name()));
        }
        let saga = SagaId::mint(&app.core.env);
        let state = RotateState { resource: id.clone(), caller: caller.clone(), agent_jkt: jkt.clone(), variables: Vec::new() };
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, &app.core.env, &saga, KIND, row.organisation.as_str(), &state)?;
        resource::begin_change(tx, &id, &saga, State::Rotating)?;
        let begun = Begun { saga, resource: id.clone() };
        keep_answer(tx, agent, key.as_deref(), &begun)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), id.as_str());
        Ok(Done::with_event(begun, event))
    })
    .await
}

pub fn definition(app: &App) -> Definition<RotateState> {
    let (new, old) = (app.clone(), app.clone());
    let step = Step::new("rotate", move |cx, state| rotate(new.clone(), cx, state)).undo(move |_, state| keep_old(old.clone(), state));
    Definition { kind: KIND, steps: vec![step] }
}

/// The provider gave nothing new: the old credentials stay.
async fn keep_old(app: App, state: RotateState) -> Result<RotateState, StepError> {
    let id = state.resource.clone();
    app.core.db.write(move |tx| resource::set_state(tx, &id, State::Live)).await.map_err(StepError::transient)?;
    Ok(state)
}

async fn rotate(app: App, cx: StepCx, mut state: RotateState) -> Result<RotateState, StepError> {
    let row = resource_row(&app, &state.resource).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    let id = row.provider_resource.as_deref().unwrap_or_default();
    let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
    still_permitted::<ResourceRotate>(&app, &state.caller, &row).await?;
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
        resource::set_state(tx, &subject, State::Live)?;
        let event = Event::done("resource_rotate", &caller, subject.as_str()).with(serde_json::json!({ "variables": variables }));
        Ok::<_, purser_vault::DeliverError>(Done::with_event(variables, event))
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    Ok(state)
}
