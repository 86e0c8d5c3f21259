//! Ceilings: how much one agent may spend at one provider in one calendar month (UTC), over all its grants.
//!
//! A cap is set for an agent at all providers, and may be set for one provider in particular. Without any cap an agent
//! cannot spend: unknown is denied.

mod delegate;
mod grant;
mod read;
mod set;

use purser_authority::Denied;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::name::ProviderName;
use purser_values::{Currency, Money};

use crate::spender::Spender;

pub use delegate::delegate;
pub use grant::grant;
pub use read::{CapView, at, of_agent, read};
pub use set::{CapSet, set};

#[derive(Debug, thiserror::Error)]
pub enum CapError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("a cap of `{0}` is not between zero and {max}", max = purser_values::limits::cap_max(.0.currency()))]
    Amount(Money),
    #[error("the cap of this month is in {have}, not in {asked}")]
    Currency { have: Currency, asked: Currency },
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for CapError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Amount(_) => "cap_amount",
            Self::Currency { .. } => "cap_currency",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Amount(_) | Self::Currency { .. } => Kind::Invalid,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Amount(m) => Some(format!("give an amount such as `{}`", purser_values::limits::amount_example(m.currency()))),
            Self::Currency { have, .. } => Some(format!("give the amount in {have}")),
            Self::Store(e) => e.hint(),
        }
    }
}

/// The cap that holds for the agent at the provider: the provider's own if there is one, else the agent's.
pub(crate) fn effective(tx: &mut Tx<'_>, spender: &Spender, provider: &ProviderName) -> Result<Option<Money>, DbError> {
    let own = stored(tx, spender, Some(provider))?;
    if own.is_some() { Ok(own) } else { stored(tx, spender, None) }
}

/// The cap exactly as it was set: for one provider, or (without one) for the agent everywhere.
fn stored(tx: &mut Tx<'_>, spender: &Spender, provider: Option<&ProviderName>) -> Result<Option<Money>, DbError> {
    let select = "select amount, currency from spend_cap where agent = $1 and provider = $2 and organisation = $3";
    let row = tx.query_opt(select, params![spender.agent, provider.map_or("", ProviderName::as_str), spender.organisation])?;
    row.map(|row| Ok(Money::from_minor(row.get("amount")?, row.parse("currency")?))).transpose()
}
