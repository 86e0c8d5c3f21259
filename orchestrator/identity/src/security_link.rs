//! Mailed links that undo a change to who can get in, for the person who did not make it.
//!
//! A link needs no sign-in: whoever reads the mailbox that was the login's may stop what happens to it. It never opens anything; it
//! ends sessions, cancels a recovery, and puts an address back.

use purser_authority::{Caller, Denied, Done, Event};
use purser_crypto::seal::SealError;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::PersonId;
use purser_values::name::Email;
use purser_values::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::limits::UNDO_BEFORE_S;
use crate::realm::Realm;
use crate::{person, recovery};

const PREFIX: &str = "pur_ul";

/// What a link undoes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Undoable {
    EmailChange { old: Email, new: Email, at: Timestamp },
    Recovery,
}

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("this link is not known, was used, or is too old")]
    Unknown,
    #[error("the address is the login of somebody else by now")]
    Taken,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for LinkError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "undo_link_unknown",
            Self::Taken => "email_taken",
            Self::Denied(e) => e.code(),
            Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Taken => Kind::Conflict,
            Self::Denied(e) => e.kind(),
            Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown => Some("sign in and look at the security page".to_owned()),
            Self::Taken => Some("ask whoever runs this installation".to_owned()),
            Self::Denied(e) => e.hint(),
            Self::Seal(_) | Self::Db(_) => None,
        }
    }
}

/// What was put right.
#[derive(Debug)]
pub struct Undone {
    pub what: Undoable,
    pub sessions_ended: u64,
    /// Passkeys that were added with the change, and went with it.
    pub passkeys_removed: u64,
}

pub(crate) fn make(
    tx: &mut Tx<'_>,
    realm: &Realm,
    person: &PersonId,
    what: &Undoable,
    until: Timestamp,
) -> Result<Secret<String>, DbError> {
    let (plain, digest) = token::mint(&realm.env, PREFIX);
    let insert = "insert into security_link (token_hash, person, kind, data, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)";
    let kind = match what {
        Undoable::EmailChange { .. } => "email_change",
        Undoable::Recovery => "recovery",
    };
    tx.execute(insert, params![digest, person, kind, serde_json::json!(what), realm.env.now(), until])?;
    Ok(Secret::new(realm.url(&format!("/security/undo?token={}", plain.expose()))))
}

/// What the link would undo, without doing it.
///
/// # Errors
/// [`LinkError::Unknown`].
pub fn security_link_of(tx: &mut Tx<'_>, now: Timestamp, link: &str) -> Result<(PersonId, Undoable), LinkError> {
    if !token::is_well_formed(link, PREFIX) {
        return Err(LinkError::Unknown);
    }
    let select = "select person, data from security_link where token_hash = $1 and used_at is null and expires_at > $2";
    let row = tx.query_opt(select, params![token::hash(link), now])?.ok_or(LinkError::Unknown)?;
    Ok((row.parse("person")?, row.json("data")?))
}

/// Undoes it, once, and signs every browser of the person out.
///
/// # Errors
/// See [`LinkError`].
pub fn security_undo(tx: &mut Tx<'_>, realm: &Realm, link: &str) -> Result<Done<Undone>, LinkError> {
    let now = realm.env.now();
    let (id, what) = security_link_of(tx, now, link)?;
    tx.execute("update security_link set used_at = $2 where token_hash = $1", params![token::hash(link), now])?;
    let member = person::home(tx, &id)?.ok_or(LinkError::Unknown)?;
    let mut passkeys_removed = 0;
    recovery::cancel(tx, &id, now, "mailed_link")?;
    if let Undoable::EmailChange { old, at, .. } = &what {
        if let Some(holder) = person::by_email(tx, old)?
            && holder != id
        {
            return Err(LinkError::Taken);
        }
        tx.execute("update person set email = $2 where id = $1", params![id, old])?;
        // Whoever changed the address may have left a way in behind.
        let since = at.plus_secs(-UNDO_BEFORE_S);
        tx.execute("delete from sso_identity where person = $1 and linked_at >= $2", params![id, since])?;
        passkeys_removed = tx.execute("delete from passkey where person = $1 and created_at >= $2", params![id, since])?;
        if tx.execute("delete from totp where person = $1 and created_at >= $2", params![id, since])? > 0 {
            tx.execute("delete from recovery_code where person = $1", params![id])?;
        }
    }
    let end = "update session set ended_at = $2 where person = $1 and ended_at is null and expires_at > $2";
    let sessions_ended = tx.execute(end, params![id, now])?;
    tx.execute("update person_token set revoked_at = $2 where person = $1 and revoked_at is null", params![id, now])?;
    let caller = Caller::Person { person: id.clone(), organisation: member.organisation.id.clone(), role: member.role, present_at: None };
    let event = Event::done("security_undo", &caller, id.as_str())
        .with(serde_json::json!({ "undone": what, "sessions_ended": sessions_ended, "passkeys_removed": passkeys_removed }));
    Ok(Done::with_event(Undone { what, sessions_ended, passkeys_removed }, event))
}
