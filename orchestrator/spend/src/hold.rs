//! Money that is set aside for one purchase, line by line, until it is charged or given back.
//!
//! A hold keeps the lines of the accepted quote. Each line counts in the book of one month: the month in which it was set
//! aside, or in which it is charged if that is later.

mod check;
mod close;
mod expire;
mod place;
mod read;
mod refusal;
mod release;
mod write;

use std::collections::BTreeMap;
use std::str::FromStr;

use purser_values::id::{GrantId, HoldId, PaymentMethodId, ResourceId};
use purser_values::name::{EnvironmentName, ProjectName, ProviderName};
use purser_values::{Currency, Money, Sha256Digest, Timestamp};
use serde::Serialize;

use crate::ceiling::Facts;
use crate::quote::{Quote, Recurs};
use crate::room::{Need, Reach};
use crate::share::Share;
use crate::spender::Spender;

pub use check::blockers;
pub use close::close;
pub use expire::expire;
pub use place::{Ask, place, place_all};
pub use read::{find, of_resource, open_by_state};
pub use refusal::HoldError;
pub use release::release;

pub(crate) use read::{line_row, lines};
pub(crate) use release::{release_line, settle};

/// A purchase that an agent wants to make.
#[derive(Clone, Debug)]
pub struct Purchase {
    pub spender: Spender,
    pub grant: GrantId,
    /// The grant's ceiling over its whole life, if it has one.
    pub total: Option<Money>,
    /// The agents that the grant was derived through, nearest first; they pay along.
    pub above: Vec<Share>,
    pub provider: ProviderName,
    pub project: ProjectName,
    pub environment: EnvironmentName,
    /// What kind of service it is, as the catalogue lists it.
    pub categories: Vec<String>,
    /// The resource that is paid for; minted before the money is set aside.
    pub resource: ResourceId,
    pub quote: Quote,
    /// The whole price of each line that a credit at the provider pays a part of, by the line's id. The quote's amount is the rest, what the
    /// token may be charged at first.
    pub by_credit: BTreeMap<String, Money>,
    /// Whether the grant allows purchases that cannot be undone.
    pub irreversible_allowed: bool,
    /// The caller's key: the same purchase under the same key is one hold.
    pub key: String,
    /// Where a person can raise the cap or add a card, for the refusals.
    pub limits_url: String,
    pub card_url: String,
}

impl Purchase {
    /// Who pays, the buyer first.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let own = Share { agent: self.spender.agent.clone(), grant: self.grant.clone(), total: self.total };
        std::iter::once(own).chain(self.above.iter().cloned()).collect()
    }

    /// What it takes room for, at a moment.
    pub(crate) fn need<'a>(&'a self, shares: &'a [Share], at: Timestamp) -> Need<'a> {
        // A quote without lines is refused before any room is asked for.
        let currency = self.quote.lines.first().map_or(Currency::USD, |line| line.amount.currency());
        Need { facts: self.facts(shares), at, reach: Reach::All, currency, kept: &[] }
    }

    /// The amounts that are charged one by one.
    pub(crate) fn parts(&self) -> Vec<Money> {
        self.quote.lines.iter().map(|line| line.amount).collect()
    }

    pub(crate) fn facts<'a>(&'a self, shares: &'a [Share]) -> Facts<'a> {
        Facts {
            organisation: &self.spender.organisation,
            project: &self.project,
            environment: Some(&self.environment),
            provider: &self.provider,
            categories: &self.categories,
            shares,
        }
    }
}

impl Hold {
    /// What money that is set aside later takes room for.
    pub(crate) fn need<'a>(&'a self, shares: &'a [Share], at: Timestamp) -> Need<'a> {
        Need { facts: self.facts(shares), at, reach: Reach::All, currency: self.amount.currency(), kept: &[] }
    }

    pub(crate) fn facts<'a>(&'a self, shares: &'a [Share]) -> Facts<'a> {
        Facts {
            organisation: &self.spender.organisation,
            project: &self.project,
            environment: self.environment.as_ref(),
            provider: &self.provider,
            categories: &self.categories,
            shares,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    Open,
    /// What was bought is removed. Blocks of use that were set aside may still be charged, and nothing new.
    Closing,
    /// Every line was charged.
    Settled,
    /// What was not charged was given back.
    Released,
}

#[derive(Clone, Debug)]
pub struct Hold {
    pub id: HoldId,
    pub spender: Spender,
    pub grant: GrantId,
    pub provider: ProviderName,
    pub project: ProjectName,
    /// Absent in holds from before there were ceilings.
    pub environment: Option<EnvironmentName>,
    pub categories: Vec<String>,
    pub resource: ResourceId,
    pub payment_method: PaymentMethodId,
    pub amount: Money,
    pub quote_id: String,
    pub quote_digest: Sha256Digest,
    /// Whether what is bought cannot be undone.
    pub irreversible: bool,
    pub state: HoldState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineState {
    Open,
    /// A charge of it was begun; its money stays held until the rail has answered.
    Charging,
    Charged,
    Released,
}

#[derive(Clone, Debug)]
pub(crate) struct HeldLine {
    pub line: String,
    /// Empty for the first period.
    pub period: String,
    pub month: purser_values::Month,
    pub description: String,
    pub amount: Money,
    pub recurs: Recurs,
    pub state: LineState,
}

impl HeldLine {
    /// Whether it is money for use, and not the quote's line that says that use costs something.
    pub fn is_block(&self) -> bool {
        self.recurs == Recurs::Metered && !self.period.is_empty()
    }
}

impl HoldState {
    const ALL: [Self; 4] = [Self::Open, Self::Closing, Self::Settled, Self::Released];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Settled => "settled",
            Self::Released => "released",
        }
    }
}

impl HoldState {
    /// Whether a line of it can still be charged.
    #[must_use]
    pub const fn pays(self) -> bool {
        matches!(self, Self::Open | Self::Closing)
    }
}

impl FromStr for HoldState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}

impl LineState {
    const ALL: [Self; 4] = [Self::Open, Self::Charging, Self::Charged, Self::Released];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Charging => "charging",
            Self::Charged => "charged",
            Self::Released => "released",
        }
    }
}

impl FromStr for LineState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}
