//! A provider takes money from a payment token.
//!
//! Two writes with the rail between them: [`begin`] records the intent (or the refusal), the rail captures under the
//! charge's id, [`finish`] records the outcome. After a crash in between, [`begin`] with the same key answers the same
//! order, and [`unfinished`] names the orders nobody came back for; the rail answers an order it knows with its first
//! answer, so nothing is paid twice.
//!
//! A bank that wants to see the person first makes the charge wait ([`confirmation`]): the provider is told that it is pending, the person
//! confirms, and the same order goes on.

mod begin;
mod confirm;
mod confirmation;
mod finish;
mod line;
mod read;
mod refusal;

use std::str::FromStr;

use purser_authority::Denied;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{ChargeId, HoldId, OrganisationId, PaymentTokenId};
use purser_values::name::ProviderName;
use purser_values::{Money, Secret, Timestamp};
use serde::Serialize;

use crate::rail::RailOrder;
use crate::spender::Spender;

pub use begin::begin;
pub use confirm::{ConfirmError, confirm};
pub use confirmation::{CONFIRM_JOB, Waiting, waiting, waiting_of_hold, waits_until};
pub use finish::finish;
pub use read::{find, find_own, of_hold, order, unfinished};
pub use refusal::Refusal;

pub(crate) use read::by_capture;

pub(crate) use confirmation::{give_up, give_up_but_use};
pub(crate) use finish::accounts;

/// The kind of job that takes up a charge that was begun; its payload is `{"charge": id}`.
pub const RESUME_JOB: &str = "charge_resume";

/// What a provider asks for. The provider itself is the permit's caller.
#[derive(Debug)]
pub struct ChargeAsk {
    /// The provider's idempotency key.
    pub key: String,
    pub token: Secret<String>,
    pub quote: String,
    pub line: String,
    pub amount: Money,
    /// The provider's own id of what is paid for.
    pub remote_resource: Option<String>,
    /// Which period, for what comes again: `2026-12`.
    pub period: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeStep {
    /// Ask the rail, then [`finish`].
    Capture(RailOrder),
    /// The first answer to this key.
    Ended(Receipt),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    Begun,
    /// The bank wants to see the person first; the money stays held until they have been there, or their time is over.
    RequiresAction,
    Succeeded,
    Declined,
    Refused,
}

/// What the provider is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub id: ChargeId,
    pub state: ChargeState,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A charge as it is kept. What a refused one claimed to be about may be missing.
#[derive(Clone, Debug)]
pub struct Charge {
    pub id: ChargeId,
    pub provider: ProviderName,
    pub organisation: Option<OrganisationId>,
    pub spender: Option<Spender>,
    pub hold: Option<HoldId>,
    pub token: Option<PaymentTokenId>,
    pub line: Option<String>,
    pub period: Option<String>,
    pub amount: Money,
    pub remote_resource: Option<String>,
    pub state: ChargeState,
    pub code: Option<String>,
    pub message: Option<String>,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the idempotency key was used for another charge")]
    KeyReused,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for ChargeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::KeyReused => "idempotency_key_reused",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::KeyReused => Kind::Conflict,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::KeyReused => Some("use a fresh key for a different charge".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

impl ChargeState {
    const ALL: [Self; 5] = [Self::Begun, Self::RequiresAction, Self::Succeeded, Self::Declined, Self::Refused];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for ChargeState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}

impl ChargeState {
    /// Whether the rail may still take the money.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Begun | Self::RequiresAction)
    }
}

impl Charge {
    fn receipt(&self) -> Receipt {
        Receipt { id: self.id.clone(), state: self.state, code: self.code.clone(), message: self.message.clone() }
    }
}
