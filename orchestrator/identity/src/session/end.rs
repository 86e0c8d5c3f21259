//! `session_end`: signing out, here and elsewhere. It never needs a step-up.

use purser_authority::action::SessionEnd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Env, Timestamp};

use super::Session;
use crate::authorization::sign_on;

#[derive(Debug, thiserror::Error)]
pub enum SessionEndError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for SessionEndError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        if let Self::Denied(e) = self { e.hint() } else { None }
    }
}

/// Signs the browser out, and tells the clients that the person signed on to from it.
///
/// # Errors
/// When the store fails.
pub fn session_end(tx: &mut Tx<'_>, env: &Env, session: &Session) -> Result<Done<()>, DbError> {
    tx.execute("update session set ended_at = $2 where id = $1 and ended_at is null", params![session.id, env.now()])?;
    sign_on::end_of_session(tx, env, &session.id)?;
    Ok(Done::with_event((), Event::done("session_end", &session.caller(), session.id.as_str())))
}

/// Signs the person out everywhere but here, terminals included; with `only`, out of that one. Answers how many ended.
///
/// # Errors
/// [`Denied::NotFound`] when `only` is none of the person's other sessions.
pub fn sessions_end_others(
    tx: &mut Tx<'_>,
    now: Timestamp,
    permit: Permit<SessionEnd>,
    session: &Session,
    only: Option<&str>,
) -> Result<Done<u64>, SessionEndError> {
    let end = "update session set ended_at = $3 where person = $1 and id <> $2 and ended_at is null and expires_at > $3
               and ($4 = '' or id = $4)";
    let ended = tx.execute(end, params![session.member.person.id, session.id, now, only.unwrap_or_default()])?;
    let revoke =
        "update person_token set revoked_at = $2 where person = $1 and revoked_at is null and expires_at > $2 and ($3 = '' or id = $3)";
    let ended = ended + tx.execute(revoke, params![session.member.person.id, now, only.unwrap_or_default()])?;
    if only.is_some() && ended == 0 {
        return Err(Denied::NotFound.into());
    }
    let event = Event::done(permit.verb(), permit.caller(), only.unwrap_or(session.member.person.id.as_str()));
    Ok(Done::with_event(ended, event.with(serde_json::json!({ "ended": ended, "others": only.is_none() }))))
}
