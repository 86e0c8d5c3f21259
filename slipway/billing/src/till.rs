//! Where the money comes from, as this room sees it. The server's till is the orchestrator; a test's is the orchestrator's ledger itself.

use std::future::Future;
use std::pin::Pin;

use purser_values::id::{ChargeId, CloudResourceId, RefundId};
use purser_values::{Money, Month};
use slipway_accounts::charge::ChargeOutcome;
use slipway_accounts::refund::RefundOutcome;

/// Nobody knows yet what became of it: ask the same again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer: {0}")]
pub struct Unanswered(pub String);

/// A boxed future, so that the trait can be used as an object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unanswered>> + Send + 'a>>;

/// With which token, under which line of which quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub resource: CloudResourceId,
    /// The payment token, sealed for the resource.
    pub token: Vec<u8>,
    pub quote: String,
    pub line: String,
}

#[derive(Clone, Debug)]
pub struct ChargeAsk {
    /// Also the idempotency key.
    pub id: ChargeId,
    pub from: Account,
    pub amount: Money,
    /// `2026-12`, or `2026-12/3` for a block of use.
    pub period: String,
}

#[derive(Clone, Debug)]
pub struct BlockAsk {
    pub from: Account,
    pub period: Month,
    pub block: u32,
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOutcome {
    pub reserved: bool,
    pub code: Option<String>,
}

#[derive(Clone, Debug)]
pub struct RefundAsk {
    /// Also the idempotency key.
    pub id: RefundId,
    /// The orchestrator's id of the charge.
    pub charge: String,
    pub amount: Money,
    pub reason: String,
}

/// The till. Every call may come twice and has one effect.
pub trait Till: Send + Sync + 'static {
    fn charge<'a>(&'a self, ask: &'a ChargeAsk) -> Pending<'a, ChargeOutcome>;
    fn reserve<'a>(&'a self, ask: &'a BlockAsk) -> Pending<'a, BlockOutcome>;
    /// The block is not needed. A payer that says no has nothing of it any more.
    fn release<'a>(&'a self, ask: &'a BlockAsk) -> Pending<'a, ()>;
    fn refund<'a>(&'a self, ask: &'a RefundAsk) -> Pending<'a, RefundOutcome>;
}
