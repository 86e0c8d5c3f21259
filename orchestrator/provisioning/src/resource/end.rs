//! `resource_end`: a resource ends with the period that is paid instead of at once, or goes on after all.
//!
//! A provider that speaks `subscriptions` is told, and says when the period ends. Of another one we know by ourselves when it is due again, as
//! nothing is set aside for that any more, and remove it then. Either way a job lets go of it here when its time has come.

use purser_authority::action::ResourceRemove;
use purser_authority::{Attempt, Caller, Done, Event, Outcome};
use purser_db::jobs::{Handler, Job, JobFailure, NewJob};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::standing;
use purser_spend::renewal;
use purser_values::Timestamp;
use purser_values::error::Kind;
use purser_values::id::{ResourceId, SagaId};
use purser_wire::manifest::Extension;
use purser_wire::resource::ResourceState;
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
use crate::store::ending;
use crate::store::resource::{self, State};

pub const KIND: &str = "resource_end";
/// The kind of job that lets go of what has ended; its payload is `{"resource": id}`.
pub const JOB: &str = "resource_ended";

/// How long after its end a resource is let go of here, in seconds: its provider comes first.
const AFTER_S: i64 = 60;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndState {
    pub resource: ResourceId,
    caller: Caller,
    /// Whether it goes on instead.
    keep: bool,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
}

/// Writes the intent down and begins the saga. For agents under a grant that lets them remove it, and for people.
///
/// # Errors
/// When the caller may not, or the resource is not live.
pub async fn resource_end(app: &App, caller: &Caller, id: ResourceId, keep: bool) -> Result<Begun, OpError> {
    let (app_in, caller_in) = (app.clone(), caller.clone());
    perform(&app.core, Attempt::new("resource_end", caller, id.as_str()), move |tx| {
        let (env, caller) = (&app_in.core.env, &caller_in);
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, env.now(), caller)?;
        permit_on::<ResourceRemove>(&standing, &row, env.now()).map(drop)?;
        if row.state != State::Live {
            return Err(OpError::WrongState("resource_end", row.state.name()));
        }
        let ends_at = renewal::due(tx, &id)?;
        if ends_at.is_none() {
            return Err(OpError::Invalid(format!("`{}` has no period that is paid again; remove it instead", row.name)));
        }
        let saga = SagaId::mint(env);
        let state = EndState { resource: id.clone(), caller: caller.clone(), keep, ends_at };
        let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
        purser_flow::begin(tx, env, &saga, KIND, row.organisation.as_str(), &state)?;
        let event = Event::new("resource_end", Outcome::Intended, caller, id.as_str())
            .related([row.service_ref().to_string()])
            .with(json!({ "keep": keep }));
        Ok(Done::with_event(Begun { saga, resource: id.clone() }, event))
    })
    .await
}

pub fn definition(app: &App) -> Definition<EndState> {
    let (remote, local) = (app.clone(), app.clone());
    Definition {
        kind: KIND,
        steps: vec![
            Step::new("tell", move |cx, state| tell(remote.clone(), cx, state)),
            Step::new("note", move |_, state| note(local.clone(), state)),
        ],
    }
}

async fn tell(app: App, cx: StepCx, mut state: EndState) -> Result<EndState, StepError> {
    let row = resource_row(&app, &state.resource).await?;
    still_permitted::<ResourceRemove>(&app, &state.caller, &row).await?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    if !provider.manifest.speaks(&Extension::Subscriptions) {
        return Ok(state);
    }
    let id = row.provider_resource.as_deref().unwrap_or_default();
    let id = id.parse().map_err(|_| permanent("resource_lost", Kind::Internal, "the provider's id does not read back", None))?;
    let access = account::access(&app, &provider, &row.organisation).await?;
    let access = access.ok_or_else(|| StepError::transient("the account at the provider has to be linked again"))?;
    let key = cx.key().parse().map_err(|_| permanent("request_unusable", Kind::Internal, "the key cannot be sent", None))?;
    let answer = provider.client.renewal_set(&access, &id, state.keep, &key).await.map_err(|e| of_call(&cx, &e))?;
    state.ends_at = Some(answer.ends_at);
    Ok(state)
}

async fn note(app: App, state: EndState) -> Result<EndState, StepError> {
    let (env, noted) = (app.core.env.clone(), state.clone());
    perform(&app.core, Attempt::new("resource_end", &state.caller, state.resource.as_str()), move |tx| -> Result<Done<()>, OpError> {
        let EndState { resource: id, caller, keep, ends_at } = &noted;
        let Some(row) = resource::get(tx, id)?.filter(|row| row.state == State::Live) else { return Ok(Done::quiet(())) };
        let event = Event::done("resource_end", caller, id.as_str()).with(json!({ "keep": keep, "ends_at": ends_at }));
        match (*keep, *ends_at) {
            (false, Some(at)) => {
                ending::end(tx, id, &row.organisation, at, env.now())?;
                renewal::pause(tx, &env, id)?;
                let run_at = at.plus_secs(AFTER_S);
                let dedupe = Some(format!("{JOB}:{id}:{}", at.as_micros()));
                Ok(Done::with_event((), event).and_job(NewJob { run_at, dedupe, ..NewJob::now(&env, JOB, json!({ "resource": id })) }))
            }
            _ => {
                ending::forget(tx, id)?;
                renewal::resume(tx, id)?;
                Ok(Done::with_event((), event))
            }
        }
    })
    .await
    .map_err(|e| StepError::of(&e))?;
    Ok(state)
}

/// The job: whatever is to have ended by now is removed at its provider, if it is there still, and let go of here.
pub fn handler(app: &App) -> Handler {
    let app = app.clone();
    std::sync::Arc::new(move |job: Job| {
        let app = app.clone();
        Box::pin(async move {
            let id = job.payload["resource"].as_str().and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| JobFailure::Park { why: "it names no resource".to_owned() })?;
            over(&app, id).await.map_err(|why| JobFailure::Again { why, limit: None })
        })
    })
}

async fn over(app: &App, id: ResourceId) -> Result<(), String> {
    let (now, of) = (app.core.env.now(), id.clone());
    let found = app.core.db.read::<_, purser_db::DbError, _>(move |tx| {
        let due = ending::ends_at(tx, &of)?.is_some_and(|at| at <= now);
        Ok(if due { resource::get(tx, &of)?.filter(|row| row.state == State::Live) } else { None })
    });
    let Some(row) = found.await.map_err(|e| e.to_string())? else { return Ok(()) };
    let provider = app.gateway.get(&row.provider).ok_or("the provider has not answered since the start")?;
    let access = account::access(app, &provider, &row.organisation).await.map_err(|e| format!("{e:?}"))?;
    if let (Some(access), Some(remote)) = (access, &row.provider_resource) {
        let remote = remote.parse().map_err(|_| "the provider's id does not read back")?;
        let key = format!("{JOB}/{id}").parse().map_err(|_| "the key cannot be sent")?;
        match provider.client.resource_remove(&access, &remote, &key).await {
            Ok(envelope) if matches!(envelope.state, ResourceState::Removed) => {}
            Ok(_) => return Err("the provider has not finished removing it".to_owned()),
            Err(e) if e.code() == Some("not_found") => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    let_go(app, Caller::System, id).await.map_err(|e| e.to_string())
}
