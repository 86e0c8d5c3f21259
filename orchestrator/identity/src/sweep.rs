//! Forgetting what has run out, so that the tables of codes and proofs stay small.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;

/// Seconds that codes, requests and tokens are kept after they ran out: a reused refresh token must still be recognised as ours.
const KEEP_S: i64 = 7 * 86_400;

/// Deletes what nobody can use any more. Run it every minute or so; it is cheap when there is nothing to do.
///
/// # Errors
/// When the store fails.
pub fn sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from dpop_proof where expires_at < $1", params![now])?;
    tx.execute("delete from client_assertion where expires_at < $1", params![now])?;
    tx.execute("delete from revoked_token where expires_at < $1", params![now])?;
    tx.execute("delete from spent_statement where expires_at < $1", params![now])?;
    let old = now.plus_secs(-KEEP_S);
    tx.execute("delete from authorization_request where expires_at < $1", params![old])?;
    tx.execute("delete from authorization_code where expires_at < $1", params![old])?;
    tx.execute("delete from device_sign_on where expires_at < $1", params![old])?;
    tx.execute("delete from sign_on_refresh where expires_at < $1", params![old])?;
    tx.execute("delete from sign_in_code where expires_at < $1", params![old])?;
    tx.execute("delete from passkey_challenge where expires_at < $1", params![now])?;
    tx.execute("delete from totp_try where at < $1", params![old])?;
    tx.execute("delete from security_link where expires_at < $1", params![old])?;
    tx.execute("delete from sso_attempt where expires_at < $1", params![old])?;
    tx.execute("delete from presence_code where expires_at < $1", params![old])?;
    tx.execute("delete from session where expires_at < $1", params![old])?;
    tx.execute("delete from person_token where expires_at < $1", params![old])?;
    tx.execute("delete from bootstrap_link where expires_at < $1", params![old])?;
    tx.execute("delete from refresh_token where expires_at < $1", params![old])?;
    tx.execute("delete from grant_request where expires_at < $1 and grant_id is null", params![old]).map(drop)
}
