//! Rails: how money really moves. Called outside any write, between the intent and the outcome of what is asked of them.
//!
//! A rail keeps cards and banks away from us: a person sets a method up on the rail's own page, and we keep a reference, a brand and
//! four digits. Our payment token stays the authority over what may be charged; where a rail has tokens of its own that a seller redeems
//! there, one can be bound to ours, never wider and never longer.

mod event;
pub mod sandbox;

use std::future::Future;
use std::pin::Pin;

use purser_values::id::{ChargeId, OrganisationId, PaymentSetupId, PaymentTokenId, RefundId};
use purser_values::name::ProviderName;
use purser_values::{Money, Secret, Timestamp};

use crate::method::RailMethod;

pub use event::{Chargeback, ChargebackState, EVENT_JOB, RailEvent, RailNews, forget, take};

/// A person wants to put a payment method on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupOrder {
    /// Also the idempotency key.
    pub setup: PaymentSetupId,
    pub organisation: OrganisationId,
    /// Where the rail sends the person afterwards.
    pub back: String,
}

/// Where the person goes to set the method up, and the rail's own name of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupPage {
    pub reference: String,
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupOutcome {
    /// The person has not finished.
    Open,
    Done(RailMethod),
    Failed,
}

/// One capture. Its charge id is the idempotency key at the rail: the same order again has one effect, and the same answer once there is a final one.
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

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RailOutcome {
    Captured {
        reference: String,
    },
    Declined {
        code: String,
        message: String,
    },
    /// The bank wants to see the person first. Not an end: the same order goes on when they have been there.
    RequiresAction,
}

/// Where a person confirms a payment, or that there is nothing to confirm any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    Page { url: String },
    Ended(RailOutcome),
}

/// A token of the rail's own for one seller, within a payment token of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SellerTokenOrder {
    /// The charge that waits for what is taken with it; goes along, so that the rail's messages name it. Also the idempotency key.
    pub charge: ChargeId,
    pub token: PaymentTokenId,
    pub rail: String,
    pub method: String,
    /// The seller's own name at the rail.
    pub seller: String,
    /// The most that may be captured with it.
    pub most: Money,
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug)]
pub enum SellerToken {
    Issued {
        reference: String,
        /// What the seller redeems.
        plain: Secret<String>,
    },
    /// The rail, or our account there, has no such tokens: the seller charges ours.
    NotOffered,
    /// The rail will not make this one, now or later.
    Refused { code: String, message: String },
}

/// What became of a seller's token so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SellerTokenUse {
    /// All that was taken with it.
    pub captured: Money,
    /// When it ended, if it has: used up, run out or revoked.
    pub ended_at: Option<Timestamp>,
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

/// Why a message that claims to be the rail's is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("the message is not signed by the rail")]
    Signature,
    #[error("the message was signed too long ago, or in the future")]
    Stale,
    #[error("the message is not one of the rail's: {0}")]
    Form(String),
}

pub type RailFuture<'a, T = RailOutcome> = Pin<Box<dyn Future<Output = Result<T, RailError>> + Send + 'a>>;

pub trait Rail: Send + Sync {
    /// The name under which its methods are kept.
    fn name(&self) -> &'static str;

    /// Opens the rail's page on which a person sets a method up, once for each setup id.
    fn set_up<'a>(&'a self, order: &'a SetupOrder) -> RailFuture<'a, SetupPage>;

    /// What became of a setup. Asked after the person came back, and when the rail says that something happened.
    fn set_up_outcome<'a>(&'a self, reference: &'a str) -> RailFuture<'a, SetupOutcome>;

    /// Forgets a method: nothing is charged to it again.
    fn forget<'a>(&'a self, method: &'a str) -> RailFuture<'a, ()>;

    /// Takes the money, once for each charge id.
    fn capture<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a>;

    /// Where the person confirms an order that waits for them; the rail sends them to `back` afterwards.
    fn confirm<'a>(&'a self, order: &'a RailOrder, back: &'a str) -> RailFuture<'a, Confirmation>;

    /// Ends an order that waits for its person. The answer is final: captured, when the person was faster.
    fn cancel<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a>;

    /// Gives the money back, once for each refund id.
    fn refund<'a>(&'a self, order: &'a RefundOrder) -> RailFuture<'a, RefundOutcome>;

    /// Whether sellers can redeem tokens at this rail at all.
    fn has_seller_tokens(&self) -> bool;

    /// Issues a token that one seller redeems at the rail, once for each charge.
    fn seller_token<'a>(&'a self, order: &'a SellerTokenOrder) -> RailFuture<'a, SellerToken>;

    /// Ends it. Ending it again does nothing.
    fn seller_token_revoke<'a>(&'a self, reference: &'a str) -> RailFuture<'a, ()>;

    /// What was taken with it, and whether more can be.
    fn seller_token_use<'a>(&'a self, reference: &'a str) -> RailFuture<'a, SellerTokenUse>;

    /// Reads a message from the rail and checks who signed it and when. Nothing is done yet: see [`take`].
    ///
    /// # Errors
    /// See [`WebhookError`]. A message that is the rail's and says nothing to us is `None`.
    fn receive(&self, signature: &str, body: &[u8], now: Timestamp) -> Result<Option<RailEvent>, WebhookError>;
}
