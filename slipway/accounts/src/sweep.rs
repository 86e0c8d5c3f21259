//! Forgets what is over: codes, sessions, requests to connect, agreements that nobody redeemed.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_wire::limits::CODE_LIFE_S;

use crate::limits::{LINK_REQUEST_KEPT_S, SIGN_IN_KEPT_S};

/// Run now and then.
///
/// # Errors
/// When the store fails.
pub fn people_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    let mut n = tx.execute("delete from cloud_sign_in where created_at <= $1", params![now.plus_secs(-SIGN_IN_KEPT_S)])?;
    n += tx.execute("delete from cloud_session where expires_at <= $1", params![now])?;
    n += tx.execute("delete from cloud_link_request where created_at <= $1", params![now.plus_secs(-LINK_REQUEST_KEPT_S)])?;
    let agreed = "update cloud_link set state = 'cut', cut_at = $2 where state = 'agreed' and created_at <= $1";
    n += tx.execute(agreed, params![now.plus_secs(-CODE_LIFE_S), now])?;
    Ok(n)
}
