//! Credits: what a programme gives an account to spend here, before its payment token is charged.
//!
//! INVARIANT (credit-once): a programme is given once to each name of the attestation and to each mailbox. The names are kept for ever, also
//! when the account is gone.
//! INVARIANT (credit-sum-zero): what was given is available, held, spent or expired; every movement has a source and a target ([`book`]).
//! INVARIANT (credit-stays-credit): what a credit paid comes back as credit, never as money.

pub mod advance;
pub mod book;
pub mod forecast;
pub mod get;
pub mod programme;
pub mod redeem;
pub mod spend;

use purser_db::{DbError, Row};
use purser_values::id::{CloudAccountId, CreditId};
use purser_values::{Currency, Money, Timestamp};
use purser_wire::credit::Cover;

use crate::subscription::Kind;

/// The kind of job that tells and ends; its payload is `{"credit": id}`.
pub const JOB: &str = "billing_credit";

/// One credit as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    pub id: CreditId,
    pub account: CloudAccountId,
    pub programme: String,
    pub given: Money,
    pub covers: Vec<Cover>,
    pub redeemed_at: Timestamp,
    pub expires_at: Timestamp,
    /// Notices before the end that were sent.
    pub told: i64,
    pub is_over: bool,
}

impl Credit {
    #[must_use]
    pub fn pays(&self, cover: &Cover, currency: Currency, at: Timestamp) -> bool {
        at < self.expires_at && self.given.currency() == currency && self.covers.contains(cover)
    }
}

/// What a credit has to cover to pay for a subscription.
#[must_use]
pub const fn cover_of(kind: Kind) -> Cover {
    match kind {
        Kind::Plan => Cover::Plans,
        Kind::Domain => Cover::Domains,
    }
}

pub(crate) fn read(row: &Row) -> Result<Credit, DbError> {
    let state: String = row.get("state")?;
    Ok(Credit {
        id: row.parse("id")?,
        account: row.parse("account")?,
        programme: row.get("programme")?,
        given: Money::from_minor(row.get("given_minor")?, row.parse("currency")?),
        covers: row.json("covers")?,
        redeemed_at: row.get("redeemed_at")?,
        expires_at: row.get("expires_at")?,
        told: row.get("told")?,
        is_over: state == "expired",
    })
}
