//! A price that was accepted, as the ledger needs to know it. The protocol's quote turns into this where the domains meet.

use purser_values::money::MoneyError;
use purser_values::{Currency, Money, Sha256Digest};
use serde::{Deserialize, Serialize};

/// How often a line is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recurs {
    Once,
    Month,
    Year,
    /// Nothing at once: use is set aside in blocks ([`crate::usage`]).
    Metered,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The provider's id of the line.
    pub id: String,
    pub description: String,
    #[serde(flatten)]
    pub amount: Money,
    pub recurs: Recurs,
}

/// A quote that was checked against the request and accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The provider's id of the quote.
    pub id: String,
    pub digest: Sha256Digest,
    pub lines: Vec<Line>,
    /// Whether what is bought cannot be undone.
    pub irreversible: bool,
}

impl Quote {
    /// What is due at once: the sum of the lines, which must share the currency.
    ///
    /// # Errors
    /// When the lines mix currencies or their sum does not fit.
    pub fn total(&self, currency: Currency) -> Result<Money, MoneyError> {
        self.lines.iter().try_fold(Money::zero(currency), |sum, line| sum.checked_add(line.amount))
    }

    #[must_use]
    pub fn recurs(&self) -> bool {
        self.lines.iter().any(|line| line.recurs != Recurs::Once)
    }
}

impl Recurs {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Month => "month",
            Self::Year => "year",
            Self::Metered => "metered",
        }
    }

    /// Months from one due date to the next.
    #[must_use]
    pub const fn months(self) -> Option<i32> {
        match self {
            Self::Once | Self::Metered => None,
            Self::Month => Some(1),
            Self::Year => Some(12),
        }
    }
}

impl std::str::FromStr for Recurs {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        [Self::Once, Self::Month, Self::Year, Self::Metered]
            .into_iter()
            .find(|r| r.name() == s)
            .ok_or_else(|| format!("`{s}` is not a period"))
    }
}
