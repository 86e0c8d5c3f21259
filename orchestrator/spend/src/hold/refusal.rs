//! Why nothing is set aside. Each refusal says what is left, who can change that, and where.

use purser_authority::Denied;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, GrantId};
use purser_values::{Currency, Money, Timestamp};
use serde_json::{Value, json};

use crate::ceiling::Rule;
use crate::rate::Rate;

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the quote cannot be accepted: {0}")]
    Quote(&'static str),
    #[error("this purchase cannot be undone, and the grant does not allow such purchases")]
    Irreversible,
    #[error("there is no payment method")]
    NoPaymentMethod { card_url: String },
    #[error("the cardholder disputes a payment to this provider, so nothing more is charged there")]
    PaymentDisputed { card_url: String },
    #[error("nobody has set a cap for this agent, so it may not spend")]
    NoCap { limits_url: String },
    #[error("the price is in {asked} and the cap in {cap}")]
    Currency { cap: Currency, asked: Currency, limits_url: String },
    /// `agent` is whose cap it is, when it is that of an agent above the buyer.
    #[error("the purchase of {asked} passes the cap of {cap} a month{}: {left} is left until {resets_at}", of(agent.as_ref()))]
    CapReached { agent: Option<AgentId>, cap: Money, left: Money, asked: Money, resets_at: Timestamp, limits_url: String },
    #[error("the purchase of {asked} passes the total of {total} of the grant `{grant}`: {left} is left")]
    TotalReached { grant: GrantId, total: Money, left: Money, asked: Money },
    #[error("the purchase of {asked} passes the ceiling of {rule}: {left} is left{}", until(resets_at.as_ref()))]
    CeilingReached { rule: Box<Rule>, left: Money, asked: Money, resets_at: Option<Timestamp>, limits_url: String },
    #[error("the price is in {asked} and the ceiling of {rule} in {have}")]
    CeilingCurrency { rule: Box<Rule>, have: Currency, asked: Currency, limits_url: String },
    #[error("the price counts at a stated rate ({rate}), which is in force from {} until {} only", rate.valid_from, rate.valid_until)]
    RateNotInForce { rate: Box<Rate>, limits_url: String },
    #[error("the books in {currency} do not add up, and nothing is set aside until the operator has looked")]
    Stopped { currency: Currency },
    #[error("the idempotency key was used for another purchase")]
    KeyReused,
    #[error(transparent)]
    Store(#[from] DbError),
}

fn no_rate(have: Currency, asked: Currency, limits_url: &str) -> String {
    format!("choose a service that is priced in {have}, or have an owner state a rate from {asked} to {have} at {limits_url}")
}

fn of(agent: Option<&AgentId>) -> String {
    agent.map(|agent| format!(" of the agent `{agent}`, within whose grant this one acts")).unwrap_or_default()
}

fn until(resets_at: Option<&Timestamp>) -> String {
    resets_at.map(|at| format!(" until {at}")).unwrap_or_default()
}

impl PublicError for HoldError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Quote(_) => "quote_not_acceptable",
            Self::Irreversible => "irreversible_not_granted",
            Self::NoPaymentMethod { .. } => "payment_method_missing",
            Self::PaymentDisputed { .. } => "payment_disputed",
            Self::NoCap { .. } => "cap_missing",
            Self::Currency { .. } => "cap_currency",
            Self::CapReached { .. } => "cap_reached",
            Self::TotalReached { .. } => "total_reached",
            Self::CeilingReached { .. } => "ceiling_reached",
            Self::CeilingCurrency { .. } => "ceiling_currency",
            Self::RateNotInForce { .. } => "rate_not_in_force",
            Self::Stopped { .. } => "ledger_stopped",
            Self::KeyReused => "idempotency_key_reused",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Quote(_) => Kind::Provider,
            Self::Irreversible | Self::NoPaymentMethod { .. } | Self::PaymentDisputed { .. } | Self::NoCap { .. } => Kind::NeedsPerson,
            Self::Currency { .. }
            | Self::CapReached { .. }
            | Self::TotalReached { .. }
            | Self::CeilingReached { .. }
            | Self::CeilingCurrency { .. }
            | Self::RateNotInForce { .. }
            | Self::Stopped { .. } => Kind::Payment,
            Self::KeyReused => Kind::Conflict,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Quote(_) => Some("ask for a new quote; if it stays, report it to the provider".to_owned()),
            Self::Irreversible => Some("run `purser login --irreversible` to ask your person for a grant that allows it".to_owned()),
            Self::NoPaymentMethod { card_url } => Some(format!("ask your person to add a card at {card_url}")),
            Self::PaymentDisputed { card_url } => {
                Some(format!("ask your person to look at {card_url}: they can allow charges there again"))
            }
            Self::NoCap { limits_url } => Some(format!("an owner or admin can set a cap at {limits_url}")),
            Self::Currency { cap, asked, limits_url } => Some(no_rate(*cap, *asked, limits_url)),
            Self::CapReached { limits_url, .. } => Some(format!("an owner or admin can raise the cap at {limits_url}; an agent cannot")),
            Self::TotalReached { .. } => {
                Some("run `purser login` to ask your person for a new grant; a grant's total is never raised".to_owned())
            }
            Self::CeilingReached { limits_url, .. } => {
                Some(format!("an owner or admin can raise the ceiling at {limits_url}; an agent cannot"))
            }
            Self::CeilingCurrency { have, asked, limits_url, .. } => Some(no_rate(*have, *asked, limits_url)),
            Self::RateNotInForce { rate, limits_url } => {
                Some(format!("an owner can state today's rate from {} to {} at {limits_url}; an agent cannot", rate.from, rate.to))
            }
            Self::Stopped { .. } => {
                Some("the operator looks with `purser ledger check` and goes on with `purser ledger acknowledge`".to_owned())
            }
            Self::KeyReused => Some("use a fresh key for a different purchase".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::CapReached { agent, cap, left, asked, resets_at, limits_url } => Some(json!({
                "agent": agent, "cap": cap, "left": left, "asked": asked, "resets_at": resets_at,
                "who_can_raise": ["owner", "admin"], "raise_url": limits_url,
            })),
            Self::TotalReached { grant, total, left, asked } => Some(json!({"grant": grant, "total": total, "left": left, "asked": asked})),
            Self::CeilingReached { rule, left, asked, resets_at, limits_url } => Some(json!({
                "ceiling": rule, "left": left, "asked": asked, "resets_at": resets_at,
                "who_can_raise": ["owner", "admin"], "raise_url": limits_url,
            })),
            Self::CeilingCurrency { rule, asked, limits_url, .. } => {
                Some(json!({"ceiling": rule, "asked_currency": asked, "who_can_state_a_rate": ["owner"], "rate_url": limits_url}))
            }
            Self::Currency { cap, asked, limits_url } => Some(json!({
                "cap_currency": cap, "asked_currency": asked, "who_can_state_a_rate": ["owner"], "rate_url": limits_url,
            })),
            Self::RateNotInForce { rate, limits_url } => {
                Some(json!({"rate": rate, "who_can_state_a_rate": ["owner"], "rate_url": limits_url}))
            }
            Self::NoCap { limits_url } => Some(json!({"who_can_raise": ["owner", "admin"], "raise_url": limits_url})),
            Self::NoPaymentMethod { card_url } | Self::PaymentDisputed { card_url } => {
                Some(json!({"who_can_change": ["owner", "admin", "billing"], "card_url": card_url}))
            }
            _ => None,
        }
    }
}
