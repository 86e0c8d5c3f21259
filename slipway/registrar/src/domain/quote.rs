//! `domain_quote`: whether an account can have a name, and for how much. Asked before any money moves.

use purser_db::DbError;
use purser_values::Money;
use purser_values::error::{Kind, PublicError};
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::domain::{Domain, MAX_YEARS, Paid, Refusal, State, exact, refusal};
use crate::registrar::Registrar;
use crate::registry::Availability;
use crate::store;

/// A price for one exact name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// For all years together. Zero when the account takes its own detached domain up again that it has paid for.
    pub price: Money,
    pub yearly: Money,
    pub years: u32,
}

/// Why there is no price.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("a name is registered for 1 to {MAX_YEARS} years")]
    Years,
    #[error("the registry gives no answer: {0}")]
    Unavailable(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for QuoteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Years => "domain_years_invalid",
            Self::Unavailable(_) => "registry_unavailable",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::Years => Kind::Invalid,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Years => Some(format!("ask for 1 to {MAX_YEARS} years")),
            Self::Unavailable(_) => Some("try again later".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

/// # Errors
/// When the name cannot be had, or nobody can tell.
pub async fn domain_quote(registrar: &Registrar, account: &CloudAccountId, name: &DomainName, years: u32) -> Result<Quote, QuoteError> {
    if !(1..=MAX_YEARS).contains(&years) {
        return Err(QuoteError::Years);
    }
    exact(name, registrar.registry.suffixes())?;
    let (wanted, now) = (name.clone(), registrar.env.now());
    let held = registrar.db.read(move |tx| store::live_by_name(tx, &wanted)).await?;
    if let Some(held) = held {
        return match again(&held, account, now) {
            Some(price) => Ok(Quote { price, yearly: price, years }),
            None => Err(Refusal::Taken.into()),
        };
    }
    let availability = registrar.registry.check(name).await;
    match availability.map_err(|e| refusal(e).map_or_else(QuoteError::Unavailable, QuoteError::Refused))? {
        Availability::Free { yearly } => Ok(Quote { price: times(yearly, years), yearly, years }),
        Availability::Taken => Err(Refusal::Taken.into()),
        Availability::Premium { .. } => Err(Refusal::Premium.into()),
    }
}

/// What it costs `account` to take up again a domain that it let go; nothing when it is not its to take.
pub(crate) fn again(domain: &Domain, account: &CloudAccountId, now: purser_values::Timestamp) -> Option<Money> {
    match domain.state {
        State::Detached { expires_at, paid, .. } if domain.account == *account && now < expires_at => Some(match paid {
            Paid::Yes => Money::zero(domain.price.currency()),
            Paid::GivenBack => domain.price,
        }),
        _ => None,
    }
}

/// At most [`MAX_YEARS`] times a registry's price, which cannot overflow in practice; if it does the price is one nobody pays.
fn times(yearly: Money, years: u32) -> Money {
    Money::from_minor(yearly.minor().saturating_mul(i64::from(years)), yearly.currency())
}
