//! Changing a zone's key while everybody can check its signatures at every moment.
//!
//! A new key is first shown, then named by the parent beside the old one, and only when nobody can remember a time before that, it takes
//! over. The old one stays in sight until nobody can remember a signature of it (RFC 7583, double DS with a key that is shown before).

use purser_crypto::seal::Keyring;
use purser_db::Tx;
use purser_values::{Env, Timestamp};

use super::keys::{Key, KeyState, KeysError, Pushed, Signing, forget_keys, key_make, keys, pushed, remove, set_state, signing};
use super::{KEY_TTL_S, PARENT_S};
use crate::record::TTL_MAX_S;
use crate::store;
use crate::zone::Zone;

/// A key is replaced after this time.
pub const KEY_AGE_S: i64 = 365 * 86_400;
/// A zone whose copies elsewhere hold signatures from long ago gets a new serial number, so that they fetch new ones.
const SIGNATURES_S: i64 = 3 * 86_400;

/// Begins to replace the zone's key; nothing when a replacement is under way.
///
/// # Errors
/// When the zone is not signed, or the key cannot be made.
pub fn key_roll(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, zone: &Zone) -> Result<(), KeysError> {
    let signed = matches!(signing(tx, zone)?, Signing::On { .. });
    if signed && keys(tx, zone)?.iter().all(|key| key.state == KeyState::Active) {
        key_make(tx, env, keyring, zone, KeyState::Published)?;
        store::touch(tx, zone, env.now())?;
    }
    Ok(())
}

/// Does what is due for the zone's keys at this moment; whether anything was.
///
/// # Errors
/// When a key cannot be made, or the store fails.
pub fn key_step(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, zone: &Zone) -> Result<bool, KeysError> {
    let now = env.now();
    match signing(tx, zone)? {
        Signing::Off => return Ok(false),
        Signing::Ending { since } => {
            let told = pushed(tx, zone)?;
            let over = told.ds.is_empty() && now >= told.at.unwrap_or(since).plus_secs(PARENT_S);
            if over {
                forget_keys(tx, zone, now)?;
            }
            return Ok(over);
        }
        Signing::On { .. } => {}
    }
    let told = pushed(tx, zone)?;
    let all = keys(tx, zone)?;
    let of = |state| all.iter().find(|key| key.state == state);
    let changed = match (of(KeyState::Published), of(KeyState::Active), of(KeyState::Retired)) {
        (_, _, Some(old)) if forgotten(old, &told, now) => {
            remove(tx, zone, old.tag)?;
            true
        }
        (Some(new), Some(old), _) if takes_over(new, &told, now) => {
            set_state(tx, zone, old.tag, KeyState::Retired, now)?;
            set_state(tx, zone, new.tag, KeyState::Active, now)?;
            true
        }
        (None, Some(key), None) if now >= key.since.plus_secs(KEY_AGE_S) => {
            key_make(tx, env, keyring, zone, KeyState::Published)?;
            true
        }
        // The copies elsewhere.
        _ => now.as_secs() >= i64::from(zone.serial) + SIGNATURES_S,
    };
    if changed {
        store::touch(tx, zone, now)?;
    }
    Ok(changed)
}

/// Whether everybody knows the key, and the parent's word on it. A parent that was never told keeps the old key at work.
fn takes_over(new: &Key, told: &Pushed, now: Timestamp) -> bool {
    told.ds.iter().any(|ds| ds.key_tag == new.tag) && told.at.is_some_and(|at| now >= at.plus_secs(PARENT_S))
}

/// Whether nobody remembers a signature of the key, nor the parent's word on it.
fn forgotten(old: &Key, told: &Pushed, now: Timestamp) -> bool {
    let unnamed = told.ds.iter().all(|ds| ds.key_tag != old.tag) && told.at.is_some_and(|at| now >= at.plus_secs(PARENT_S));
    unnamed && now >= old.since.plus_secs(i64::from(TTL_MAX_S) + i64::from(KEY_TTL_S))
}
