//! Nonces: each is used once until it is over.

use purser_db::{DbError, Tx, params};
use purser_values::{Sha256Digest, Timestamp};

/// INVARIANT (no-replay): true for exactly one caller per nonce until it expires.
///
/// # Errors
/// When the store fails.
pub fn nonce_use(tx: &mut Tx<'_>, nonce: &Sha256Digest, expires_at: Timestamp, now: Timestamp) -> Result<bool, DbError> {
    let upsert = "insert into provisioning_nonce (nonce, expires_at) values ($1, $2)
                  on conflict (nonce) do update set expires_at = $2 where provisioning_nonce.expires_at <= $3";
    Ok(tx.execute(upsert, params![nonce, expires_at, now])? == 1)
}

/// Forgets what is over; run now and then.
///
/// # Errors
/// When the store fails.
pub fn nonce_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from provisioning_nonce where expires_at <= $1", params![now])
}
