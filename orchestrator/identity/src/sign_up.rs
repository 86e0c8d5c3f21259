//! Who may come in by proving an address, and what they find: the rule of the installation, an invitation, or the first owner's link.
//!
//! A person whom the operator disabled is nobody, whatever else would let them in.

use purser_authority::{Caller, Done, Event};
use purser_db::{DbError, Tx};
use purser_values::name::Email;
use purser_values::{Env, Secret};

use crate::bootstrap;
use crate::invitation::{self, Invitation, InvitationError};
use crate::person::{self, Known, Member};
use crate::realm::Realm;

/// What a visitor brings along from a link.
#[derive(Clone, Debug)]
pub enum Ticket {
    Invitation(Secret<String>),
    Bootstrap(Secret<String>),
}

/// Why an address is let in.
pub(crate) enum Admission {
    /// It belongs to a member, or the installation's rule lets it in.
    Rule,
    /// It belongs to nobody here yet, and an organisation waits for it.
    Invited(Invitation),
    /// There is nobody at all yet.
    First(Secret<String>),
}

/// Whether a code would let this address in. Asked when the code is sent and again when it is used.
pub(crate) fn admission(tx: &mut Tx<'_>, realm: &Realm, email: &Email, ticket: Option<&Ticket>) -> Result<Option<Admission>, DbError> {
    match person::known(tx, email)? {
        Known::Disabled => return Ok(None),
        // A member who follows an invitation decides on its page.
        Known::Member => return Ok(Some(Admission::Rule)),
        Known::Nobody | Known::Outside => {}
    }
    let now = realm.env.now();
    match ticket {
        Some(Ticket::Invitation(link)) => {
            let found = invitation::invitation_of(tx, now, link.expose())?.filter(|invitation| invitation.email == *email);
            if let Some(invitation) = found {
                return Ok(Some(Admission::Invited(invitation)));
            }
        }
        Some(Ticket::Bootstrap(link)) if bootstrap::bootstrap_is_open(tx, now, link.expose())? => {
            return Ok(Some(Admission::First(link.clone())));
        }
        Some(Ticket::Bootstrap(_)) | None => {}
    }
    Ok(realm.sign_up.admits(email).then_some(Admission::Rule))
}

/// A person who came in.
pub(crate) struct Entered {
    pub member: Member,
    /// Whether the person was made just now.
    pub fresh: bool,
    /// Whether the ticket was used up for it.
    pub by_ticket: bool,
}

/// Makes what is missing: the person, an organisation of their own, or the membership that was offered. `None` when the ticket was
/// used by somebody else meanwhile.
pub(crate) fn enter(tx: &mut Tx<'_>, env: &Env, email: &Email, admission: &Admission) -> Result<Option<Done<Entered>>, DbError> {
    let (person, fresh) = person::ensure(tx, env, email)?;
    Ok(match admission {
        Admission::Rule => Some(Done::quiet(Entered { member: person::at_home(tx, env, &person)?, fresh, by_ticket: false })),
        Admission::Invited(invitation) => match invitation::settle(tx, env, invitation, &person) {
            Ok(done) => Some(done.map(|member| Entered { member, fresh, by_ticket: true })),
            Err(InvitationError::Db(e)) => return Err(e),
            Err(_) => None,
        },
        Admission::First(link) => {
            if !bootstrap::settle(tx, env.now(), link.expose(), &person.id)? {
                return Ok(None);
            }
            let member = person::found(tx, env, &person, person.email.as_str())?;
            let caller = Caller::Person {
                person: person.id.clone(),
                organisation: member.organisation.id.clone(),
                role: member.role,
                present_at: None,
            };
            let event = Event::done("bootstrap_use", &caller, person.id.as_str());
            Some(Done::with_event(Entered { member, fresh, by_ticket: true }, event))
        }
    })
}
