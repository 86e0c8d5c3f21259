//! `resource_remove`: the provider removes it, then its credentials and its money are let go.

use purser_authority::action::ResourceRemove;
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::standing;
use purser_spend::hold;
use purser_values::error::Kind;
use purser_values::id::{ResourceId, SagaId};
use purser_wire::resource::ResourceState;
use serde::{Deserialize, Serialize};

use super::add::Begun;
use super::{first_answer, keep_answer, not_an_agent, own, permit_on, resource_row, still_permitted};
use crate::account;
use crate::app::App;
use crate::error::{OpError, PayError};
use crate::fault::{of_call, permanent};
use crate::perform;
use crate::store::ending;
use crate::store::resource::{self, State};

pub const KIND: &str = "resource_remove";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemoveState {
    pub resource: ResourceId,
    caller: Caller,
    agent_jkt: String,
}

/// Writes the intent down and begins the saga. Removing what is being removed gives the saga that does it.
///
/// # Errors
/// When the caller may not, or the resource is not live.
pub async fn resource_remove(app: &App, caller: &Caller, agent_jkt: &str, id: ResourceId, key: Option<String>) -> Result<Begun, OpError> {
    let (app_in, caller_in, jkt) = (app.clone(), caller.clone(), agent_jkt.to_owned());
    perform(&app.core, Attempt::new("resource_remove", caller, id.as_str()), move |tx| {
        let (app, caller, now) = (&app_in, &caller_in, app_in.core.env.now());
        let Caller::Agent { agent, .. } = caller else {
            let owner = own(tx, caller, &id)?.organisation;
            return Err(not_an_agent::<ResourceRemove>(caller, &Facts { owner: Some(&owner), ..Facts::new(now, id.as_str()) }));
        };
        if let Some(first) = first_answer(tx, app, agent, key.as_deref(), &format!("resource_remove {id}"))? {
            return Ok(Done::quiet(first));
        }
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, now, caller)?;
        let permit = permit_on::<ResourceRemove>(&standing, &row, now)?;
        match row.state {
            State::Removing => return Ok(Done::quiet(Begun { saga: row.saga, resource: id.clone() })),
            State::Live => {}
            other => return Err(OpError::WrongState("resource_remove", other.name())),
        }
        let saga = SagaId::mint(&app.core.env);
        let state = RemoveState { resource: id.clone(), caller: caller.clone(), agent_jkt: jkt.clone() };
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, &app.core.env, &saga, KIND, row.organisation.as_str(), &state)?;
        resource::begin_change(tx, &id, &saga, State::Removing)?;
        let begun = Begun { saga, resource: id.clone() };
        keep_answer(tx, agent, key.as_deref(), &begun)?;
        let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), id.as_str()).related([row.service_ref().to_string()]);
        Ok(Done::with_event(begun, event))
    })
    .await
}

/// There is no undo: a removal that was begun is finished. What a provider refuses for good stays live and says so.
pub fn definition(app: &App) -> Definition<RemoveState> {
    let (remote, local, back) = (app.clone(), app.clone(), app.clone());
    Definition {
        kind: KIND,
        steps: vec![
            Step::new("remove", move |cx, state| at_provider(remote.clone(), cx, state))
                .undo(move |_, state| still_live(back.clone(), state)),
            Step::new("forget", move |_, state| forget(local.clone(), state)),
        ],
    }
}

async fn at_provider(app: App, cx: StepCx, state: RemoveState) -> Result<RemoveState, StepError> {
    let row = resource_row(&app, &state.resource).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    let Some(id) = &row.provider_resource else { return Ok(state) };
    let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
    still_permitted::<ResourceRemove>(&app, &state.caller, &row).await?;
    let opened = account::ensure(&app, &cx, &state.caller, &state.agent_jkt, &provider).await?;
    let key = cx.key().parse().map_err(|_| permanent("request_unusable", Kind::Internal, "the key cannot be sent", None))?;
    match provider.client.resource_remove(&opened.access, &id, &key).await {
        Ok(envelope) => match envelope.state {
            ResourceState::Removed => Ok(state),
            _ => Err(StepError::transient("the provider has not finished removing it")),
        },
        Err(e) if e.code() == Some("not_found") => Ok(state),
        Err(e) => Err(of_call(&cx, &e)),
    }
}

async fn still_live(app: App, state: RemoveState) -> Result<RemoveState, StepError> {
    let id = state.resource.clone();
    app.core.db.write(move |tx| resource::set_state(tx, &id, State::Live)).await.map_err(StepError::transient)?;
    Ok(state)
}

async fn forget(app: App, state: RemoveState) -> Result<RemoveState, StepError> {
    let_go(&app, state.caller.clone(), state.resource.clone()).await.map_err(|e| StepError::of(&e))?;
    Ok(state)
}

/// The provider has removed it: its credentials and its money are let go of. Doing it again changes nothing.
pub(super) async fn let_go(app: &App, caller: Caller, id: ResourceId) -> Result<(), PayError> {
    let env = app.core.env.clone();
    let attempt = Attempt::new("resource_remove", &caller, id.as_str());
    perform(&app.core, attempt, move |tx| -> Result<Done<()>, PayError> {
        purser_vault::forget(tx, &id)?;
        ending::forget(tx, &id)?;
        let organisation = resource::get(tx, &id)?.map(|row| row.organisation);
        resource::ended(tx, &id, State::Removed, env.now())?;
        let event = Event::done("resource_remove", &caller, id.as_str());
        let mut done = Done::with_event(
            (),
            match &organisation {
                Some(organisation) => event.in_organisation(organisation),
                None => event,
            },
        );
        for held in hold::of_resource(tx, &id)? {
            // Use that its provider has not charged yet is still owed.
            let part = hold::close(tx, &env, &Caller::System, &held.id)?;
            done.absorb(part);
        }
        Ok(done)
    })
    .await
}
