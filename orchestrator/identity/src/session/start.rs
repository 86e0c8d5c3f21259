//! Beginning a session, and making it anew when the person has proved once more that they are there.

use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::id::{PersonId, SessionId};
use purser_values::limits::SESSION_LIFE_S;
use purser_values::{Env, Secret, Timestamp};

use super::{PREFIX, Session};
use crate::authorization::sign_on;
use crate::limits::BROWSER_NAME_CHARS;
use crate::person::Member;
use crate::sso::SsoFacts;

/// Where a browser is, as the list of sessions tells it to the person.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    pub peer: Option<&'a str>,
    /// What the browser says it is; nobody has verified it.
    pub browser: Option<&'a str>,
    /// The cookie of the session that the browser has now, which the new one replaces.
    pub replaces: Option<&'a str>,
}

/// How a session begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin<'a> {
    /// `email_code`, `passkey`, …: for the list of sessions.
    pub method: &'static str,
    /// Since when the person is there, as far as this sign-in proves it.
    pub present_at: Option<Timestamp>,
    /// What the person's company said, where it signed them in.
    pub sso: Option<&'a SsoFacts>,
    pub place: Place<'a>,
}

pub(crate) fn start(tx: &mut Tx<'_>, env: &Env, member: &Member, begin: Begin<'_>) -> Result<(Secret<String>, SessionId), DbError> {
    let now = env.now();
    let (plain, digest) = token::mint(env, PREFIX);
    let (id, until) = (SessionId::mint(env), now.plus_secs(SESSION_LIFE_S));
    if let Some(cookie) = begin.place.replaces.filter(|cookie| token::is_well_formed(cookie, PREFIX)) {
        let end = "update session set ended_at = $2 where token_hash = $1 and ended_at is null returning id, person";
        if let Some(old) = tx.query_opt(end, params![token::hash(cookie), now])? {
            // Whoever signs in anew stays signed on where they were; somebody else does not inherit it.
            if old.parse::<PersonId>("person")? == member.person.id {
                sign_on::moved(tx, &old.parse("id")?, &id)?;
            }
        }
    }
    let insert = "insert into session (id, token_hash, person, organisation, signed_in_at, present_at, expires_at, method, peer, browser,
                  sso, sso_subject, sso_sid) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let browser = begin.place.browser.map(|name| name.chars().filter(|c| !c.is_control()).take(BROWSER_NAME_CHARS).collect::<String>());
    let (person, organisation, present_at) = (&member.person.id, &member.organisation.id, begin.present_at);
    let sso = begin.sso.map(|facts| serde_json::json!(facts).to_string());
    let (subject, sid) = (begin.sso.and_then(|facts| facts.subject.as_deref()), begin.sso.and_then(|facts| facts.sid.as_deref()));
    let (method, peer) = (begin.method, begin.place.peer);
    tx.execute(insert, params![id, digest, person, organisation, now, present_at, until, method, peer, browser, sso, subject, sid])?;
    Ok((plain, id))
}

/// A new session in the place of this one, at `present_at`; it ends when the old one would have. Nothing when the old one has
/// ended meanwhile.
pub(crate) fn renew(
    tx: &mut Tx<'_>,
    env: &Env,
    old: &Session,
    present_at: Timestamp,
) -> Result<Option<(Secret<String>, Session)>, DbError> {
    let end = "update session set ended_at = $2 where id = $1 and ended_at is null";
    if tx.execute(end, params![old.id, env.now()])? != 1 {
        return Ok(None);
    }
    let (plain, digest) = token::mint(env, PREFIX);
    let id = SessionId::mint(env);
    let copy =
        "insert into session (id, token_hash, person, organisation, signed_in_at, present_at, expires_at, method, peer, browser, sso,
                sso_subject, sso_sid)
                select $2, $3, person, organisation, signed_in_at, $4, expires_at, method, peer, browser, sso, sso_subject, sso_sid from session where id = $1";
    tx.execute(copy, params![old.id, id, digest, present_at])?;
    sign_on::moved(tx, &old.id, &id)?;
    Ok(Some((plain, Session { id, present_at: Some(present_at), recovering: false, ..old.clone() })))
}

/// The company was asked anew: from here on the session goes with the one that the person has there now.
pub(crate) fn follow(tx: &mut Tx<'_>, session: &SessionId, facts: &SsoFacts) -> Result<(), DbError> {
    let update = "update session set sso = $2, sso_subject = $3, sso_sid = $4 where id = $1";
    tx.execute(update, params![session, serde_json::json!(facts).to_string(), facts.subject, facts.sid]).map(drop)
}
