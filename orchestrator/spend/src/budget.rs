//! Budgets: what people plan to spend on something in a period, and what happens at which part of it.
//!
//! A budget is soft: it stops nothing by itself. What is charged counts in it with the write that captures the money, what comes back
//! leaves it, and the alerts that follow are written in that same write. It counts charges in its own currency only, each in the
//! period in which it was begun, as statements do.
//!
//! INVARIANT (budget-counts): what a budget has spent in a period is the sum of its charges there, less what came back of them.

mod count;
mod forecast;
mod gate;
mod read;
mod set;
mod unusual;
pub mod watch;

use std::str::FromStr;

use purser_authority::Denied;
use purser_db::{DbError, Row, Tx};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{BudgetId, OrganisationId};
use purser_values::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{Period, Span};
use crate::ceiling::{self, CeilingError, Facts, Scope};
use crate::limits;
use crate::percent::Percent;

pub use forecast::{Pace, forecast};
pub use gate::{Spent, gate, is_watched};
pub use read::{BudgetView, all};
pub use set::{BudgetSet, remove, set};
pub use watch::look_ahead;

pub(crate) use count::{captured, check, refunded};

/// What happens when a budget has spent as much as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// People are told, and that is all.
    Notify,
    /// Purchases that the budget covers wait for a person's yes to each.
    RequireApproval,
    /// The same, and the agent whose charge it was is frozen.
    Freeze,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    pub id: BudgetId,
    #[serde(skip)]
    pub organisation: OrganisationId,
    pub scope: Scope,
    pub subject: String,
    pub period: Period,
    pub amount: Money,
    /// In percent, rising.
    pub thresholds: Vec<Percent>,
    pub action: Action,
    /// In percent: where the action begins.
    pub act_at: Percent,
    /// Whether charges that it covers are looked at one by one for what is unusual.
    pub unusual: bool,
    #[serde(skip)]
    pub set_by: String,
    pub set_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The same subjects as ceilings have.
    #[error(transparent)]
    Ceiling(#[from] CeilingError),
    #[error("a budget of `{0}` is not above zero and at most {max}", max = purser_values::limits::cap_max(.0.currency()))]
    Amount(Money),
    #[error("a budget counts over a day, a week, a month or for ever, and not over each purchase")]
    Period,
    #[error("a budget has 1 to {most} thresholds above 0 and up to {max} %", most = limits::BUDGET_THRESHOLDS, max = limits::BUDGET_PERCENT_MAX)]
    Thresholds,
    #[error("there are {most} budgets already", most = limits::BUDGETS)]
    TooMany,
    #[error("there is no such budget")]
    Unknown,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for BudgetError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Ceiling(e) => e.code(),
            Self::Amount(_) => "budget_amount",
            Self::Period => "budget_period",
            Self::Thresholds => "budget_thresholds",
            Self::TooMany => "too_many_budgets",
            Self::Unknown => "budget_unknown",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Ceiling(e) => e.kind(),
            Self::Amount(_) | Self::Period | Self::Thresholds => Kind::Invalid,
            Self::TooMany => Kind::RateLimited,
            Self::Unknown => Kind::NotFound,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Denied(e) => return e.hint(),
            Self::Ceiling(e) => return e.hint(),
            Self::Amount(m) => format!("give an amount such as `{}`", purser_values::limits::amount_example(m.currency())),
            Self::Period => "choose `day`, `week`, `month` or `lifetime`; a ceiling can stand over each purchase".to_owned(),
            Self::Thresholds => "give numbers such as `50,66.5,100`, with at most two decimals".to_owned(),
            Self::TooMany => "remove a budget that nobody needs any more".to_owned(),
            Self::Unknown => "run `purser budget list` for those there are".to_owned(),
            Self::Store(e) => return e.hint(),
        })
    }
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Notify, Self::RequireApproval, Self::Freeze];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::RequireApproval => "require_approval",
            Self::Freeze => "freeze",
        }
    }
}

impl FromStr for Action {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|action| action.name() == s).ok_or_else(|| format!("`{s}` is nothing that a budget does"))
    }
}

impl Budget {
    /// Whether a purchase of these facts counts in it.
    pub(crate) fn covers(&self, facts: &Facts<'_>) -> bool {
        let subject = self.subject.as_str();
        match self.scope {
            Scope::Organisation => true,
            Scope::Project => facts.project.as_str() == subject,
            Scope::Environment => facts.environment.is_some_and(|name| format!("{}/{name}", facts.project) == subject),
            Scope::Provider => facts.provider.as_str() == subject,
            Scope::Category => facts.categories.iter().any(|category| category == subject),
            Scope::Agent => facts.shares.iter().any(|share| share.agent.as_str() == subject),
            Scope::Grant => facts.shares.iter().any(|share| share.grant.as_str() == subject),
        }
    }

    /// The period that holds the moment.
    pub(crate) fn span(&self, tx: &mut Tx<'_>, at: Timestamp) -> Result<Span, DbError> {
        let zone = ceiling::zone(tx, &self.organisation)?;
        let span = self.period.span(at, &zone)?;
        span.ok_or_else(|| DbError::Corrupt(format!("the budget `{}` counts over no period", self.id)))
    }

    fn money(&self, minor: i64) -> Money {
        Money::from_minor(minor, self.amount.currency())
    }

    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.parse("id")?,
            organisation: row.parse("organisation")?,
            scope: row.parse("scope")?,
            subject: row.get("subject")?,
            period: row.parse("period")?,
            amount: Money::from_minor(row.get("amount")?, row.parse("currency")?),
            thresholds: row.json("thresholds")?,
            action: row.parse("action")?,
            act_at: Percent::from_basis_points(row.get("act_at")?),
            unusual: row.get::<i64>("unusual")? != 0,
            set_by: row.get("set_by")?,
            set_at: row.get("set_at")?,
        })
    }
}
