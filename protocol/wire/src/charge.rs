//! Extension `charges`: a provider takes money through a payment token, `POST {orchestrator}/v2/provisioning/charges`.
//!
//! The message is signed by RFC 9421 (`crate::signature::message`) and carries an `Idempotency-Key`: repeating it with the same body has
//! one effect and gets the first answer.

use purser_values::{Money, Secret};
use serde::{Deserialize, Serialize};

use crate::id::{ChargeId, QuoteId, QuoteLineId, ResourceId};
use crate::open::open_enum;
use crate::plain;

/// The path of the route, below the orchestrator's base URL.
pub const PATH: &str = "v2/provisioning/charges";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChargeRequest {
    #[serde(serialize_with = "plain::secret")]
    pub payment_token: Secret<String>,
    /// The accepted quote and the line of it that is charged.
    pub quote_id: QuoteId,
    pub quote_line_id: QuoteLineId,
    /// Never more than the line's amount.
    #[serde(flatten)]
    pub amount: Money,
    /// The resource that is paid for, in the provider's words; absent while it does not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// The billing period, for charges that come again: `2026-12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
}

open_enum! {
    ChargeStatus {
        /// The money is captured.
        Succeeded = "succeeded",
        /// The bank wants to see the person first (3-D Secure). Nothing is taken yet: ask again later with the same key and the same
        /// body, for up to a day; the answer is then one of the others.
        Pending = "pending",
        /// The payment method refused.
        Declined = "declined",
        /// The orchestrator refused: cap, freeze, revoked token, quote. Nothing was tried.
        Refused = "refused",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeResponse {
    pub id: ChargeId,
    pub status: ChargeStatus,
    /// Why not, for `declined` and `refused`; what for, for `pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
