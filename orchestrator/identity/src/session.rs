//! A person's signed-in browser.

use purser_authority::{Caller, Done, Event};
use purser_crypto::{constant_time_eq, encoding, token};
use purser_db::{DbError, Tx, params};
use purser_values::id::{OrganisationId, PersonId, SessionId};
use purser_values::limits::SESSION_LIFE_S;
use purser_values::{Env, Secret, Timestamp};

use crate::keys::Keys;
use crate::limits::STEP_UP_S;
use crate::person::{self, Member};

/// The prefix of session cookies.
const PREFIX: &str = "pur_ss";

/// A session that is valid now. The role is the one that the person has now, not the one at sign-in.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub member: Member,
    pub signed_in_at: Timestamp,
}

impl Session {
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::Person { person: self.member.person.id.clone(), organisation: self.member.organisation.id.clone(), role: self.member.role }
    }

    /// Whether the sign-in is recent enough to raise an agent's authority.
    #[must_use]
    pub fn is_recent(&self, now: Timestamp) -> bool {
        now < self.signed_in_at.plus_secs(STEP_UP_S)
    }

    /// The token that every form of this session carries.
    #[must_use]
    pub fn csrf(&self, keys: &Keys) -> String {
        encoding::b64url(&keys.mac("session-csrf", &[self.id.as_str()]))
    }

    #[must_use]
    pub fn csrf_matches(&self, keys: &Keys, given: &str) -> bool {
        constant_time_eq(self.csrf(keys).as_bytes(), given.as_bytes())
    }
}

pub(crate) fn start(tx: &mut Tx<'_>, env: &Env, member: &Member) -> Result<(Secret<String>, SessionId), DbError> {
    let (plain, digest) = token::mint(env, PREFIX);
    let (id, now) = (SessionId::mint(env), env.now());
    let insert = "insert into session (id, token_hash, person, organisation, signed_in_at, expires_at) values ($1, $2, $3, $4, $5, $6)";
    let until = now.plus_secs(SESSION_LIFE_S);
    tx.execute(insert, params![id, digest, member.person.id, member.organisation.id, now, until])?;
    Ok((plain, id))
}

/// The session of a cookie, if it is valid now and the person still belongs to the organisation.
///
/// # Errors
/// When the store fails.
pub fn session_of(tx: &mut Tx<'_>, now: Timestamp, cookie: &str) -> Result<Option<Session>, DbError> {
    if !token::is_well_formed(cookie, PREFIX) {
        return Ok(None);
    }
    let select =
        "select id, person, organisation, signed_in_at from session where token_hash = $1 and ended_at is null and expires_at > $2";
    let Some(row) = tx.query_opt(select, params![token::hash(cookie), now])? else { return Ok(None) };
    let (organisation, person): (OrganisationId, PersonId) = (row.parse("organisation")?, row.parse("person")?);
    let Some(member) = person::member(tx, &organisation, &person)? else { return Ok(None) };
    Ok(Some(Session { id: row.parse("id")?, member, signed_in_at: row.get("signed_in_at")? }))
}

/// `session_end`: signs the browser out.
///
/// # Errors
/// When the store fails.
pub fn session_end(tx: &mut Tx<'_>, now: Timestamp, session: &Session) -> Result<Done<()>, DbError> {
    tx.execute("update session set ended_at = $2 where id = $1 and ended_at is null", params![session.id, now])?;
    Ok(Done::with_event((), Event::done("session_end", &session.caller(), session.id.as_str())))
}
