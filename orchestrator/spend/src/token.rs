//! Payment tokens: a revocable permission for one provider to charge what is held for it.
//!
//! INVARIANT (token-is-hold): a token has no limit of its own. What it may still be charged is the sum of its hold's lines
//! that are not charged, so the two can never differ.

mod issue;
mod read;
mod revoke;

use std::str::FromStr;

use purser_authority::Denied;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{HoldId, PaymentTokenId};
use purser_values::name::ProviderName;
use serde::Serialize;

use crate::spender::Spender;

pub use issue::{Issued, issue};
pub use read::{by_prefix, find, of_agent, of_hold};
pub use revoke::revoke;

pub(crate) use read::by_plain;

/// How a token begins; the rest is random and checked (`purser_crypto::token`).
pub const PREFIX: &str = "spt";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    Active,
    Spent,
    Revoked,
}

#[derive(Clone, Debug)]
pub struct PaymentToken {
    pub id: PaymentTokenId,
    /// The part that may be shown and searched for.
    pub prefix: String,
    pub hold: HoldId,
    pub spender: Spender,
    pub provider: ProviderName,
    pub state: TokenState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the hold is no longer open")]
    HoldEnded,
    #[error("the hold has its payment token `{0}` already; its text is shown once")]
    Exists(PaymentTokenId),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for TokenError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::HoldEnded => "hold_ended",
            Self::Exists(_) => "payment_token_exists",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::HoldEnded | Self::Exists(_) => Kind::Conflict,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::HoldEnded => Some("start the purchase again".to_owned()),
            Self::Exists(_) => Some("use the sealed token of the first time".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

impl TokenState {
    const ALL: [Self; 3] = [Self::Active, Self::Spent, Self::Revoked];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Spent => "spent",
            Self::Revoked => "revoked",
        }
    }
}

impl FromStr for TokenState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| format!("`{s}` is not a state"))
    }
}

/// The token of a hold that goes back is revoked. Tells whether there was one that still worked.
pub(crate) fn end_of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<bool, DbError> {
    Ok(tx.execute("update payment_token set state = 'revoked' where hold = $1 and state = 'active'", params![hold])? > 0)
}

/// A token of what comes again lives on with it.
pub(crate) fn extend(tx: &mut Tx<'_>, hold: &HoldId, until: Timestamp) -> Result<(), DbError> {
    let update = "update payment_token set expires_at = $2 where hold = $1 and state = 'active' and expires_at < $2";
    tx.execute(update, params![hold, until]).map(drop)
}

/// The token of a hold that was charged to the last line is spent.
pub(crate) fn spent_of_hold(tx: &mut Tx<'_>, hold: &HoldId) -> Result<(), DbError> {
    tx.execute("update payment_token set state = 'spent' where hold = $1 and state = 'active'", params![hold]).map(drop)
}
