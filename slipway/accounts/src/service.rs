//! What slipway sells.

use std::fmt;
use std::str::FromStr;

use purser_values::{Currency, Money};

/// A service of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The free plan.
    Free,
    /// The paid plan.
    Paid,
    /// Access to the runtime: an API token.
    Workers,
    /// A registered domain.
    Domain,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no service `{0}`")]
pub struct UnknownService(String);

impl Service {
    pub const ALL: [Self; 4] = [Self::Free, Self::Paid, Self::Workers, Self::Domain];

    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Free => "workers:free",
            Self::Paid => "workers:paid",
            Self::Workers => "workers",
            Self::Domain => "registrar:domain",
        }
    }

    #[must_use]
    pub const fn is_plan(self) -> bool {
        matches!(self, Self::Free | Self::Paid)
    }

    /// What a month of the plan costs; nothing for what is not a plan.
    #[must_use]
    pub const fn monthly(self) -> Option<Money> {
        match self {
            Self::Free => Some(Money::zero(Currency::USD)),
            Self::Paid => Some(Money::from_minor(5_00, Currency::USD)),
            Self::Workers | Self::Domain => None,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Service {
    type Err = UnknownService;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|service| service.id() == s).ok_or_else(|| UnknownService(s.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_found_by_its_id() {
        for service in Service::ALL {
            assert_eq!(service.id().parse(), Ok(service));
        }
        assert!("workers:max".parse::<Service>().is_err());
    }
}
