//! Giving money back: the job that tells the orchestrator, until it has answered.
//!
//! What is to be given back was written down with the failure or removal that it follows from
//! ([`slipway_accounts::refund::refund_begin`]). The job repeats the same message under the same key without end, at a bounded rate;
//! only a no for good parks it, where a person must look.

use std::collections::HashMap;
use std::sync::Arc;

use purser_db::jobs::{Handler, Job, JobFailure};
use purser_db::{Db, DbError};
use purser_provider::{OrchestratorClient, OrchestratorError};
use purser_values::Env;
use purser_values::id::RefundId;
use purser_wire::error::ErrorBody;
use purser_wire::refund::{RefundRequest, RefundResponse, RefundStatus};
use purser_wire::text::excerpt;
use slipway_accounts::refund::{JOB, Refund, RefundOutcome, RefundState, refund_get, refund_resume, refund_settle};

use slipway_billing::refund::order_given_back;

use crate::cloud::Cloud;

/// Most characters of the orchestrator's words that are kept.
const WORDS: usize = 300;
/// The orchestrator does not know our key yet, or its clock is off: no word about the refund itself.
const NOT_HEARD: &str = "invalid_signature";

/// What the queue does with our kind of job.
pub fn handlers(db: Db, env: Env, orchestrator: OrchestratorClient) -> HashMap<&'static str, Handler> {
    let give: Handler = Arc::new(move |job: Job| {
        let (db, env, orchestrator) = (db.clone(), env.clone(), orchestrator.clone());
        Box::pin(async move { give(&db, &env, &orchestrator, job).await })
    });
    HashMap::from([(JOB, give)])
}

/// Takes up what a crash left open, at once instead of when the lease of its job has run out.
///
/// # Errors
/// When the store fails.
pub async fn resume(cloud: &Cloud) -> Result<(), DbError> {
    let env = cloud.env.clone();
    if cloud.db.write(move |tx| refund_resume(tx, &env)).await? > 0 {
        cloud.wake_jobs.notify_one();
    }
    Ok(())
}

async fn give(db: &Db, env: &Env, orchestrator: &OrchestratorClient, job: Job) -> Result<(), JobFailure> {
    let again = |why: String| JobFailure::Again { why, limit: None };
    let park = |why: String| JobFailure::Park { why };
    let id: RefundId =
        job.payload["refund"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| park("it names no refund".to_owned()))?;
    let of = id.clone();
    let found = db.read(move |tx| refund_get(tx, &of)).await.map_err(|e| again(e.to_string()))?;
    let Some(refund) = found.filter(|refund| refund.state == RefundState::Intended) else { return Ok(()) };
    let outcome = ask(orchestrator, &refund).await.map_err(again)?;
    let (clock, settling, of) = (env.clone(), outcome.clone(), refund.clone());
    let written = db.write(move |tx| -> Result<RefundState, DbError> {
        let state = refund_settle(tx, &id, &settling, clock.now())?;
        if state == RefundState::Succeeded {
            order_given_back(tx, &clock, &id, &of.charge, of.reason.as_str())?;
        }
        Ok(state)
    });
    let state = written.await.map_err(|e| again(e.to_string()))?;
    match state {
        RefundState::Succeeded | RefundState::Intended => Ok(()),
        RefundState::Refused => {
            let why = outcome.message.or(outcome.code).unwrap_or_default();
            tracing::error!(refund = %refund.id, resource = %refund.resource, amount = %refund.amount, why,
                "a refund was refused: a person must give it back");
            Err(park(why))
        }
    }
}

/// One try. The error says why the outcome is not known.
async fn ask(orchestrator: &OrchestratorClient, refund: &Refund) -> Result<RefundOutcome, String> {
    let request = RefundRequest { amount: refund.amount, reason: Some(refund.reason.clone()) };
    let charge = refund.orchestrator_charge.parse().map_err(|e: purser_wire::id::ParseWireIdError| e.to_string())?;
    match orchestrator.refund(&charge, &request, &(&refund.id).into()).await {
        Ok(answer) => answered(answer),
        Err(OrchestratorError::Refused(body)) if body.code == NOT_HEARD => Err(body.to_string()),
        Err(OrchestratorError::Refused(body)) => Ok(refused(&body)),
        Err(e @ (OrchestratorError::Unknown(_) | OrchestratorError::Message(_))) => Err(e.to_string()),
    }
}

fn answered(answer: RefundResponse) -> Result<RefundOutcome, String> {
    let cut = |text: Option<String>| text.map(|t| excerpt(&t, WORDS));
    let succeeded = match answer.status {
        RefundStatus::Succeeded => true,
        RefundStatus::Failed => false,
        RefundStatus::Other(word) => return Err(format!("`{}` says nothing of the money", excerpt(&word, WORDS))),
    };
    Ok(RefundOutcome { succeeded, refund: answer.id.to_string(), code: cut(answer.code), message: cut(answer.message) })
}

fn refused(body: &ErrorBody) -> RefundOutcome {
    let cut = |text: &str| Some(excerpt(text, WORDS));
    RefundOutcome { succeeded: false, refund: String::new(), code: cut(&body.code), message: cut(&body.message) }
}
