//! Looking accounts up.

use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudPersonId};

use super::{Account, read};

/// # Errors
/// When the store fails.
pub fn account_get(tx: &mut Tx<'_>, id: &CloudAccountId) -> Result<Option<Account>, DbError> {
    tx.query_opt("select * from cloud_account where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

/// Every account, oldest first; for reconcilers.
///
/// # Errors
/// When the store fails.
pub fn account_list(tx: &mut Tx<'_>) -> Result<Vec<Account>, DbError> {
    tx.query("select * from cloud_account order by created_at, id", params![])?.iter().map(read).collect()
}

/// # Errors
/// When the store fails.
pub fn account_count(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from cloud_account", params![])?.get("n")
}

/// The accounts that a person owns, oldest first.
///
/// # Errors
/// When the store fails.
pub fn account_list_of(tx: &mut Tx<'_>, person: &CloudPersonId) -> Result<Vec<Account>, DbError> {
    let select = "select a.* from cloud_account a join cloud_membership m on m.account = a.id
                  where m.person = $1 and m.role = 'owner' order by a.created_at, a.id";
    tx.query(select, params![person])?.iter().map(read).collect()
}
