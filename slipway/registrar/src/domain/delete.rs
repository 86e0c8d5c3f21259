//! `domain_delete`: give a name back to the registry in its first days, while that costs nothing.
//!
//! It is a wish like every change of a domain ([`super::change`]): recorded, asked for, and its outcome recorded, with which the
//! registration is over. What was paid is the caller's to give back, in the write that clears away what stood on the name.

use purser_db::{DbError, Tx};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use super::change::{Change, ChangeError, domain_change_while};
use super::get::domain_get;
use super::{Domain, State};
use crate::registrar::Registrar;
use crate::registry::RegistryError;

/// How long a name can be given back, in seconds. Registries give five days; the last one is for clocks that differ and answers that are lost.
pub const FREE_S: i64 = 4 * 86_400;

/// Why a name was not given back.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("a name can be given back in its first {} days; it stays yours until it ends", FREE_S / 86_400)]
    TooLate,
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl PublicError for DeleteError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLate => "domain_delete_too_late",
            Self::Change(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooLate => Kind::Conflict,
            Self::Change(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLate => Some("switch its renewal off instead".to_owned()),
            Self::Change(e) => e.hint(),
        }
    }
}

/// # Errors
/// When the domain's first days are over.
pub fn in_time(domain: &Domain, now: Timestamp) -> Result<(), DeleteError> {
    match domain.state {
        State::Registered { registered_at, .. } if now >= registered_at.plus_secs(FREE_S) => Err(DeleteError::TooLate),
        _ => Ok(()),
    }
}

/// # Errors
/// When the account has no such domain, its first days are over, the registry refuses, or it gives no answer; then the wish stays.
pub async fn domain_delete(registrar: &Registrar, account: &CloudAccountId, name: &DomainName) -> Result<(), DeleteError> {
    domain_delete_while(registrar, account, name, |_| Ok(true)).await
}

/// The same for a caller who may be stopped meanwhile.
///
/// # Errors
/// As [`domain_delete`]; [`ChangeError::Stopped`] when it does not stand any more.
pub async fn domain_delete_while(
    registrar: &Registrar,
    account: &CloudAccountId,
    name: &DomainName,
    stands: impl Fn(&mut Tx<'_>) -> Result<bool, DbError> + Send + 'static,
) -> Result<(), DeleteError> {
    let (of, wanted, now) = (account.clone(), name.clone(), registrar.env.now());
    let held = registrar.db.read(move |tx| domain_get(tx, &of, &wanted)).await.map_err(ChangeError::from)?;
    held.map_or(Ok(()), |held| in_time(&held, now))?;
    Ok(domain_change_while(registrar, account, name, Change::Delete, stands).await?)
}

/// Asks the registry. A name that is not ours any more was given back by an order whose answer was lost; one whose days ran out
/// meanwhile stays, or it would be gone without its price.
pub(super) async fn give_back(registrar: &Registrar, name: &DomainName) -> Result<(), RegistryError> {
    match registrar.registry.info(name).await {
        Ok(None) | Err(RegistryError::Taken) => Ok(()),
        Ok(Some(held)) if held.deleted => Ok(()),
        Ok(Some(held)) if registrar.env.now() < held.registered_at.plus_secs(FREE_S) => registrar.registry.delete(name).await,
        Ok(Some(_)) => Err(RegistryError::Invalid("the first days of the name are over".to_owned())),
        Err(e) => Err(e),
    }
}
