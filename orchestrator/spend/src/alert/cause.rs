//! Why an alert was raised, as facts for programs and in words for people.

use purser_values::id::{BudgetId, ChargeId};
use purser_values::name::ProviderName;
use purser_values::{Money, Month, Timestamp};
use serde::{Deserialize, Serialize};

use crate::budget::Action;
use crate::calendar::Period;
use crate::ceiling::Scope;
use crate::percent::Percent;
use crate::rail::ChargebackState;

/// The budget that an alert is about, as it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfBudget {
    pub budget: BudgetId,
    pub scope: Scope,
    pub subject: String,
    pub period: Period,
    /// Which day, week or month.
    pub span: String,
    pub amount: Money,
    pub spent: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A part of an agent's cap at a provider is spent.
    CapThreshold { provider: ProviderName, month: Month, threshold_percent: Percent, cap: Money, captured: Money },
    /// A part of a budget is spent, and what follows from that.
    BudgetThreshold {
        #[serde(flatten)]
        of: OfBudget,
        threshold_percent: Percent,
        /// What the budget does now that this much is spent; `notify` for nothing but this message.
        action: Action,
    },
    /// At this pace the budget will not last.
    BudgetForecast {
        #[serde(flatten)]
        of: OfBudget,
        forecast: Money,
        ends: Timestamp,
    },
    /// Much of the budget went in a short time.
    BudgetBurn {
        #[serde(flatten)]
        of: OfBudget,
        burned: Money,
        within_s: i64,
    },
    /// The first charge by a provider.
    FirstCharge { charge: ChargeId, provider: ProviderName, amount: Money },
    /// A charge far above the provider's usual ones.
    UnusualCharge { charge: ChargeId, provider: ProviderName, amount: Money, median: Money },
    /// A cardholder disputes a payment at their bank, or the bank has decided ([`crate::chargeback`]).
    Chargeback { charge: ChargeId, provider: ProviderName, amount: Money, state: ChargebackState },
    /// A credit ends within these days, or has ended when they are none ([`crate::credit`]).
    CreditEnding { provider: ProviderName, programme: String, left: Money, ends_at: Timestamp, days: i64, monthly: Option<Money> },
}

impl Cause {
    /// As the type of a webhook's message and in lists.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CapThreshold { .. } => "cap_threshold",
            Self::BudgetThreshold { .. } => "budget_threshold",
            Self::BudgetForecast { .. } => "budget_forecast",
            Self::BudgetBurn { .. } => "budget_burn",
            Self::FirstCharge { .. } => "first_charge",
            Self::UnusualCharge { .. } => "unusual_charge",
            Self::Chargeback { .. } => "chargeback",
            Self::CreditEnding { .. } => "credit_ending",
        }
    }

    /// The budget, where it is about one.
    #[must_use]
    pub const fn budget(&self) -> Option<&OfBudget> {
        match self {
            Self::BudgetThreshold { of, .. } | Self::BudgetForecast { of, .. } | Self::BudgetBurn { of, .. } => Some(of),
            Self::CapThreshold { .. }
            | Self::FirstCharge { .. }
            | Self::UnusualCharge { .. }
            | Self::Chargeback { .. }
            | Self::CreditEnding { .. } => None,
        }
    }

    /// The id by which a trace finds it.
    pub(crate) fn about(&self) -> Option<String> {
        match self {
            Self::FirstCharge { charge, .. } | Self::UnusualCharge { charge, .. } | Self::Chargeback { charge, .. } => {
                Some(charge.to_string())
            }
            _ => self.budget().map(|of| of.budget.to_string()),
        }
    }

    /// One line.
    #[must_use]
    pub fn headline(&self) -> String {
        match self {
            Self::CapThreshold { provider, threshold_percent, .. } => format!("{threshold_percent} % of the cap at {provider} is spent"),
            Self::BudgetThreshold { of, threshold_percent, .. } => {
                format!("{threshold_percent} % of the budget for {} is spent", of.over())
            }
            Self::BudgetForecast { of, .. } => format!("The budget for {} will not last", of.over()),
            Self::BudgetBurn { of, .. } => format!("The budget for {} is going fast", of.over()),
            Self::FirstCharge { provider, amount, .. } => format!("The first charge by {provider}: {amount}"),
            Self::UnusualCharge { provider, amount, .. } => format!("An unusual charge by {provider}: {amount}"),
            Self::Chargeback { provider, amount, state: ChargebackState::Open, .. } => {
                format!("A payment of {amount} to {provider} is disputed")
            }
            Self::CreditEnding { provider, days: 0, .. } => format!("The credit at {provider} has ended"),
            Self::CreditEnding { provider, days, .. } => format!("The credit at {provider} ends within {days} days"),
            Self::Chargeback { provider, amount, .. } => format!("The dispute over {amount} to {provider} has ended"),
        }
    }

    /// The whole text, for an agent that people know by a name.
    #[must_use]
    pub fn text(&self, agent: Option<&str>, limits_url: &str) -> String {
        let who = agent.map_or_else(|| "Somebody".to_owned(), |name| format!("The agent \"{name}\""));
        let said = match self {
            Self::CapThreshold { provider, month, threshold_percent, cap, captured } => {
                let stop = if *threshold_percent >= Percent::whole(100) {
                    "Further purchases there are refused until next month or until you raise the cap."
                } else {
                    "It goes on until the cap is reached."
                };
                format!("{who} has spent {captured} of {cap} at {provider} in {month}.\n\n{stop}")
            }
            Self::BudgetThreshold { of, action, .. } => {
                let next = match action {
                    Action::Notify => "Nothing is stopped by this: a budget is a plan, and caps and ceilings stop.",
                    Action::RequireApproval => "From here on every purchase that it covers waits for a person's approval.",
                    Action::Freeze => {
                        "The agent whose charge this was is frozen, and every purchase that the budget covers waits for a person's approval."
                    }
                };
                format!("{}\n\n{next}", of.position())
            }
            Self::BudgetForecast { of, forecast, ends } => {
                format!("{}\n\nAt this pace it will be about {forecast} by {}.", of.position(), ends.for_people())
            }
            Self::BudgetBurn { of, burned, within_s } => {
                format!("{}\n\n{burned} of it went within {}.", of.position(), hours(*within_s))
            }
            Self::FirstCharge { charge, provider, amount } => {
                format!("{who} was charged {amount} by {provider}, which has never charged you before ({charge}).")
            }
            Self::UnusualCharge { charge, provider, amount, median } => {
                format!("{who} was charged {amount} by {provider}, where {median} is usual ({charge}).")
            }
            Self::CreditEnding { provider, programme, left, ends_at, days, monthly } => {
                let then =
                    monthly.map_or_else(String::new, |m| format!(" {provider} expects {m} a month to be paid by card from then on."));
                if *days == 0 {
                    format!("The credit `{programme}` at {provider} has ended.{then}")
                } else {
                    format!("The credit `{programme}` at {provider} ends at {}. {left} of it is left.{then}", ends_at.for_people())
                }
            }
            Self::Chargeback { charge, provider, amount, state } => {
                let what = match state {
                    ChargebackState::Open => {
                        "The bank was told that it was not right. Nothing more is charged to that card at this provider until this has \
                         ended, or until you allow it again on the card page."
                    }
                    ChargebackState::Won => "The bank has decided that the payment stands, and charges go on.",
                    ChargebackState::Lost => {
                        "The bank has given the money back. Charges there stay stopped until you allow them again on the card page."
                    }
                };
                format!("{who} paid {amount} to {provider} with your card ({charge}).\n\n{what}")
            }
        };
        format!("{said}\n\nLimits and budgets: {limits_url}\n")
    }
}

impl OfBudget {
    /// `the project shop`.
    #[must_use]
    pub fn over(&self) -> String {
        match self.scope {
            Scope::Organisation => "the organisation".to_owned(),
            scope => format!("the {} {}", scope.name(), self.subject),
        }
    }

    fn position(&self) -> String {
        let when = match self.period {
            Period::Lifetime | Period::Transaction => "so far".to_owned(),
            Period::Day | Period::Week | Period::Month => format!("in {}", self.span),
        };
        format!("{} of {} for {} is spent {when}.", self.spent, self.amount, self.over())
    }
}

fn hours(seconds: i64) -> String {
    match seconds {
        s if s >= 2 * 86_400 => format!("{} days", s / 86_400),
        s if s >= 2 * 3_600 => format!("{} hours", s / 3_600),
        s => format!("{} minutes", s / 60),
    }
}
