//! Using an approval, in the write that has the effect.

use purser_authority::{Action, Approved, Caller, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::id::{ApprovalId, PersonId};
use purser_values::{Sha256Digest, Timestamp};

use super::{ApprovalError, ApprovalState, Reader, find};

/// Takes the approval for the request with this digest: it works for whoever asked, for exactly what was approved, once.
/// `subject` is the id of what it is used for.
///
/// # Errors
/// See [`ApprovalError`]. Run it in the write of the effect: a refusal later in it gives the approval back.
pub fn consume<A: Action>(
    tx: &mut Tx<'_>,
    now: Timestamp,
    permit: &Permit<A>,
    id: &ApprovalId,
    digest: &Sha256Digest,
    subject: &str,
) -> Result<Done<Approved<A>>, ApprovalError> {
    let caller = permit.caller();
    let found =
        find(tx, id, now)?.filter(|found| Reader(caller).sees(found) && is_requester(caller, found)).ok_or(ApprovalError::Unknown)?;
    // What it is for counts first: who has the wrong one learns nothing of how it stands.
    if found.digest != *digest || found.verb != permit.verb() {
        return Err(ApprovalError::Mismatch(id.clone()));
    }
    let by = match found.state {
        ApprovalState::Approved { by, .. } => by,
        ApprovalState::Pending => return Err(ApprovalError::Pending(id.clone())),
        ApprovalState::Denied { .. } => return Err(ApprovalError::Refused(id.clone())),
        ApprovalState::Expired => return Err(ApprovalError::Expired(id.clone())),
        ApprovalState::Ended { how } => return Err(ApprovalError::Ended { id: id.clone(), how }),
        ApprovalState::Used { .. } => return Err(ApprovalError::Used(id.clone())),
    };
    // A person who has left since then approves nothing.
    if crate::person::member(tx, &found.organisation, &by)?.is_none() {
        return Err(ApprovalError::Expired(id.clone()));
    }
    let update = "update approval set state = 'used', used_at = $2, used_for = $3 where id = $1 and state = 'approved'";
    if tx.execute(update, params![id, now, subject])? != 1 {
        return Err(ApprovalError::Used(id.clone()));
    }
    let event = Event::done("approval_use", caller, id.as_str())
        .related([by.as_str(), subject, &digest.to_string()])
        .with(serde_json::json!({ "by": by, "digest": digest, "verb": permit.verb() }));
    let approved = Approved::given(permit, by, *digest)?;
    Ok(Done::with_event(approved, event))
}

fn is_requester(caller: &Caller, found: &super::Approval) -> bool {
    caller.agent() == found.agent.as_ref() && caller.person() == Some(&found.requester)
}

/// Who approved what was done to this subject under this approval: for the later steps of what it began.
///
/// # Errors
/// When the store fails.
pub fn used_for(tx: &mut Tx<'_>, now: Timestamp, id: &ApprovalId, subject: &str) -> Result<Option<PersonId>, DbError> {
    Ok(match find(tx, id, now)?.map(|found| found.state) {
        Some(ApprovalState::Used { by, subject: of, .. }) if of == subject => Some(by),
        _ => None,
    })
}
