//! `token_revoke`: ends every token of a resource, for good.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudResourceId;

/// # Errors
/// When the store fails.
pub fn token_revoke(tx: &mut Tx<'_>, resource: &CloudResourceId, now: Timestamp) -> Result<u64, DbError> {
    tx.execute("update api_token set revoked_at = $2 where resource = $1 and revoked_at is null", params![resource, now])
}
