//! `session_switch`: use another organisation of one's own.
//!
//! Forms that were shown for the organisation before are refused afterwards, because their token names it
//! ([`crate::session::Session::csrf`]): nobody accepts in one organisation what they read in another.

use purser_authority::action::SessionSwitch;
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::id::OrganisationId;

use super::MemberError;
use crate::person::{self, Member};
use crate::session::Session;

/// Moves the session to the organisation that the permit is for.
///
/// # Errors
/// [`Denied::NotFound`] when the person is no member of it.
pub fn session_switch(tx: &mut Tx<'_>, permit: &Permit<SessionSwitch>, session: &Session) -> Result<Done<Member>, MemberError> {
    let to: OrganisationId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let person = &session.member.person.id;
    let member = person::member(tx, &to, person)?.ok_or(Denied::NotFound)?;
    let update = "update session set organisation = $2 where id = $1 and person = $3 and ended_at is null";
    if tx.execute(update, params![session.id, to, person])? != 1 {
        return Err(Denied::Anonymous.into());
    }
    let caller = Caller::Person { person: person.clone(), organisation: to.clone(), role: member.role, present_at: session.present_at };
    let event = Event::done(permit.verb(), &caller, to.as_str()).related([session.id.as_str()]);
    Ok(Done::with_event(member, event))
}
