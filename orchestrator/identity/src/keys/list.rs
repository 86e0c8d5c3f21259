//! `signing_key_list`: every key that there ever was, and what it does now.

use purser_authority::Permit;
use purser_authority::action::SigningKeyRead;
use purser_db::Tx;
use serde::Serialize;

use super::KeysError;
use super::life::{KeyLife, KeyState};
use super::ring::Rows;
use crate::realm::Realm;

#[derive(Clone, Debug, Serialize)]
pub struct ListedKey {
    pub kid: String,
    pub algorithm: &'static str,
    pub state: KeyState,
    #[serde(flatten)]
    pub life: KeyLife,
}

/// Newest first.
///
/// # Errors
/// When the store fails or a key does not open.
pub fn signing_key_list(tx: &mut Tx<'_>, realm: &Realm, _permit: &Permit<SigningKeyRead>) -> Result<Vec<ListedKey>, KeysError> {
    let now = realm.env.now();
    let listed = |held: &super::ring::Held| ListedKey {
        kid: held.kid.clone(),
        algorithm: held.public.algorithm().name(),
        state: held.life.state(now),
        life: held.life,
    };
    Ok(Rows::read(tx, &realm.keyring, None)?.0.iter().map(listed).collect())
}
