//! `member_remove` and `member_leave`: the end of a membership, with the sessions and terminal tokens that lived by it.
//!
//! What the person had granted ends where the domains meet, in the same write.

use purser_authority::action::{MemberLeave, MemberRemove};
use purser_authority::{Action, Permit};
use purser_authority::{Caller, Denied, Done, Event, Role};
use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::{OrganisationId, PersonId};
use serde::Serialize;

use super::{MemberError, keep_an_owner, may_give, member_of};
use crate::person::Person;

/// Who is gone, and what ended with it.
#[derive(Clone, Debug, Serialize)]
pub struct Removed {
    pub person: Person,
    pub role: Role,
    pub sessions: u64,
    pub tokens: u64,
}

/// Ends the membership of the person that the permit is for.
///
/// # Errors
/// [`MemberError::OwnerRequired`], [`MemberError::LastOwner`], or [`Denied::NotFound`] for a stranger.
pub fn member_remove(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<MemberRemove>) -> Result<Done<Removed>, MemberError> {
    let person: PersonId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let target = member_of(tx, permit.caller(), &person)?;
    if !may_give(permit.caller(), target.role) {
        return Err(MemberError::OwnerRequired);
    }
    end(tx, now, permit, &person)
}

/// Ends the caller's own membership.
///
/// # Errors
/// [`MemberError::LastOwner`].
pub fn member_leave(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<MemberLeave>) -> Result<Done<Removed>, MemberError> {
    let Caller::Person { person, .. } = permit.caller() else { return Err(Denied::Anonymous.into()) };
    end(tx, now, permit, person)
}

fn end<A: Action>(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<A>, person: &PersonId) -> Result<Done<Removed>, MemberError> {
    let target = member_of(tx, permit.caller(), person)?;
    let (sessions, tokens) = end_membership(tx, now, &target.organisation.id, person)?;
    let facts = serde_json::json!({ "role": target.role, "email": target.person.email, "sessions": sessions, "tokens": tokens });
    let event = Event::done(permit.verb(), permit.caller(), person.as_str()).with(facts);
    Ok(Done::with_event(Removed { person: target.person, role: target.role, sessions, tokens }, event))
}

/// Answers how many sessions and tokens ended with it.
pub(crate) fn end_membership(
    tx: &mut Tx<'_>,
    now: Timestamp,
    organisation: &OrganisationId,
    person: &PersonId,
) -> Result<(u64, u64), MemberError> {
    tx.execute("delete from membership where organisation = $1 and person = $2", params![organisation, person])?;
    keep_an_owner(tx, organisation)?;
    let sessions = "update session set ended_at = $3 where organisation = $1 and person = $2 and ended_at is null and expires_at > $3";
    let tokens =
        "update person_token set revoked_at = $3 where organisation = $1 and person = $2 and revoked_at is null and expires_at > $3";
    let (sessions, tokens) =
        (tx.execute(sessions, params![organisation, person, now])?, tx.execute(tokens, params![organisation, person, now])?);
    // What was offered in their name is not taken up after they are gone.
    let offers =
        "update invitation set revoked_at = $3 where organisation = $1 and invited_by = $2 and accepted_at is null and revoked_at is null";
    tx.execute(offers, params![organisation, person, now])?;
    Ok((sessions, tokens))
}
