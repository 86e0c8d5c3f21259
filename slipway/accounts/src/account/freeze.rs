//! `account_freeze` and `account_thaw`: stops everything that the account's tokens and orchestrator can do, and lets it go on.
//! Both are idempotent and lose nothing.

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudAccountId;

use super::AccountState;

/// # Errors
/// When the store fails.
pub fn account_freeze(tx: &mut Tx<'_>, id: &CloudAccountId, dark: bool) -> Result<(), DbError> {
    set(tx, id, AccountState::Frozen { dark })
}

/// # Errors
/// When the store fails.
pub fn account_thaw(tx: &mut Tx<'_>, id: &CloudAccountId) -> Result<(), DbError> {
    set(tx, id, AccountState::Active)
}

fn set(tx: &mut Tx<'_>, id: &CloudAccountId, state: AccountState) -> Result<(), DbError> {
    tx.execute("update cloud_account set state = $2 where id = $1", params![id, state.as_str()]).map(drop)
}
