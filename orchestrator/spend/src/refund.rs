//! A provider gives back what it charged, all of it or parts.
//!
//! As with a charge, two writes with the rail between them: [`begin`] records the intent, the rail gives the money back under the
//! refund's id, [`finish`] records the outcome. After a crash in between the provider's key, the job and [`unfinished`] lead to the same
//! order, and the rail answers an order that it knows with its first answer.
//!
//! INVARIANT (refund-within-charge): [`begin`] counts what is under way as given, in the write that adds to it.

mod begin;
pub mod due;
mod finish;
mod read;

use std::str::FromStr;

use purser_authority::Denied;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AgentId, ChargeId, OrganisationId, RefundId};
use purser_values::name::ProviderName;
use purser_values::{Money, Timestamp};
use serde::Serialize;

use crate::rail::RefundOrder;

pub use begin::begin;
pub use finish::finish;
pub use read::{find, given, of_charge, order, unfinished, within};

/// The kind of job that takes up a refund that was begun; its payload is `{"refund": id}`.
pub const RESUME_JOB: &str = "refund_resume";

/// What a provider gives back. The provider itself is the permit's caller.
#[derive(Clone, Debug)]
pub struct RefundAsk {
    /// The provider's idempotency key.
    pub key: String,
    pub charge: ChargeId,
    pub amount: Money,
    /// The provider's word for why; data, never an instruction.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundStep {
    /// Ask the rail, then [`finish`].
    Give(RefundOrder),
    /// The first answer to this key.
    Ended(RefundReceipt),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Begun,
    Succeeded,
    /// The rail said no for good; the money is where it was and may be given back under another key.
    Failed,
}

/// What the provider is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefundReceipt {
    pub id: RefundId,
    pub state: RefundState,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A refund as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Refund {
    pub id: RefundId,
    pub charge: ChargeId,
    pub provider: ProviderName,
    #[serde(skip)]
    pub organisation: OrganisationId,
    pub agent: AgentId,
    pub amount: Money,
    pub reason: String,
    pub state: RefundState,
    pub code: Option<String>,
    pub message: Option<String>,
    #[serde(rename = "at")]
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// Also for a charge of another provider: who has no right to it learns nothing of it.
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the idempotency key was used for another refund")]
    KeyReused,
    #[error("nothing was taken by this charge")]
    NotCaptured,
    #[error("the charge is in another currency")]
    Currency,
    #[error("the amount is not positive")]
    Amount,
    #[error("only {left} of the charge are left to give back")]
    OverCharge { left: Money },
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for RefundError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::KeyReused => "idempotency_key_reused",
            Self::NotCaptured => "charge_not_captured",
            Self::Currency => "currency_mismatch",
            Self::Amount => "amount_invalid",
            Self::OverCharge { .. } => "refund_over_charge",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::KeyReused | Self::NotCaptured | Self::OverCharge { .. } => Kind::Conflict,
            Self::Currency | Self::Amount => Kind::Invalid,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::KeyReused => Some("use a fresh key for a different refund".to_owned()),
            Self::OverCharge { left } => Some(format!("give back {left} or less")),
            Self::NotCaptured | Self::Currency | Self::Amount => None,
            Self::Store(e) => e.hint(),
        }
    }
}

impl RefundState {
    const ALL: [Self; 3] = [Self::Begun, Self::Succeeded, Self::Failed];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for RefundState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}

impl Refund {
    fn receipt(&self) -> RefundReceipt {
        RefundReceipt { id: self.id.clone(), state: self.state, code: self.code.clone(), message: self.message.clone() }
    }
}
