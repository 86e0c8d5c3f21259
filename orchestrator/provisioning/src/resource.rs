//! Resources through their life: add, update, remove, rotate.

pub mod add;
pub(crate) mod add_saga;
mod afford;
pub(crate) mod bought;
pub(crate) mod check;
pub mod end;
pub mod inform;
pub mod preflight;
mod quoted;
pub mod refund_request;
pub mod remove;
pub mod rotate;
mod stated;
pub mod update;
pub(crate) mod update_saga;

use purser_authority::{Action, Caller, Denied, Facts, Permit, authorise};
use purser_db::Tx;
use purser_db::idempotency::{self, Reservation};
use purser_flow::StepError;
use purser_identity::{CallContext, standing};
use purser_values::error::Kind;
use purser_values::id::{AgentId, ResourceId};
use purser_values::{Sha256Digest, Timestamp};

use crate::app::App;
use crate::error::OpError;
use crate::fault::permanent;
use crate::store::resource::{self, Resource};

/// A live resource of the caller's organisation; anything else does not exist.
pub(crate) fn own(tx: &mut Tx<'_>, caller: &Caller, id: &ResourceId) -> Result<Resource, OpError> {
    let found = resource::get(tx, id)?.filter(|r| Some(&r.organisation) == caller.organisation());
    found.ok_or_else(|| OpError::ResourceUnknown(id.to_string()))
}

/// Why a caller that is no agent is refused: first because of its role, else because only agents do this here.
pub(crate) fn not_an_agent<A: Action>(caller: &Caller, facts: &Facts<'_>) -> OpError {
    match authorise::<A>(caller, facts) {
        Err(denied) => denied.into(),
        Ok(_) => OpError::Invalid("this is done by an agent under a grant".to_owned()),
    }
}

/// The permit for an action on a resource, with all that a grant can confine.
pub(crate) fn permit_on<A: Action>(standing: &CallContext, row: &Resource, now: Timestamp) -> Result<Permit<A>, Denied> {
    let service = row.service_ref();
    let facts = Facts {
        owner: Some(&row.organisation),
        project: Some(&row.project_name),
        environment: Some(&row.environment),
        provider: Some(&row.provider),
        service: Some(&service),
        ..standing.facts(now, row.id.as_str())
    };
    authorise::<A>(&standing.caller, &facts)
}

/// The row that a step works on.
pub(crate) async fn resource_row(app: &App, id: &ResourceId) -> Result<Resource, StepError> {
    let id = id.clone();
    let row = app.core.db.read(move |tx| resource::get(tx, &id)).await.map_err(StepError::transient)?;
    row.ok_or_else(|| permanent("resource_lost", Kind::Internal, "the resource of the saga is gone", None))
}

/// Where a resource's credentials belong.
pub(crate) fn delivery(row: &Resource) -> purser_vault::Delivery {
    purser_vault::Delivery {
        organisation: row.organisation.clone(),
        project: row.project.clone(),
        environment: row.environment.clone(),
        resource: row.id.clone(),
        resource_name: row.name.clone(),
    }
}

/// Takes the caller's key for this request, or gives the first answer to it.
pub(crate) fn first_answer(
    tx: &mut Tx<'_>,
    app: &App,
    agent: &AgentId,
    key: Option<&str>,
    request: &str,
) -> Result<Option<add::Begun>, OpError> {
    let Some(key) = key else { return Ok(None) };
    let digest = Sha256Digest::of(request.as_bytes());
    match idempotency::reserve(tx, &scope(agent), key, &digest, app.core.env.now())? {
        Reservation::Fresh => Ok(None),
        Reservation::Answered(text) => serde_json::from_str(&text).map(Some).map_err(|e| OpError::Invalid(e.to_string())),
        Reservation::Unfinished | Reservation::Mismatch => Err(OpError::KeyReused),
    }
}

/// Keeps the answer for repetitions of the key, in the write that took it.
pub(crate) fn keep_answer(tx: &mut Tx<'_>, agent: &AgentId, key: Option<&str>, begun: &add::Begun) -> Result<(), OpError> {
    let Some(key) = key else { return Ok(()) };
    let answer = serde_json::to_string(begun).map_err(|e| OpError::Invalid(e.to_string()))?;
    Ok(idempotency::answer(tx, &scope(agent), key, &answer)?)
}

fn scope(agent: &AgentId) -> String {
    format!("agent/{agent}")
}

/// The permit of a step, from what is true now: an agent that was frozen or whose grant ended goes no further.
pub(crate) async fn still_permitted<A: Action>(app: &App, caller: &Caller, row: &Resource) -> Result<(), StepError> {
    let (env, caller, row) = (app.core.env.clone(), caller.clone(), row.clone());
    let looked = app.core.db.read(move |tx| -> Result<(), OpError> {
        let standing = standing(tx, env.now(), &caller)?;
        Ok(permit_on::<A>(&standing, &row, env.now()).map(drop)?)
    });
    looked.await.map_err(|e| StepError::of(&e))
}
