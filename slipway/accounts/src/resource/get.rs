//! Looking resources up. Another account's resource does not exist.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudResourceId};

use super::{Resource, read};
use crate::service::Service;

/// # Errors
/// When the store fails.
pub fn resource_get(tx: &mut Tx<'_>, account: &CloudAccountId, id: &CloudResourceId) -> Result<Option<Resource>, DbError> {
    let select = "select * from cloud_resource where id = $1 and account = $2";
    tx.query_opt(select, params![id, account])?.map(|row| read(&row)).transpose()
}

/// The accounts that have a service now.
///
/// # Errors
/// When the store fails.
pub fn resource_accounts(tx: &mut Tx<'_>, service: Service) -> Result<Vec<CloudAccountId>, DbError> {
    let select = "select distinct account from cloud_resource where service = $1 and state = 'complete' order by account";
    tx.query(select, params![service.id()])?.iter().map(|row| row.parse("account")).collect()
}

/// The order that was made under an idempotency key.
///
/// # Errors
/// When the store fails.
pub fn resource_by_key(tx: &mut Tx<'_>, account: &CloudAccountId, key: &str) -> Result<Option<Resource>, DbError> {
    let select = "select * from cloud_resource where account = $1 and order_key = $2";
    tx.query_opt(select, params![account, key])?.map(|row| read(&row)).transpose()
}

/// What is neither removed nor failed, oldest first.
///
/// # Errors
/// When the store fails.
pub fn resource_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Resource>, DbError> {
    let select = "select * from cloud_resource where account = $1 and state in ('pending', 'complete') order by created_at, id";
    tx.query(select, params![account])?.iter().map(read).collect()
}

/// Orders without an outcome that were begun before a moment, oldest first; for whoever finishes them.
///
/// # Errors
/// When the store fails.
pub fn resource_pending(tx: &mut Tx<'_>, before: Timestamp, limit: u32) -> Result<Vec<Resource>, DbError> {
    let select = "select * from cloud_resource where state = 'pending' and created_at < $1 order by created_at limit $2";
    tx.query(select, params![before, limit])?.iter().map(read).collect()
}
