//! Accounts at companies that are connected with logins: one login for each, and one of each company for a login.

use purser_authority::action::{SecurityRead, SsoLink, SsoUnlink};
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{PersonId, SsoIdentityId};
use purser_values::name::{ConnectionName, Email};
use serde_json::json;

use super::{Connection, SsoError, Vouched};
use crate::limits::SSO_IDENTITIES;
use crate::person::Person;
use crate::realm::Realm;
use crate::session::Session;

/// One connected account.
#[derive(Clone, Debug)]
pub struct Identity {
    pub id: SsoIdentityId,
    pub person: PersonId,
    pub issuer: String,
    pub connection: ConnectionName,
    /// The address there when it was connected.
    pub email: Email,
    pub linked_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// The caller's own, oldest first.
///
/// # Errors
/// When the store fails.
pub fn identities_list(tx: &mut Tx<'_>, permit: &Permit<SecurityRead>) -> Result<Vec<Identity>, DbError> {
    permit.caller().person().map_or_else(|| Ok(Vec::new()), |person| of_person(tx, person))
}

/// The companies that can say now that it is this person.
///
/// # Errors
/// When the store fails.
pub fn confirming<'a>(tx: &mut Tx<'_>, realm: &'a Realm, person: &PersonId) -> Result<Vec<&'a Connection>, DbError> {
    let issuers: Vec<String> = of_person(tx, person)?.into_iter().map(|identity| identity.issuer).collect();
    Ok(realm.sso.iter().filter(|one| one.confirms && issuers.contains(&one.issuer)).collect())
}

pub(super) fn of_person(tx: &mut Tx<'_>, person: &PersonId) -> Result<Vec<Identity>, DbError> {
    tx.query("select * from sso_identity where person = $1 order by linked_at, id", params![person])?.iter().map(read).collect()
}

pub(super) fn find(tx: &mut Tx<'_>, issuer: &str, subject: &str) -> Result<Option<Identity>, DbError> {
    let select = "select * from sso_identity where issuer = $1 and subject = $2";
    tx.query_opt(select, params![issuer, subject])?.map(|row| read(&row)).transpose()
}

pub(super) fn used(tx: &mut Tx<'_>, id: &SsoIdentityId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("update sso_identity set last_used_at = $2 where id = $1", params![id, now]).map(drop)
}

/// Connects, and tells the person by mail. Of two at once one does.
pub(super) fn connect(
    tx: &mut Tx<'_>,
    realm: &Realm,
    connection: &Connection,
    person: &Person,
    vouched: &Vouched,
) -> Result<Done<SsoIdentityId>, SsoError> {
    if of_person(tx, &person.id)?.len() >= SSO_IDENTITIES {
        return Err(SsoError::TooManyIdentities);
    }
    let (id, now) = (SsoIdentityId::mint(&realm.env), realm.env.now());
    let insert = "insert into sso_identity (id, person, issuer, subject, connection, email, linked_at, last_used_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing";
    let values = params![id, person.id, connection.issuer, vouched.subject, connection.name, vouched.email, now];
    if tx.execute(insert, values)? != 1 {
        return Err(SsoError::Linked);
    }
    let what = format!("Your login was connected with {} at {}: whoever signs in there is you here.", vouched.email, connection.label);
    let mail = realm.notice(&person.email, "A company sign-in was connected", &what)?;
    Ok(Done::quiet(id).and_job(mail))
}

/// `sso_link`: the signed-in person connects the account that they showed at the company.
///
/// # Errors
/// [`SsoError::Linked`] when it is somebody's already.
pub fn sso_link(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SsoLink>,
    session: &Session,
    connection: &Connection,
    vouched: &Vouched,
) -> Result<Done<SsoIdentityId>, SsoError> {
    let person = &session.member.person;
    if permit.caller().person() != Some(&person.id) {
        return Err(Denied::NotFound.into());
    }
    let mut done = connect(tx, realm, connection, person, vouched)?;
    done.events.push(event(permit.verb(), permit.caller(), &done.value, connection, vouched));
    Ok(done)
}

pub(super) fn event(
    verb: &str,
    caller: &purser_authority::Caller,
    id: &SsoIdentityId,
    connection: &Connection,
    vouched: &Vouched,
) -> Event {
    let facts = json!({ "connection": connection.name, "issuer": connection.issuer, "email": vouched.email });
    Event::done(verb, caller, id.as_str()).with(facts)
}

/// `sso_unlink`. A mailed code is always a way in that is left, except where the company is the only one.
///
/// # Errors
/// [`SsoError::Required`], or [`Denied::NotFound`] when it is none of the caller's.
pub fn sso_unlink(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<SsoUnlink>, session: &Session) -> Result<Done<()>, SsoError> {
    let person = &session.member.person;
    if permit.caller().person() != Some(&person.id) {
        return Err(Denied::NotFound.into());
    }
    let delete = "delete from sso_identity where id = $1 and person = $2 returning issuer, email, connection";
    let row = tx.query_opt(delete, params![permit.subject(), person.id])?.ok_or(Denied::NotFound)?;
    let (issuer, email): (String, Email) = (row.get("issuer")?, row.parse("email")?);
    if realm.sso.required_for(&person.email).is_some_and(|one| one.issuer == issuer) {
        realm.sso.refuse_others(&person.email)?;
    }
    let event = Event::done(permit.verb(), permit.caller(), permit.subject()).with(json!({ "issuer": issuer, "email": email }));
    let what = format!("Your login is no longer connected with {email} at {issuer}.");
    let mail = realm.notice(&person.email, "A company sign-in was disconnected", &what)?;
    Ok(Done::with_event((), event).and_job(mail))
}

fn read(row: &Row) -> Result<Identity, DbError> {
    Ok(Identity {
        id: row.parse("id")?,
        person: row.parse("person")?,
        issuer: row.get("issuer")?,
        connection: row.parse("connection")?,
        email: row.parse("email")?,
        linked_at: row.get("linked_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
