//! Rails: how money really moves. Called outside any write, between the intent and the outcome of a charge or a refund.

pub mod sandbox;

use std::future::Future;
use std::pin::Pin;

use purser_values::Money;
use purser_values::id::{ChargeId, RefundId};
use purser_values::name::ProviderName;

/// One capture. Its charge id is the idempotency key at the rail: the same order again has one effect and the first answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RailOrder {
    pub charge: ChargeId,
    pub rail: String,
    /// The rail's own id of the payment method.
    pub method: String,
    pub amount: Money,
    pub provider: ProviderName,
    pub description: String,
}

/// What became of an order, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RailOutcome {
    Captured { reference: String },
    Declined { code: String, message: String },
}

/// Gives back what one capture took, or a part. Its refund id is the idempotency key at the rail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    pub refund: RefundId,
    pub rail: String,
    pub charge: ChargeId,
    /// The rail's own name of the capture.
    pub capture: String,
    pub amount: Money,
}

/// What became of a refund, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    Refunded { reference: String },
    Declined { code: String, message: String },
}

/// The rail did not say what became of the order: ask again with the same order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payment rail gave no answer: {0}")]
pub struct RailError(pub String);

pub type RailFuture<'a, T = RailOutcome> = Pin<Box<dyn Future<Output = Result<T, RailError>> + Send + 'a>>;

pub trait Rail: Send + Sync {
    /// The name under which its methods are kept.
    fn name(&self) -> &'static str;

    /// Takes the money, once for each charge id.
    fn capture<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a>;

    /// Gives the money back, once for each refund id.
    fn refund<'a>(&'a self, order: &'a RefundOrder) -> RailFuture<'a, RefundOutcome>;
}
