//! `sso_forget`: the operator parts a login from an address or a company account that changed hands.
//!
//! INVARIANT (subject-not-address) leaves an address that was given to somebody new closed to them: the login belongs to its last
//! holder. Only the operator can know what happened to it. An address that is free leads to nothing that its last holder had; a login that
//! is parted from its account is for the same person, and where it has a passkey or an app, that person shows them.

use purser_authority::action::SsoForget;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::id::PersonId;
use purser_values::name::Email;
use serde_json::json;

use super::SsoError;
use crate::person::{self, RETIRED};
use crate::realm::Realm;

/// What happened to the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recycled {
    /// Its holder left, and somebody else has it now: the login ends for good, and the address is free.
    Left,
    /// Its holder has another address now: the login goes on under that one, and the old one is free.
    Moved { to: Email },
    /// The same person has another account at the company: the next one there with this address is connected anew.
    SamePerson,
}

impl Recycled {
    const fn name(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Moved { .. } => "moved",
            Self::SamePerson => "same_person",
        }
    }
}

/// Parts the login that the permit is for. Whoever reads the address now is told by mail, and so is the new one. That the login of
/// somebody who left is stopped too is done where the domains meet.
///
/// # Errors
/// [`Denied::NotFound`] when there is no such login, [`SsoError::AddressTaken`] when the new address is another's.
pub fn sso_forget(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<SsoForget>, recycled: &Recycled) -> Result<Done<Email>, SsoError> {
    let person: PersonId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let row = tx.query_opt("select email from person where id = $1", params![person])?.ok_or(Denied::NotFound)?;
    let old: Email = row.parse("email")?;
    let (now, what) = match recycled {
        Recycled::Left => (retired(&person)?, "The login that had this address was ended, and its agents with it. The address is free."),
        Recycled::Moved { to } => (to.clone(), "The login that had this address has another one now. The address is free."),
        Recycled::SamePerson => {
            tx.execute("delete from sso_identity where person = $1", params![person])?;
            (old.clone(), "Your login was parted from your account at your company. The next sign-in there connects the two again.")
        }
    };
    if now != old {
        if person::by_email(tx, &now)?.is_some() {
            return Err(SsoError::AddressTaken);
        }
        tx.execute("update person set email = $2 where id = $1", params![person, now])?;
        // Nor is what was offered to its last holder for the next one.
        let offers = "update invitation set revoked_at = $2 where email = $1 and accepted_at is null and revoked_at is null";
        tx.execute(offers, params![old, realm.env.now()])?;
        // Links that were mailed to the old address put nothing back.
        tx.execute("delete from security_link where person = $1 and used_at is null", params![person])?;
    }
    // Whoever is in now came in under what was parted.
    tx.execute("update session set ended_at = $2 where person = $1 and ended_at is null", params![person, realm.env.now()])?;
    let organisations = tx.query("select organisation from membership where person = $1 order by organisation", params![person])?;
    let event = Event::done(permit.verb(), permit.caller(), person.as_str());
    let event = event.with(json!({ "why": recycled.name(), "old": old, "new": now }));
    let mut done = Done::quiet(now);
    for row in &organisations {
        done.events.push(event.clone().in_organisation(&row.parse("organisation")?));
    }
    if done.events.is_empty() {
        done.events.push(event);
    }
    done.jobs.push(realm.notice(&old, "Your operator changed a login", what)?);
    if let Recycled::Moved { to } = recycled {
        let what = format!("Your login has this address now, in the place of {old}.");
        done.jobs.push(realm.notice(to, "Your operator changed a login", &what)?);
    }
    Ok(done)
}

/// An address in the place of one that was taken back.
fn retired(person: &PersonId) -> Result<Email, SsoError> {
    format!("{person}@{RETIRED}").parse().map_err(|_| SsoError::Unknown)
}
