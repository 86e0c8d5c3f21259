//! `sso_logout`: a company says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0).
//!
//! INVARIANT (company-ends-its-own): a company ends sessions that began through it, of the account or the session there that it names,
//! and no others. Its word counts once.

use purser_authority::action::SsoLogout;
use purser_authority::{Done, Event, Permit};
use purser_crypto::jose::{ForeignKeys, JoseError};
use purser_db::{Row, Tx, params};
use purser_values::id::{OrganisationId, PersonId, SessionId};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Connection, SsoError, SsoFacts};
use crate::audience::Audience;
use crate::authorization::sign_on;
use crate::limits::{CLOCK_SKEW_S, ID_TOKEN_FOREIGN_LIFE_S, LOGOUT_FOREIGN_AGE_S, LOGOUT_JTI_CHARS, SSO_SUBJECT_CHARS};
use crate::realm::Realm;

/// What makes a token the word of a logout (2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Older providers give it the type of an ID token; the event tells the two apart.
const TYPES: [&str; 2] = ["logout+jwt", "JWT"];

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: i64,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    events: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A logout token of the company's that is meant for us (2.6).
#[derive(Clone, Debug)]
pub struct LogoutStatement {
    subject: Option<String>,
    sid: Option<String>,
    jti: String,
    /// When it would be refused for its age alone.
    stale_at: Timestamp,
}

impl LogoutStatement {
    /// # Errors
    /// [`SsoError::NoKey`] when no key of the set is meant; else what is wrong with the token.
    pub fn check(token: &str, connection: &Connection, keys: &ForeignKeys, now: Timestamp) -> Result<Self, SsoError> {
        let (claims, _): (Claims, String) = keys.verify_named(token, &TYPES).map_err(|e| match e {
            JoseError::Key => SsoError::NoKey,
            e => SsoError::Signature(e),
        })?;
        let now = now.as_secs();
        let wrong = |why| Err(SsoError::Answer(why));
        if claims.iss != connection.issuer {
            return wrong("it is from another issuer");
        }
        if !claims.aud.is(&connection.client_id) {
            return wrong("it is for another client");
        }
        if !claims.events.get(EVENT).is_some_and(Value::is_object) {
            return wrong("it does not speak of a logout");
        }
        if claims.rest.contains_key("nonce") {
            return wrong("it answers a sign-in");
        }
        let stale_at = claims.iat.saturating_add(LOGOUT_FOREIGN_AGE_S + CLOCK_SKEW_S);
        if claims.exp <= now - CLOCK_SKEW_S || claims.exp > now + ID_TOKEN_FOREIGN_LIFE_S || stale_at <= now {
            return wrong("it has run out, or lives too long");
        }
        if claims.iat > now + CLOCK_SKEW_S {
            return wrong("it is from the future");
        }
        let named = |text: &String| (1..=SSO_SUBJECT_CHARS).contains(&text.chars().count());
        if claims.sub.is_none() && claims.sid.is_none() || ![&claims.sub, &claims.sid].into_iter().flatten().all(named) {
            return wrong("it names nobody");
        }
        if !(1..=LOGOUT_JTI_CHARS).contains(&claims.jti.chars().count()) {
            return wrong("it has no name of its own");
        }
        Ok(Self { subject: claims.sub, sid: claims.sid, jti: claims.jti, stale_at: Timestamp::from_secs(stale_at) })
    }
}

/// Ends the sessions here that followed from the one there, or all of the account there, and tells the clients that were signed on to
/// from them. Answers how many ended; none is no mistake: the person may have signed out before.
///
/// # Errors
/// [`SsoError::Answer`] when the token came before.
pub fn sso_logout(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SsoLogout>,
    connection: &Connection,
    said: &LogoutStatement,
) -> Result<Done<usize>, SsoError> {
    let replay = Sha256Digest::of_parts(&[b"company-logout\0", connection.issuer.as_bytes(), b"\0", said.jti.as_bytes()]);
    let insert = "insert into spent_statement (replay, expires_at) values ($1, $2) on conflict (replay) do nothing";
    if tx.execute(insert, params![replay, said.stale_at])? != 1 {
        return Err(SsoError::Answer("it came before"));
    }
    let now = realm.env.now();
    let select = match (&said.sid, &said.subject) {
        (Some(_), _) => "select id, person, organisation, sso from session where sso_sid = $1 and ended_at is null and expires_at > $2",
        _ => "select id, person, organisation, sso from session where sso_subject = $1 and ended_at is null and expires_at > $2",
    };
    let rows = tx.query(select, params![said.sid.as_ref().or(said.subject.as_ref()), now])?;
    let mut done = Done::quiet(0);
    for row in &rows {
        // Names of sessions and accounts are each company's own.
        let facts: SsoFacts = row.json("sso")?;
        if facts.connection == connection.name && said.subject.as_ref().is_none_or(|subject| facts.subject.as_ref() == Some(subject)) {
            done.events.push(end(tx, realm, permit, connection, row)?);
            done.value += 1;
        }
    }
    Ok(done)
}

fn end(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<SsoLogout>, connection: &Connection, row: &Row) -> Result<Event, SsoError> {
    let (session, person, organisation): (SessionId, PersonId, OrganisationId) =
        (row.parse("id")?, row.parse("person")?, row.parse("organisation")?);
    tx.execute("update session set ended_at = $2 where id = $1 and ended_at is null", params![session, realm.env.now()])?;
    sign_on::end_of_session(tx, &realm.env, &session)?;
    let event = Event::done(permit.verb(), permit.caller(), session.as_str()).related([person.as_str()]);
    Ok(event.in_organisation(&organisation).with(json!({ "connection": connection.name, "issuer": connection.issuer })))
}
