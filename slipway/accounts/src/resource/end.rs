//! `resource_complete`, `resource_fail`, `resource_remove`: the outcomes of an order. The first outcome stands.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudResourceId;
use purser_wire::error::ErrorBody;

/// Everything that belongs to the order has happened.
///
/// # Errors
/// When the store fails.
pub fn resource_complete(tx: &mut Tx<'_>, id: &CloudResourceId, now: Timestamp) -> Result<(), DbError> {
    let update = "update cloud_resource set state = 'complete', changed_at = $2 where id = $1 and state = 'pending'";
    tx.execute(update, params![id, now]).map(drop)
}

/// The order will never be carried out; its claim is free again.
///
/// # Errors
/// When the store fails.
pub fn resource_fail(tx: &mut Tx<'_>, id: &CloudResourceId, why: &ErrorBody, now: Timestamp) -> Result<(), DbError> {
    let update = "update cloud_resource set state = 'failed', code = $2, message = $3, claim = null, changed_at = $4
                  where id = $1 and state = 'pending'";
    tx.execute(update, params![id, why.code, why.message, now]).map(drop)
}

/// # Errors
/// When the store fails.
pub fn resource_remove(tx: &mut Tx<'_>, id: &CloudResourceId, now: Timestamp) -> Result<(), DbError> {
    let update = "update cloud_resource set state = 'removed', claim = null, changed_at = $2 where id = $1 and state = 'complete'";
    tx.execute(update, params![id, now]).map(drop)
}
