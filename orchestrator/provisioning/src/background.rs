//! What runs beside requests: sagas, jobs, housekeeping.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use purser_authority::{Attempt, Caller, Done};
use purser_db::DbError;
use purser_db::jobs::{Handler, Job, NewJob, Runner};
use purser_flow::Engine;
use purser_http::Fetcher;
use purser_identity::authorization::sign_on::{LOGOUT_JOB, log_out_ended};
use purser_notify::Transport;
use purser_spend::refund::due;
use purser_spend::{reconcile, verify};
use purser_values::Env;
use serde_json::Value;

use crate::agent_control::{self, AGENT_CONTROL_JOB, AgentControlJob};
use crate::app::App;
use crate::charges::{self, Rails};
use crate::signing_keys::sweep_keys;
use crate::{account_link, alerts, client_logout, credits, deploy, freeze, notice, rail_events, refunds, resource};

/// Every kind of saga that this version can run.
#[must_use]
pub fn sagas(app: &App) -> Engine {
    Engine::builder()
        .with(resource::add_saga::definition(app))
        .with(resource::remove::definition(app))
        .with(resource::rotate::definition(app))
        .with(resource::update_saga::definition(app))
        .with(resource::end::definition(app))
        .with(resource::refund_request::definition(app))
        .with(deploy::definition(app))
        .with(account_link::definition(app))
        .build(app.core.db.clone(), app.core.env.clone())
}

/// Every kind of job that this version can run. `strangers` fetches what clients name: it reaches no provider, although we do.
#[must_use]
pub fn jobs(app: &App, rails: &Rails, mail: Transport, strangers: Fetcher) -> Runner {
    let mut handlers: HashMap<&'static str, Handler> = HashMap::new();
    handlers.insert(purser_notify::JOB_KIND, purser_notify::handler(app.core.keyring.clone(), mail));
    let control = app.clone();
    handlers.insert(
        AGENT_CONTROL_JOB,
        Arc::new(move |job: Job| {
            let app = control.clone();
            Box::pin(async move {
                let told: AgentControlJob = serde_json::from_value(job.payload).map_err(|_| notice::unreadable())?;
                freeze::run_job(app, told.agent, told.provider).await
            })
        }),
    );
    let (charging, charge_rails) = (app.clone(), rails.clone());
    handlers.insert(
        purser_spend::charge::RESUME_JOB,
        Arc::new(move |job: Job| {
            let (app, rails) = (charging.clone(), charge_rails.clone());
            Box::pin(async move {
                match field(&job.payload, "charge") {
                    Some(charge) => charges::resume(app, rails, charge).await,
                    None => Err(notice::unreadable()),
                }
            })
        }),
    );
    let waiting = app.clone();
    handlers.insert(
        purser_spend::charge::CONFIRM_JOB,
        Arc::new(move |job: Job| {
            let app = waiting.clone();
            Box::pin(async move { charges::tell_waiting(app, job).await })
        }),
    );
    handlers.insert(resource::end::JOB, resource::end::handler(app));
    rail_events::handlers(app, rails, &mut handlers);
    let (refunding, refund_rails) = (app.clone(), rails.clone());
    handlers.insert(
        purser_spend::refund::RESUME_JOB,
        Arc::new(move |job: Job| {
            let (app, rails) = (refunding.clone(), refund_rails.clone());
            Box::pin(async move {
                match field(&job.payload, "refund") {
                    Some(refund) => refunds::resume(app, rails, refund).await,
                    None => Err(notice::unreadable()),
                }
            })
        }),
    );
    let missing = app.clone();
    handlers.insert(
        due::JOB,
        Arc::new(move |job: Job| {
            let app = missing.clone();
            Box::pin(async move { refunds::tell_missing(app, job).await })
        }),
    );
    for (kind, handler) in credits::handlers(app) {
        handlers.insert(kind, handler);
    }
    for (kind, handler) in alerts::handlers(app) {
        handlers.insert(kind, handler);
    }
    handlers.insert(LOGOUT_JOB, client_logout::handler(app.realm.clone(), strangers));
    Runner::new(app.core.db.clone(), app.core.env.clone(), handlers, app.core.jobs.clone())
}

/// Time between two rounds of housekeeping.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);
/// Rounds of housekeeping between two checks of the ledger: an hour. The first is at the start.
const RECONCILE_EVERY: u64 = 60;
/// A charge or refund that was begun this long ago and has no outcome is taken up again, in seconds.
const CHARGE_LATE_S: i64 = 60;
/// Days that answers to idempotency keys and finished jobs are kept.
const KEEP_S: i64 = 30 * 86_400;

/// What time alone makes due: run-out codes and proofs, holds nobody charged, renewals, budgets that will not last, charges and refunds
/// without an outcome, refunds that did not come, signing keys that begin or leave.
/// Runs for ever; spawn it.
pub async fn housekeeping(app: App) {
    for round in 0_u64.. {
        if let Err(e) = keep_house(&app).await {
            tracing::error!(error = %e, "housekeeping stopped; it is tried again");
        }
        if round.is_multiple_of(RECONCILE_EVERY)
            && let Err(e) = reconcile(&app).await
        {
            tracing::error!(error = %e, "the ledger could not be checked; it is tried again");
        }
        tokio::time::sleep(HOUSEKEEPING_EVERY).await;
    }
}

/// One round.
///
/// # Errors
/// When the store fails; what was done so far stands.
pub async fn keep_house(app: &App) -> Result<(), DbError> {
    let env = app.core.env.clone();
    let now = env.now();
    let late = app
        .core
        .db
        .write(move |tx| {
            purser_identity::sweep(tx, now)?;
            log_out_ended(tx, &env)?;
            purser_db::idempotency::forget(tx, now.plus_secs(-KEEP_S))?;
            purser_db::jobs::forget_done(tx, now.plus_secs(-KEEP_S))?;
            purser_spend::rail::forget(tx, now.plus_secs(-KEEP_S))?;
            let before = now.plus_secs(-CHARGE_LATE_S);
            let mut late = Vec::new();
            for charge in purser_spend::charge::unfinished(tx, before)? {
                late.push((purser_spend::charge::RESUME_JOB, charge.to_string(), serde_json::json!({ "charge": charge })));
            }
            for refund in purser_spend::refund::unfinished(tx, before)? {
                late.push((purser_spend::refund::RESUME_JOB, refund.to_string(), serde_json::json!({ "refund": refund })));
            }
            for (kind, id, payload) in &late {
                let dedupe = Some(format!("{kind}_late:{id}:{}", now.as_secs()));
                let job = NewJob { dedupe, ..NewJob::now(&env, kind, payload.clone()) };
                purser_db::jobs::enqueue(tx, &env, &job)?;
            }
            Ok::<_, DbError>(late.len() + credits::due(tx, &env)?)
        })
        .await?;
    if late > 0 {
        app.core.jobs.notify_one();
    }
    sweep_keys(&app.core, &app.realm).await?;
    batches(app, "grant_end", agent_control::grant_end).await?;
    batches(app, "hold_expire", purser_spend::hold::expire).await?;
    batches(app, "usage_release", purser_spend::usage::release_old).await?;
    batches(app, "refund_dispute", due::overdue).await?;
    batches(app, "renewal_reserve", purser_spend::renewal::reserve).await?;
    batches(app, "budget_look", purser_spend::budget::look_ahead).await
}

/// Recomputes the ledger from its rows. What does not add up is logged, recorded and counted, and stops new holds in its currency until
/// the operator has looked. Answers how much of it is new.
///
/// # Errors
/// When the store fails.
pub async fn reconcile(app: &App) -> Result<usize, DbError> {
    let (found, known) = app.core.db.read(|tx| Ok::<_, DbError>((verify::check(tx)?, reconcile::all(tx)?))).await?;
    if found.is_empty() && known.is_empty() {
        return Ok(0);
    }
    for difference in &found {
        tracing::error!(place = difference.place, what = difference.what, "the ledger does not add up");
    }
    let env = app.core.env.clone();
    let attempt = Attempt::new("ledger_reconcile", &Caller::System, "ledger");
    crate::perform(&app.core, attempt, move |tx| reconcile::stop(tx, &env, &found)).await
}

/// Runs a use case that works through what is due a batch at a time, until nothing is.
async fn batches(
    app: &App,
    verb: &'static str,
    work: fn(&mut purser_db::Tx<'_>, &Env) -> Result<Done<usize>, DbError>,
) -> Result<(), DbError> {
    loop {
        let env = app.core.env.clone();
        if crate::perform(&app.core, Attempt::new(verb, &Caller::System, verb), move |tx| work(tx, &env)).await? == 0 {
            return Ok(());
        }
    }
}

fn field<T: std::str::FromStr>(payload: &Value, name: &str) -> Option<T> {
    payload[name].as_str()?.parse().ok()
}
