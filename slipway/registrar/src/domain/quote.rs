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
    /// It is sold at that price to whoever states it.
    #[error("the name has a special price, {0}")]
    Premium(Money),
    #[error("the price of the name is {now}, not {stated}")]
    PriceChanged { now: Money, stated: Money },
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
            Self::Premium(_) => Refusal::Premium.code(),
            Self::PriceChanged { .. } => "domain_price_changed",
            Self::Years => "domain_years_invalid",
            Self::Unavailable(_) => "registry_unavailable",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::Premium(_) => Refusal::Premium.kind(),
            Self::PriceChanged { .. } => Kind::Conflict,
            Self::Years => Kind::Invalid,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Premium(_) => Refusal::Premium.hint(),
            Self::PriceChanged { .. } => Some("ask for the name's price, and have a person approve the new one".to_owned()),
            Self::Years => Some(format!("ask for 1 to {MAX_YEARS} years")),
            Self::Unavailable(_) => Some("try again later".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

/// `stated` is the price at which the buyer wants the name and no other, as a premium name needs it: nobody pays a special price by accident.
///
/// # Errors
/// When the name cannot be had, not at the price that was stated, or nobody can tell.
pub async fn domain_quote(
    registrar: &Registrar,
    account: &CloudAccountId,
    name: &DomainName,
    years: u32,
    stated: Option<Money>,
) -> Result<Quote, QuoteError> {
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
    let (yearly, special) = match availability.map_err(|e| refusal(e).map_or_else(QuoteError::Unavailable, QuoteError::Refused))? {
        Availability::Free { yearly } => (yearly, false),
        Availability::Premium { yearly } => (yearly, true),
        Availability::Taken => return Err(Refusal::Taken.into()),
    };
    let price = times(yearly, years);
    match stated {
        Some(stated) if stated != price => Err(QuoteError::PriceChanged { now: price, stated }),
        None if special => Err(QuoteError::Premium(price)),
        _ => Ok(Quote { price, yearly, years }),
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
