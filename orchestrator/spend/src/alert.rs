//! Alerts: what people are told about money, each once.
//!
//! The row that says an alert was raised and the job that sends it are written in the same write as the movement that caused it, so
//! neither a crash nor a race can lose or double it. What makes an alert the same one again is its key: a cap or a budget that was
//! changed can be reached anew, so its amount is part of it.

mod cause;
mod read;

use purser_authority::{Caller, Done, Event};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, AlertId, OrganisationId};
use purser_values::{Env, Money, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::book::Book;
use crate::limits::ALERT_THRESHOLDS;
use crate::pot::{self, Pot};

pub use cause::{Cause, OfBudget};
pub use read::{find, list};

/// The kind of job that sends an alert; its payload is `{"alert": id}`.
pub const JOB: &str = "alert_send";

/// The verb under which the log knows an alert; the entry's subject is the alert's id, which is also what webhooks call the message.
pub const VERB: &str = "spend_alert";

/// One alert that was raised.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    pub id: AlertId,
    #[serde(skip)]
    pub organisation: OrganisationId,
    /// The agent whose purchase it was.
    pub agent: Option<AgentId>,
    pub at: Timestamp,
    #[serde(flatten)]
    pub cause: Cause,
}

/// Raises an alert unless one with the same key was raised before. What happens next is in the jobs.
///
/// # Errors
/// When the store fails.
pub fn raise(
    tx: &mut Tx<'_>,
    env: &Env,
    organisation: &OrganisationId,
    agent: Option<&AgentId>,
    key: &str,
    cause: &Cause,
) -> Result<Done<Option<AlertId>>, DbError> {
    let id = AlertId::mint(env);
    let insert = "insert into alert (id, organisation, agent, kind, dedupe, cause, at) values ($1, $2, $3, $4, $5, $6, $7)
                  on conflict (dedupe) do nothing";
    let key = format!("{}:{key}", cause.kind());
    let cause_json = json!(cause);
    if tx.execute(insert, params![id, organisation, agent, cause.kind(), key, cause_json, env.now()])? != 1 {
        return Ok(Done::quiet(None));
    }
    let event = Event::done(VERB, &Caller::System, id.as_str())
        .in_organisation(organisation)
        .related(agent.map(ToString::to_string))
        .related(cause.about())
        .with(cause_json);
    let job = NewJob { dedupe: Some(format!("{JOB}:{id}")), ..NewJob::now(env, JOB, json!({"alert": id})) };
    Ok(Done::with_event(Some(id), event).and_job(job))
}

/// Raises the alerts that the book of a cap has earned and that were not raised yet.
pub(crate) fn of_cap(tx: &mut Tx<'_>, env: &Env, book: &Book) -> Result<Done<()>, DbError> {
    let mut done = Done::quiet(());
    let captured = pot::position(tx, book)?.captured;
    for threshold in ALERT_THRESHOLDS {
        if captured == 0 || !threshold.is_reached(captured, book.cap) || !first_time(tx, env, book, threshold.basis_points() / 100)? {
            continue;
        }
        let cause = Cause::CapThreshold {
            provider: book.provider.clone(),
            month: book.month,
            threshold_percent: threshold,
            cap: book.cap,
            captured: Money::from_minor(captured, book.currency()),
        };
        let key = format!("{}:{}:{}:{threshold}:{}", book.spender.agent, book.provider, book.month, book.cap.minor());
        done.absorb(raise(tx, env, &book.spender.organisation, Some(&book.spender.agent), &key, &cause)?);
    }
    Ok(done)
}

fn first_time(tx: &mut Tx<'_>, env: &Env, book: &Book, threshold: i64) -> Result<bool, DbError> {
    let insert = "insert into spend_alert (agent, provider, month, threshold, cap, at) values ($1, $2, $3, $4, $5, $6)
                  on conflict (agent, provider, month, threshold, cap) do nothing";
    let inserted = tx.execute(insert, params![book.spender.agent, book.provider, book.month, threshold, book.cap.minor(), env.now()])?;
    Ok(inserted == 1)
}
