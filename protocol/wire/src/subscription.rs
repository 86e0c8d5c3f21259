//! Extension `subscriptions`: what is paid for period after period ends with its period instead of at once, and money is asked back.
//!
//! `POST provisioning/resources/:id/renewal` and `POST provisioning/resources/:id/refund_requests`. Both carry an idempotency key and answer in
//! the envelope of their own; what was asked back comes as a refund of its charge (extension `refunds`).

use purser_values::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::ResourceId;
use crate::open::open_enum;

/// Whether another period follows the one that is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalRequest {
    pub renews: bool,
}

/// How it stands after that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    pub id: ResourceId,
    pub renews: bool,
    /// The end of the period that is paid. What does not renew is removed then, as if it had been asked for.
    pub ends_at: Timestamp,
}

/// Somebody wants money back for what they do not want any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundAsk {
    pub reason: String,
}

open_enum! {
    RefundDecision {
        /// The resource is removed, and the amount comes back.
        Refunded = "refunded",
        /// Nothing is given back, and the resource goes on.
        NotRefundable = "not_refundable",
    }
}

/// The provider's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundDecided {
    pub id: ResourceId,
    pub decision: RefundDecision,
    /// How much comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Until when something could be had back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}
