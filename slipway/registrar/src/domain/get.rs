//! `domain_get` and `domain_list`: what an account holds. Another account's domain does not exist.

use purser_db::{DbError, Tx};
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::domain::{Domain, State};
use crate::store;

/// The account's domain of that name, attached or not.
///
/// # Errors
/// When the store fails.
pub fn domain_get(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<Option<Domain>, DbError> {
    Ok(store::live_by_name(tx, name)?.filter(|domain| domain.account == *account))
}

/// The account's registered domains, by name; detached ones are left out.
///
/// # Errors
/// When the store fails.
pub fn domain_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Domain>, DbError> {
    let mut all = store::live_of_account(tx, account)?;
    all.retain(|domain| matches!(domain.state, State::Registered { .. }));
    Ok(all)
}

/// The names of all that the account holds, attached or not.
///
/// # Errors
/// When the store fails.
pub fn domain_names(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<DomainName>, DbError> {
    Ok(store::live_of_account(tx, account)?.into_iter().map(|domain| domain.name).collect())
}

/// The account's last attempt at a name that the registry refused.
///
/// # Errors
/// When the store fails.
pub fn domain_refused(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<Option<Domain>, DbError> {
    store::refused(tx, account, name)
}
