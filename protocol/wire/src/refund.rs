//! Extension `refunds`: a provider gives back what it charged, `POST {orchestrator}/v2/provisioning/charges/{id}/refunds`.
//!
//! Signed and repeatable like a charge. Only the provider that charged can give back, all of it or parts; the parts of one charge never
//! add up to more than the charge. An orchestrator that undoes an order says so when it removes the resource
//! ([`crate::resource::RemoveReason`]), and waits for the refund.

use purser_values::Money;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::charge;
use crate::id::{ChargeId, RefundId};
use crate::open::open_enum;

/// The address of the route for one charge. Nothing when the base address cannot carry a path.
#[must_use]
pub fn address(orchestrator: &Url, charge: &ChargeId) -> Option<Url> {
    let mut url = orchestrator.join(charge::PATH).ok()?;
    url.path_segments_mut().ok()?.push(charge.as_str()).push("refunds");
    Some(url)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Never more than what is left of the charge.
    #[serde(flatten)]
    pub amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
}

open_enum! {
    RefundReason {
        /// The provider could not deliver what was paid for.
        NotDelivered = "not_delivered",
        /// The orchestrator undid the order.
        Undone = "undone",
    }
}

open_enum! {
    RefundStatus {
        /// The money is on its way back, and the cap has its room again.
        Succeeded = "succeeded",
        /// The payment method does not take it back; it stays owed. Another try needs another key.
        Failed = "failed",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundResponse {
    pub id: RefundId,
    pub status: RefundStatus,
    /// Why not, for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_id_stays_one_segment_of_the_address() {
        let base = Url::parse("https://purser.example/base/").unwrap();
        let at = |id: &str| address(&base, &id.parse().unwrap()).unwrap().to_string();
        assert_eq!(at("chg_1"), "https://purser.example/base/v2/provisioning/charges/chg_1/refunds");
        assert_eq!(at("a/../b?c#d"), "https://purser.example/base/v2/provisioning/charges/a%2F..%2Fb%3Fc%23d/refunds");
    }
}
