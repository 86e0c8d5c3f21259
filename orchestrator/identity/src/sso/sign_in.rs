//! `sign_in` through a company.

use purser_authority::action::SignIn;
use purser_authority::{Caller, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::PersonId;
use serde_json::json;

pub use super::groups::Lost;
use super::groups::follow;
use super::prove::Pending;
use super::{Connection, SsoError, Vouched, identity};
use crate::person::{self, Known, Member, Person};
use crate::realm::Realm;
use crate::session::{self, Begin, Place};
use crate::sign_in::{SignedIn, mark};
use crate::sign_up::{self, Admission, Ticket};
use crate::{recovery, step_up};

/// What became of it. That somebody is let in nowhere is an outcome and not an error: what they lost by it is written.
#[derive(Debug)]
pub enum Let {
    In(SignedIn),
    /// The address is a login that has a passkey or an app: whoever has those connects it.
    Prove(Pending),
    Nowhere,
}

#[derive(Debug)]
pub struct SsoSignIn {
    pub outcome: Let,
    pub lost: Option<Lost>,
}

/// Signs in whom the company vouches for: the person of the account there; else, once, the person of the verified address; else
/// somebody new, where they are admitted.
///
/// # Errors
/// See [`SsoError`].
pub fn sso_sign_in(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SignIn>,
    connection: &Connection,
    vouched: &Vouched,
    place: Place<'_>,
    ticket: Option<&Ticket>,
) -> Result<Done<SsoSignIn>, SsoError> {
    let mut done = Done::quiet(());
    let arrival = |admission, fresh| Arrival { connection, vouched, place, admission, fresh };
    if let Some(known) = identity::find(tx, &connection.issuer, &vouched.subject)? {
        identity::used(tx, &known.id, realm.env.now())?;
        let person = active(tx, &known.person)?;
        let admission = sign_up::admission(tx, realm, &person.email, ticket)?;
        return enter(tx, realm, permit, person, arrival(admission, false), done);
    }
    let admission = sign_up::admission(tx, realm, &vouched.email, ticket)?;
    let holder = person::by_email(tx, &vouched.email)?;
    if let Some(holder) = &holder {
        active(tx, holder)?;
        if identity::of_person(tx, holder)?.iter().any(|identity| identity.issuer == connection.issuer) {
            return Err(SsoError::OtherSubject);
        }
        if step_up::methods(tx, realm, holder)?.is_strong() {
            let pending = Pending { person: holder.clone(), vouched: vouched.clone() };
            return Ok(Done::quiet(SsoSignIn { outcome: Let::Prove(pending), lost: None }));
        }
    }
    let by_company = connection.organisation.is_some() && connection.role_of(&vouched.groups).is_some();
    if holder.is_none() && !by_company && admission.is_none() {
        return Err(SsoError::NotAdmitted);
    }
    let (person, fresh) = person::ensure(tx, &realm.env, &vouched.email)?;
    connected(tx, realm, connection, &person, vouched, &mut done)?;
    enter(tx, realm, permit, person, arrival(admission, fresh), done)
}

/// How somebody arrives.
pub(super) struct Arrival<'a> {
    pub connection: &'a Connection,
    pub vouched: &'a Vouched,
    pub place: Place<'a>,
    /// Why the address is let in without the company, asked before anything was made.
    pub admission: Option<Admission>,
    pub fresh: bool,
}

/// Connects the account with the login, with the event and the mail.
pub(super) fn connected(
    tx: &mut Tx<'_>,
    realm: &Realm,
    connection: &Connection,
    person: &Person,
    vouched: &Vouched,
    done: &mut Done<()>,
) -> Result<(), SsoError> {
    let id = identity::connect(tx, realm, connection, person, vouched)?;
    let id = done.absorb(id);
    done.events.push(identity::event("sso_link", &Caller::System, &id, connection, vouched).related([person.id.as_str()]));
    Ok(())
}

/// A person who may sign in at all.
pub(super) fn active(tx: &mut Tx<'_>, id: &PersonId) -> Result<Person, SsoError> {
    let select = "select email from person where id = $1 and disabled_at is null";
    let row = tx.query_opt(select, params![id])?.ok_or(SsoError::NotAdmitted)?;
    Ok(Person { id: id.clone(), email: row.parse("email")? })
}

/// Follows the groups, finds where the person goes, and starts the session.
pub(super) fn enter(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SignIn>,
    person: Person,
    arrival: Arrival<'_>,
    mut done: Done<()>,
) -> Result<Done<SsoSignIn>, SsoError> {
    let Arrival { connection, vouched, place, admission, fresh } = arrival;
    let ticket = by_ticket(tx, realm, &person, admission, &mut done)?;
    let followed = follow(tx, realm, connection, &person.id, &vouched.groups)?;
    done.events.extend(followed.event);
    let lost = followed.lost;
    let by_ticket = ticket.is_some();
    let Some(member) = goes_to(tx, realm, connection, &person, ticket)? else {
        return Ok(done.map(|()| SsoSignIn { outcome: Let::Nowhere, lost }));
    };
    // The company may know somebody from this morning: they are there since then, and not since now.
    let now = realm.env.now();
    let present_at: Option<Timestamp> = vouched.facts.auth_time;
    recovery::cancel(tx, &person.id, now, "sso")?;
    let begin = Begin { method: "sso", present_at, sso: Some(&vouched.facts), place };
    let (session, id) = session::start(tx, &realm.env, &member, begin)?;
    let caller = Caller::Person { person: person.id.clone(), organisation: member.organisation.id.clone(), role: member.role, present_at };
    let facts = json!({
        "email": person.email, "fresh": fresh, "method": "sso", "present": present_at.is_some(), "connection": connection.name,
    });
    done.events.push(Event::done(permit.verb(), &caller, person.id.as_str()).related([id.as_str()]).with(facts));
    let mark = mark(&realm.keys, &realm.env, &person.email);
    let signed_in = SignedIn { member, session, mark, fresh, by_ticket };
    Ok(done.map(|()| SsoSignIn { outcome: Let::In(signed_in), lost }))
}

/// The membership that an invitation or the first owner's link gives somebody who belongs to nothing.
fn by_ticket(
    tx: &mut Tx<'_>,
    realm: &Realm,
    person: &Person,
    admission: Option<Admission>,
    done: &mut Done<()>,
) -> Result<Option<Member>, SsoError> {
    let Some(admission @ (Admission::Invited(_) | Admission::First(_))) = admission else { return Ok(None) };
    let entered = sign_up::enter(tx, &realm.env, &person.email, &admission)?.ok_or(SsoError::NotAdmitted)?;
    Ok(Some(done.absorb(entered).member))
}

/// The organisation of the ticket, else that of the company, else the person's own; one of their own where the rule of the
/// installation gives them one.
fn goes_to(
    tx: &mut Tx<'_>,
    realm: &Realm,
    connection: &Connection,
    person: &Person,
    by_ticket: Option<Member>,
) -> Result<Option<Member>, SsoError> {
    if by_ticket.is_some() {
        return Ok(by_ticket);
    }
    if let Some(organisation) = &connection.organisation
        && let Some(member) = person::member(tx, organisation, &person.id)?
    {
        return Ok(Some(member));
    }
    if let Some(home) = person::home(tx, &person.id)? {
        return Ok(Some(home));
    }
    let admitted = person::known(tx, &person.email)? == Known::Outside && realm.sign_up.admits(&person.email);
    if admitted { Ok(Some(person::at_home(tx, &realm.env, person)?)) } else { Ok(None) }
}
