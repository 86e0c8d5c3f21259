//! Pairs of access and refresh token.

use purser_db::{DbError, Tx, params};
use purser_values::{Sha256Digest, Timestamp};

/// A pair, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub access: Sha256Digest,
    pub refresh: Sha256Digest,
    pub access_expires_at: Timestamp,
    pub refresh_expires_at: Timestamp,
}

/// # Errors
/// When the store fails.
pub fn pair_put(tx: &mut Tx<'_>, account: &str, pair: &Pair, family: Option<&Sha256Digest>) -> Result<(), DbError> {
    let insert = "insert into provisioning_pair (access, refresh, account, family, access_expires_at, refresh_expires_at)
                  values ($1, $2, $3, $4, $5, $6)";
    tx.execute(insert, params![pair.access, pair.refresh, account, family, pair.access_expires_at, pair.refresh_expires_at]).map(drop)
}

/// INVARIANT (refresh-once): replaces the living pair of this refresh token, for exactly one caller; both old tokens are dead.
///
/// # Errors
/// When the store fails.
pub fn pair_rotate(tx: &mut Tx<'_>, refresh: &Sha256Digest, pair: &Pair, now: Timestamp) -> Result<Option<String>, DbError> {
    let update = "update provisioning_pair set access = $2, refresh = $3, access_expires_at = $4, refresh_expires_at = $5
                  where refresh = $1 and refresh_expires_at > $6 returning account";
    let values = params![refresh, pair.access, pair.refresh, pair.access_expires_at, pair.refresh_expires_at, now];
    tx.query_opt(update, values)?.map(|row| row.get("account")).transpose()
}

/// The account of a living access token.
///
/// # Errors
/// When the store fails.
pub fn access_find(tx: &mut Tx<'_>, access: &Sha256Digest, now: Timestamp) -> Result<Option<String>, DbError> {
    let select = "select account from provisioning_pair where access = $1 and access_expires_at > $2";
    tx.query_opt(select, params![access, now])?.map(|row| row.get("account")).transpose()
}
