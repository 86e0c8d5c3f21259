//! `domain_remove`: let a domain go. It is detached, not deleted: no registry takes a registration back.

use purser_db::{DbError, Tx};
use purser_values::error::{Kind, PublicError};
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::domain::get::domain_get;
use crate::domain::{Domain, Paid, State};
use crate::store;

/// Why a domain was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error("there is no such domain in this account")]
    NotFound,
    #[error("the domain's registration is not finished")]
    Pending,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for RemoveError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "domain_not_found",
            Self::Pending => "domain_pending",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Pending => Kind::Conflict,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound => None,
            Self::Pending => Some("repeat the request that registers it first".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

/// Detaches the domain; doing it twice is doing it once, and what was given back stays so. The caller removes the zone and the host names in the same write.
///
/// # Errors
/// When the account has no such domain, or its registration is under way.
pub fn domain_remove(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName, paid: Paid) -> Result<Domain, RemoveError> {
    let mut domain = domain_get(tx, account, name)?.ok_or(RemoveError::NotFound)?;
    match domain.state {
        State::Registered { registered_at, expires_at } => {
            domain.state = State::Detached { registered_at, expires_at, paid };
            store::set_state(tx, &domain.id, &domain.state)?;
            Ok(domain)
        }
        State::Detached { .. } => Ok(domain),
        State::Ended { .. } => Err(RemoveError::NotFound),
        State::Pending | State::Refused(_) => Err(RemoveError::Pending),
    }
}
