//! `approval_decide`: a person says yes or no to one exact request.

use purser_authority::action::{ApprovalDecide, ApprovalGive};
use purser_authority::{Caller, Denied, Done, Event, Facts, Permit, authorise};
use purser_db::{Tx, params};
use purser_values::id::ApprovalId;
use purser_values::{Env, Sha256Digest};
use serde_json::json;

use super::request::may_decide;
use super::{Answer, Approval, ApprovalError, ApprovalState, Most, find};
use crate::limits::APPROVAL_LIFE_S;

/// Decides the request that the permit is for, once. `shown` is the digest of what the person saw. A yes needs a person who
/// proved just now that it is they; a no never waits. Where the price is prose, a yes says what it may cost at most.
///
/// # Errors
/// See [`ApprovalError`]; nothing is changed then.
pub fn approval_decide(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<ApprovalDecide>,
    answer: Answer,
    shown: &Sha256Digest,
) -> Result<Done<Approval>, ApprovalError> {
    let (id, now): (ApprovalId, _) = (permit.subject().parse().map_err(|_| ApprovalError::Unknown)?, env.now());
    let Caller::Person { person, role, .. } = permit.caller() else {
        return Err(Denied::AgentNever { action: permit.verb() }.into());
    };
    let before = find(tx, &id, now)?.ok_or(ApprovalError::Unknown)?;
    match before.state {
        ApprovalState::Pending => {}
        ApprovalState::Expired => return Err(ApprovalError::Expired(id)),
        ApprovalState::Ended { how } => return Err(ApprovalError::Ended { id, how }),
        _ => return Err(ApprovalError::Decided(id)),
    }
    if !may_decide(&before, person, *role) {
        return Err(if before.requester == *person {
            ApprovalError::OwnRequest
        } else {
            Denied::Role { role: role.name(), action: permit.verb() }.into()
        });
    }
    if before.digest != *shown {
        return Err(ApprovalError::NotShown);
    }
    let (yes, most) = match answer {
        Answer::No => (false, None),
        Answer::Yes => (true, None),
        Answer::UpTo(most) => (true, Some(most)),
    };
    if yes {
        fits(&before, most)?;
        authorise::<ApprovalGive>(permit.caller(), &Facts::new(now, permit.subject())).map(drop)?;
    }
    let update =
        "update approval set state = $2, decided_at = $3, decided_by = $4, expires_at = $5, most = $6 where id = $1 and state = 'pending'";
    let (state, until) = if yes { ("approved", now.plus_secs(APPROVAL_LIFE_S)) } else { ("denied", before.expires_at) };
    if tx.execute(update, params![id, state, now, person, until, most.map(|most| json!(most))])? != 1 {
        return Err(ApprovalError::Decided(id));
    }
    let after = find(tx, &id, now)?.ok_or(ApprovalError::Unknown)?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .related([after.requester.as_str(), &after.digest.to_string()])
        .related(after.agent.iter())
        .with(json!({ "decision": state, "verb": after.verb, "digest": after.digest, "most": most }));
    Ok(Done::with_event(after, event))
}

/// INVARIANT (unknown-is-denied): a yes to a price in prose without a most is no yes, and a most changes no price in numbers.
fn fits(before: &Approval, most: Option<Most>) -> Result<(), ApprovalError> {
    match (before.open_price, most) {
        (true, Some(most)) if most.amount.is_positive() => Ok(()),
        (true, Some(_)) => Err(ApprovalError::Most("the most that it may cost is more than nothing")),
        (true, None) => Err(ApprovalError::Most("its price is text only, and nobody has said what it may cost at most")),
        (false, None) => Ok(()),
        (false, Some(_)) => Err(ApprovalError::Most("its price is known, and another amount cannot be approved")),
    }
}
