//! `credit_decide`: a person of the operator says yes or no to one application.

use purser_authority::action::CreditDecide;
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_db::jobs::NewJob;
use purser_db::{Tx, params};
use purser_values::id::CreditApplicationId;
use purser_values::{Env, Sha256Digest};
use serde_json::json;

use super::{Application, CreditError, REDEEM_JOB, State, read};
use crate::limits::CREDIT_REASON_CHARS;

/// What is known of the person who decides, besides the permit.
#[derive(Clone, Copy, Debug)]
pub struct Decider {
    /// Whether the operator names them.
    pub is_named: bool,
    /// Whether they belong to the organisation that asks.
    pub is_member: bool,
}

/// Decides once, over what was shown: `evidence` is the digest of what the person read.
///
/// # Errors
/// See [`CreditError`]; nothing is changed then.
pub fn decide(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<CreditDecide>,
    by: Decider,
    yes: bool,
    evidence: &Sha256Digest,
    reason: &str,
) -> Result<Done<Application>, CreditError> {
    let Caller::Person { person, .. } = permit.caller() else {
        return Err(Denied::AgentNever { action: permit.verb() }.into());
    };
    if !by.is_named {
        return Err(CreditError::NotTheOperator);
    }
    let id: CreditApplicationId = permit.subject().parse().map_err(|_| CreditError::Unknown)?;
    let found = read::find(tx, &id)?.filter(|one| one.evidence_sha256 == *evidence).ok_or(CreditError::Unknown)?;
    // INVARIANT (nobody-attests-for-themselves)
    if by.is_member || found.requester == *person {
        return Err(CreditError::OwnApplication);
    }
    let reason = reason.trim();
    let formed = reason.chars().count() <= CREDIT_REASON_CHARS && !reason.chars().any(char::is_control);
    if !formed || (!yes && reason.is_empty()) {
        return Err(CreditError::Reason);
    }
    let state = if yes { State::Approved } else { State::Denied };
    let update = "update credit_application set state = $2, decided_by = $3, decided_at = $4, reason = $5 where id = $1 and state = $6";
    let reason = (!reason.is_empty()).then_some(reason);
    if tx.execute(update, params![id, state.name(), person, env.now(), reason, State::Pending.name()])? != 1 {
        return Err(CreditError::Decided);
    }
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(&found.organisation)
        .related([found.provider.as_str(), person.as_str()])
        .with(json!({
            "approved": yes, "provider": found.provider, "programme": found.programme, "amount": found.amount,
            "evidence_sha256": found.evidence_sha256, "reason": reason,
        }));
    let done = Done::with_event(read::find(tx, &id)?.ok_or(CreditError::Unknown)?, event);
    if !yes {
        return Ok(done);
    }
    let job = NewJob { dedupe: Some(format!("{REDEEM_JOB}:{id}")), ..NewJob::now(env, REDEEM_JOB, json!({ "application": id })) };
    Ok(done.and_job(job))
}
