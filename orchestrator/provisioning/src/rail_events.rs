//! What rails tell us by themselves: taken once, then acted on by a job that asks the rail how things stand.

use std::collections::HashMap;
use std::sync::Arc;

use purser_authority::{Attempt, Caller};
use purser_db::DbError;
use purser_db::jobs::{Handler, Job, JobFailure, enqueue};
use purser_spend::charge::ChargeState;
use purser_spend::chargeback;
use purser_spend::method;
use purser_spend::rail::{self, RailEvent, RailNews, WebhookError};
use purser_values::error::{Kind, PublicError};
use serde_json::Value;

use crate::app::App;
use crate::charges::{Rails, charge_settle};
use crate::core::Core;
use crate::payment_setup::setup_settle;
use crate::{notice, perform};

#[derive(Debug, thiserror::Error)]
pub enum RailEventError {
    #[error("there is no such rail here")]
    Unknown,
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for RailEventError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "not_found",
            Self::Webhook(WebhookError::Signature | WebhookError::Stale) => "invalid_signature",
            Self::Webhook(WebhookError::Form(_)) => "invalid_body",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Webhook(WebhookError::Signature | WebhookError::Stale) => Kind::Unauthenticated,
            Self::Webhook(WebhookError::Form(_)) => Kind::Invalid,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Takes a message of a rail's in: checked, written down once, and left to a job. A repeat is taken like the first.
///
/// # Errors
/// When nobody of ours sent it, or the store fails.
pub async fn rail_event(core: &Core, rails: &Rails, name: &str, signature: &str, body: &[u8]) -> Result<(), RailEventError> {
    let rail = rails.find(name).ok_or(RailEventError::Unknown)?;
    let Some(event) = rail.receive(signature, body, core.env.now())? else { return Ok(()) };
    let env = core.env.clone();
    let taken = core.db.write::<_, DbError, _>(move |tx| match rail::take(tx, &env, &event)? {
        Some(job) => enqueue(tx, &env, &job).map(|()| true),
        None => Ok(false),
    });
    if taken.await? {
        core.jobs.notify_one();
    }
    Ok(())
}

/// The jobs that follow from what rails say, and from methods that were removed.
pub(crate) fn handlers(app: &App, rails: &Rails, into: &mut HashMap<&'static str, Handler>) {
    let (acting, acting_rails) = (app.clone(), rails.clone());
    into.insert(
        rail::EVENT_JOB,
        Arc::new(move |job: Job| {
            let (app, rails) = (acting.clone(), acting_rails.clone());
            Box::pin(async move { act(&app.core, &rails, job).await })
        }),
    );
    let forgetting = rails.clone();
    into.insert(
        method::FORGET_JOB,
        Arc::new(move |job: Job| {
            let rails = forgetting.clone();
            Box::pin(async move { forget(&rails, &job.payload).await })
        }),
    );
}

fn again(why: impl ToString) -> JobFailure {
    JobFailure::Again { why: why.to_string(), limit: None }
}

async fn act(core: &Core, rails: &Rails, job: Job) -> Result<(), JobFailure> {
    let event: RailEvent = serde_json::from_value(job.payload).map_err(|_| notice::unreadable())?;
    match event.news {
        RailNews::Charge(id) => match charge_settle(core, rails, &id).await.map_err(again)? {
            Some(ChargeState::Begun) => Err(again("the rail has not said what became of it")),
            _ => Ok(()),
        },
        RailNews::Setup(id) => setup_settle(core, rails, &id).await.map(drop).map_err(again),
        RailNews::Chargeback(news) => {
            let (env, rail) = (core.env.clone(), event.rail);
            let attempt = Attempt::new("chargeback", &Caller::System, news.reference.clone());
            let known = perform(core, attempt, move |tx| chargeback::record(tx, &env, &rail, &news)).await.map_err(again)?;
            // The message may be faster than the answer that names the capture.
            if known || job.attempts >= UNKNOWN_TRIES { Ok(()) } else { Err(again("no charge of ours is known by this capture yet")) }
        }
    }
}

/// How often a dispute over a capture that nobody here knows is looked at before it is somebody else's.
const UNKNOWN_TRIES: i64 = 8;

async fn forget(rails: &Rails, payload: &Value) -> Result<(), JobFailure> {
    let (Some(name), Some(method)) = (payload["rail"].as_str(), payload["method"].as_str()) else { return Err(notice::unreadable()) };
    match rails.find(name) {
        Some(rail) => rail.forget(method).await.map_err(again),
        None => Ok(()),
    }
}
