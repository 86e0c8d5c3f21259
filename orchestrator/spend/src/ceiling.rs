//! Ceilings that a person sets over anything a purchase belongs to: the organisation, a project, one of its environments, an
//! agent, a grant, a provider, a category of services; for each purchase, a day, a week, a month, or for ever.
//!
//! They stand beside the cap of each agent, provider and month, and a purchase takes room in all that apply or in none.
//!
//! INVARIANT (ceiling): held + captured of what was bought while a ceiling stood never exceeds it. Each of its windows is a
//! ledger account; a line that is charged in a later window than it was held in takes room there first.

mod before;
mod read;
mod set;
mod window;
mod zone;

use std::fmt;
use std::str::FromStr;

use purser_authority::Denied;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::OrganisationId;
use purser_values::{Currency, Money};
use serde::{Deserialize, Serialize};

use crate::calendar::{ParseZoneError, Period};

pub use read::{CeilingView, all};
pub use set::{CeilingSet, set};
pub use zone::{zone, zone_set};

pub(crate) use read::{Facts, Place, concerns, rules_from, rules_statement};
pub(crate) use set::subject;
pub(crate) use window::{Note, Window, add_notes, bring_to_now, notes, of_line};

/// What a ceiling is over, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Organisation,
    Project,
    /// The subject is `project/environment`.
    Environment,
    /// Purchases of the agent and of those that it let in.
    Agent,
    /// Purchases under the grant and those derived from it.
    Grant,
    Provider,
    Category,
}

/// A ceiling as a person set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    #[serde(skip)]
    pub organisation: OrganisationId,
    pub scope: Scope,
    /// Which one: a name or an id. The organisation's own id for the organisation.
    pub subject: String,
    pub period: Period,
    pub amount: Money,
}

#[derive(Debug, thiserror::Error)]
pub enum CeilingError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("a ceiling of `{0}` is not between zero and {max}", max = purser_values::limits::cap_max(.0.currency()))]
    Amount(Money),
    #[error("the ceiling is in {have}, and what it counts now cannot be turned into {asked}")]
    Currency { have: Currency, asked: Currency },
    #[error("`{0}` cannot have a ceiling")]
    Subject(String),
    #[error(transparent)]
    Zone(#[from] ParseZoneError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for CeilingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Amount(_) => "ceiling_amount",
            Self::Currency { .. } => "ceiling_currency",
            Self::Subject(_) => "ceiling_subject",
            Self::Zone(_) => "zone_unknown",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Amount(_) | Self::Currency { .. } | Self::Subject(_) | Self::Zone(_) => Kind::Invalid,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Amount(m) => Some(format!("give an amount such as `{}`", purser_values::limits::amount_example(m.currency()))),
            Self::Currency { have, .. } => Some(format!("give the amount in {have}, or change the currency when a new period begins")),
            Self::Subject(_) => Some("give a name or an id; an environment is written `project/environment`".to_owned()),
            Self::Zone(_) => Some("give a name such as `Europe/Berlin`".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

impl Scope {
    pub const ALL: [Self; 7] =
        [Self::Organisation, Self::Project, Self::Environment, Self::Agent, Self::Grant, Self::Provider, Self::Category];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::Agent => "agent",
            Self::Grant => "grant",
            Self::Provider => "provider",
            Self::Category => "category",
        }
    }
}

impl Rule {
    /// Whatever the amounts are.
    pub(crate) fn is_over_the_same(&self, other: &Self) -> bool {
        (&self.organisation, self.order()) == (&other.organisation, other.order())
    }

    /// What comes first refuses first.
    pub(crate) fn order(&self) -> (Scope, &str, Period) {
        (self.scope, &self.subject, self.period)
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.name() == s).ok_or_else(|| format!("`{s}` cannot have a ceiling"))
    }
}

impl fmt::Display for Rule {
    /// `USD 50.00 a day for the project `shop``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.amount)?;
        match self.period {
            Period::Transaction => f.write_str(" a purchase")?,
            Period::Lifetime => f.write_str(" in all")?,
            Period::Day | Period::Week | Period::Month => write!(f, " a {}", self.period)?,
        }
        match self.scope {
            Scope::Organisation => f.write_str(" for the organisation"),
            scope => write!(f, " for the {} `{}`", scope.name(), self.subject),
        }
    }
}
