//! `signing_key_rotate`: new signing keys, announced long before they sign, or at once in an emergency.
//!
//! One write makes the new keys and gives the old ones their end, so that no crash leaves an orchestrator without a key, and of two
//! rotations at once the second sees the first.

use purser_authority::action::SigningKeyRotate;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use serde::Serialize;
use serde_json::json;

use super::KeysError;
use super::life::KeyState;
use super::ring::{self, ALGORITHMS, Held, Rows};
use crate::limits::{KEY_HEAD_START_S, KEY_SETTLE_S, KEY_VERIFIES_S};
use crate::realm::Realm;

/// How soon the new keys sign, and what becomes of the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Once everybody who keeps our keys can have the new ones; the old ones verify until what they signed has ended.
    Announced,
    /// As soon as every node has the new keys. Keys that are announced already begin.
    Now,
    /// The same, with keys that nobody has seen, and nothing that the old ones signed is taken any more.
    Compromised,
}

impl Haste {
    const fn name(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Now => "now",
            Self::Compromised => "compromised",
        }
    }
}

/// What a rotation came to.
#[derive(Clone, Debug, Serialize)]
pub struct Rotation {
    /// The names of the new keys, one for each algorithm.
    pub keys: Vec<String>,
    pub signs_from: Timestamp,
    /// When what the old keys signed is no longer taken.
    pub old_leave_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("new signing keys are announced already; they sign from {0}")]
    Waiting(Timestamp),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Keys(KeysError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<KeysError> for RotateError {
    /// A conflict in the store must stay one: the write is run again for it.
    fn from(e: KeysError) -> Self {
        match e {
            KeysError::Db(e) => Self::Db(e),
            e => Self::Keys(e),
        }
    }
}

impl PublicError for RotateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Waiting(_) => "signing_key_waiting",
            Self::Denied(e) => e.code(),
            Self::Keys(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Waiting(_) => Kind::Conflict,
            Self::Denied(e) => e.kind(),
            Self::Keys(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Waiting(_) => Some("wait, or let them begin with `purser keys rotate --now`".to_owned()),
            Self::Denied(e) => e.hint(),
            Self::Keys(_) | Self::Db(_) => None,
        }
    }
}

/// Puts a new signing key in the place of each that signs.
///
/// # Errors
/// [`RotateError::Waiting`] when the last rotation has not come to its end.
pub fn signing_key_rotate(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SigningKeyRotate>,
    haste: Haste,
) -> Result<Done<Rotation>, RotateError> {
    let now = realm.env.now();
    let held = Rows::read(tx, &realm.keyring, None)?.0;
    let settled = now.plus_secs(KEY_SETTLE_S);
    let signs_from = if haste == Haste::Announced { now.plus_secs(KEY_HEAD_START_S) } else { settled };
    let waiting = held.iter().find(|held| held.life.state(now) == KeyState::Announced).map(|held| held.life.signs_from);
    if let Some(from) = waiting.filter(|from| haste == Haste::Announced || *from <= settled) {
        return Err(RotateError::Waiting(from));
    }
    let old_leave_at = if haste == Haste::Compromised { signs_from } else { signs_from.plus_secs(KEY_VERIFIES_S) };
    let mut done = Done::quiet(Rotation { keys: Vec::new(), signs_from, old_leave_at });
    for alg in ALGORITHMS {
        let of_alg = || held.iter().filter(|held| held.public.algorithm() == alg);
        let in_state = |state| of_alg().filter(move |held: &&Held| held.life.state(now) == state);
        let announced = in_state(KeyState::Announced).next().filter(|_| haste == Haste::Now);
        let kid = match announced {
            Some(next) => {
                tx.execute("update signing_key set signs_from = $2 where kid = $1", params![next.kid, signs_from])?;
                next.kid.clone()
            }
            None => ring::add(tx, &realm.env, &realm.keyring, alg, signs_from)?,
        };
        let ends: Vec<&Held> = match haste {
            Haste::Announced | Haste::Now => in_state(KeyState::Signing).collect(),
            Haste::Compromised => of_alg().filter(|held| held.life.state(now) != KeyState::Left).collect(),
        };
        for old in &ends {
            let update = "update signing_key set retired_at = case when retired_at < $2 then retired_at else $2 end, leaves_at = $3
                          where kid = $1";
            tx.execute(update, params![old.kid, signs_from, old_leave_at])?;
        }
        let data = json!({
            "algorithm": alg.name(), "how": haste.name(), "signs_from": signs_from, "old_leave_at": old_leave_at,
        });
        let event = Event::done(permit.verb(), permit.caller(), kid.as_str()).related(ends.iter().map(|old| &old.kid)).with(data);
        done = done.and_event(event);
        done.value.keys.push(kid);
    }
    Ok(done)
}
