//! A person's signed-in browser. The cookie's value is minted at sign-in and never taken from outside, so none can be fixed before.

use purser_crypto::{constant_time_eq, encoding, token};
use purser_db::{DbError, Tx, params};
use purser_values::id::CloudSessionId;
use purser_values::limits::SESSION_LIFE_S;
use purser_values::{Env, Secret, Timestamp};

use crate::limits::STEP_UP_S;
use crate::person::Person;
use crate::person::find::person_get;
use crate::realm::CodeKey;

/// The prefix of session cookies.
const PREFIX: &str = "slp_ss";

/// A session that is valid now.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: CloudSessionId,
    pub person: Person,
    pub signed_in_at: Timestamp,
}

impl Session {
    /// Whether the sign-in is recent enough to give or take an orchestrator's access.
    #[must_use]
    pub fn is_recent(&self, now: Timestamp) -> bool {
        now < self.signed_in_at.plus_secs(STEP_UP_S)
    }

    /// The token that every form of this session carries.
    #[must_use]
    pub fn csrf(&self, key: &CodeKey) -> String {
        encoding::b64url(&key.mac("session-csrf", &[self.id.as_str()]))
    }

    #[must_use]
    pub fn csrf_matches(&self, key: &CodeKey, given: &str) -> bool {
        constant_time_eq(self.csrf(key).as_bytes(), given.as_bytes())
    }
}

pub(crate) fn start(tx: &mut Tx<'_>, env: &Env, person: &Person) -> Result<Secret<String>, DbError> {
    let (plain, digest) = token::mint(env, PREFIX);
    let (id, now) = (CloudSessionId::mint(env), env.now());
    let insert = "insert into cloud_session (id, token_hash, person, signed_in_at, expires_at) values ($1, $2, $3, $4, $5)";
    tx.execute(insert, params![id, digest, person.id, now, now.plus_secs(SESSION_LIFE_S)])?;
    Ok(plain)
}

/// The session of a cookie, if it is valid now.
///
/// # Errors
/// When the store fails.
pub fn session_of(tx: &mut Tx<'_>, now: Timestamp, cookie: &str) -> Result<Option<Session>, DbError> {
    if !token::is_well_formed(cookie, PREFIX) {
        return Ok(None);
    }
    let select = "select id, person, signed_in_at from cloud_session where token_hash = $1 and ended_at is null and expires_at > $2";
    let Some(row) = tx.query_opt(select, params![token::hash(cookie), now])? else { return Ok(None) };
    let Some(person) = person_get(tx, &row.parse("person")?)? else { return Ok(None) };
    Ok(Some(Session { id: row.parse("id")?, person, signed_in_at: row.get("signed_in_at")? }))
}

/// `session_end`: signs the browser out. A cookie that is no session's changes nothing.
///
/// # Errors
/// When the store fails.
pub fn session_end(tx: &mut Tx<'_>, now: Timestamp, cookie: &str) -> Result<(), DbError> {
    let update = "update cloud_session set ended_at = $2 where token_hash = $1 and ended_at is null";
    tx.execute(update, params![token::hash(cookie), now]).map(drop)
}
