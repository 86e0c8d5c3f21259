//! `refund_request`: money is asked back for what nobody wants any more. The provider decides, and every request is kept with its answer.
//!
//! Where it gives back, the resource is removed with it; the money itself comes as a refund of its charge, like any other.

use purser_authority::action::{ResourceRemove, SpendRead};
use purser_authority::{Attempt, Caller, Denied, Done, Event, Outcome, authorise};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::{CallContext, standing};
use purser_values::error::Kind;
use purser_values::id::{RefundRequestId, ResourceId, SagaId};
use purser_values::{Money, Timestamp};
use purser_wire::limits::REFUND_REASON_CHARS;
use purser_wire::manifest::Extension;
use purser_wire::subscription::RefundDecision;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::add::Begun;
use super::remove::let_go;
use super::{own, permit_on, resource_row, still_permitted};
use crate::account;
use crate::app::App;
use crate::error::OpError;
use crate::fault::{of_call, permanent};
use crate::perform;
use crate::store::ending::{self, RefundRequest, RequestState};
use crate::store::resource::State;

pub const KIND: &str = "refund_request";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestedState {
    pub resource: ResourceId,
    pub request: RefundRequestId,
    caller: Caller,
    reason: String,
    pub refunded: Option<bool>,
    pub amount: Option<Money>,
    pub deadline: Option<Timestamp>,
}

/// Writes the request down and begins the saga. For agents under a grant that lets them remove it, and for people.
///
/// # Errors
/// When the caller may not, the resource is not live, or its provider takes no such request.
pub async fn refund_request(app: &App, caller: &Caller, id: ResourceId, reason: String) -> Result<Begun, OpError> {
    let (app_in, caller_in) = (app.clone(), caller.clone());
    perform(&app.core, Attempt::new("refund_request", caller, id.as_str()), move |tx| {
        let (env, caller) = (&app_in.core.env, &caller_in);
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REFUND_REASON_CHARS || reason.chars().any(char::is_control) {
            return Err(OpError::Invalid(format!("`reason` is 1 to {REFUND_REASON_CHARS} characters on one line")));
        }
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, env.now(), caller)?;
        permit_on::<ResourceRemove>(&standing, &row, env.now()).map(drop)?;
        if row.state != State::Live {
            return Err(OpError::WrongState("refund_request", row.state.name()));
        }
        let provider = app_in.gateway.get(&row.provider).ok_or_else(|| OpError::ProviderAbsent(row.provider.clone()))?;
        if !provider.manifest.speaks(&Extension::Subscriptions) {
            return Err(OpError::Invalid(format!("`{}` takes no such requests over the protocol; ask it on its own pages", row.provider)));
        }
        let (saga, request) = (SagaId::mint(env), RefundRequestId::mint(env));
        ending::ask(tx, &request, &row.organisation, (&id, &row.provider), caller, reason, env.now())?;
        let state = RequestedState {
            resource: id.clone(),
            request: request.clone(),
            caller: caller.clone(),
            reason: reason.to_owned(),
            refunded: None,
            amount: None,
            deadline: None,
        };
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, env, &saga, KIND, row.organisation.as_str(), &state)?;
        let event = Event::new("refund_request", Outcome::Intended, caller, request.as_str())
            .related([id.as_str()])
            .with(json!({ "reason": reason, "provider": row.provider }));
        Ok(Done::with_event(Begun { saga, resource: id.clone() }, event))
    })
    .await
}

/// The requests that the caller may see: the organisation's, or what is about an agent's own.
///
/// # Errors
/// When the caller may not look.
pub async fn refund_requests(app: &App, context: &CallContext) -> Result<Vec<RefundRequest>, OpError> {
    let (env, context) = (app.core.env.clone(), context.clone());
    app.core
        .db
        .read(move |tx| {
            let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
            authorise::<SpendRead>(&context.caller, &context.facts(env.now(), organisation.as_str())).map(drop)?;
            Ok(ending::requests(tx, &organisation, context.caller.agent())?)
        })
        .await
}

pub fn definition(app: &App) -> Definition<RequestedState> {
    let (remote, failed, local) = (app.clone(), app.clone(), app.clone());
    Definition {
        kind: KIND,
        steps: vec![
            Step::new("ask", move |cx, state| ask(remote.clone(), cx, state)).undo(move |_, state| not_taken(failed.clone(), state)),
            Step::new("note", move |_, state| note(local.clone(), state)),
        ],
    }
}

async fn ask(app: App, cx: StepCx, mut state: RequestedState) -> Result<RequestedState, StepError> {
    let row = resource_row(&app, &state.resource).await?;
    still_permitted::<ResourceRemove>(&app, &state.caller, &row).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    let id = row.provider_resource.as_deref().unwrap_or_default();
    let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
    let access = account::access(&app, &provider, &row.organisation).await?;
    let access = access.ok_or_else(|| StepError::transient("the account at the provider has to be linked again"))?;
    let key = cx.key().parse().map_err(|_| permanent("request_unusable", Kind::Internal, "the key cannot be sent", None))?;
    let answer = provider.client.refund_ask(&access, &id, &state.reason, &key).await.map_err(|e| of_call(&cx, &e))?;
    state.refunded = Some(match answer.decision {
        RefundDecision::Refunded => true,
        RefundDecision::NotRefundable => false,
        RefundDecision::Other(_) => {
            return Err(permanent("provider_refused", Kind::Provider, "the provider's answer is none that we know", None));
        }
    });
    (state.amount, state.deadline) = (answer.amount, answer.deadline);
    Ok(state)
}

/// The provider did not take it: the log says so.
async fn not_taken(app: App, state: RequestedState) -> Result<RequestedState, StepError> {
    let (id, now) = (state.request.clone(), app.core.env.now());
    let written = app.core.db.write(move |tx| ending::answer(tx, &id, RequestState::Failed, None, None, Some("provider_refused"), now));
    written.await.map_err(StepError::transient)?;
    Ok(state)
}

async fn note(app: App, state: RequestedState) -> Result<RequestedState, StepError> {
    let (env, noted) = (app.core.env.clone(), state.clone());
    let refunded = state.refunded == Some(true);
    perform(&app.core, Attempt::new("refund_request", &state.caller, state.request.as_str()), move |tx| -> Result<Done<()>, OpError> {
        let (id, outcome) = (&noted.request, if refunded { RequestState::Refunded } else { RequestState::NotRefundable });
        if !ending::answer(tx, id, outcome, noted.amount, noted.deadline, None, env.now())? {
            return Ok(Done::quiet(()));
        }
        let event = Event::done("refund_request", &noted.caller, id.as_str())
            .related([noted.resource.as_str()])
            .with(json!({ "decision": outcome, "amount": noted.amount, "deadline": noted.deadline }));
        Ok(Done::with_event((), event))
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    if refunded {
        let_go(&app, state.caller.clone(), state.resource.clone()).await.map_err(|e| StepError::of(&e))?;
    }
    Ok(state)
}
