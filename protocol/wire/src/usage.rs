//! Extension `usage_holds`: money for metered use is set aside before the use accrues, `POST {orchestrator}/v2/provisioning/usage_holds`.
//!
//! A quote line whose period is `metered` costs nothing at once and names what use is billed under. While it lasts, the provider sets money
//! aside in blocks, one after another in each of its periods, and charges each block at most once, under the period
//! [`block_period`]. What was not set aside is never charged: a provider that is refused a block stops the service at what it has.
//!
//! A block that is not needed, or was asked for without an answer, goes back at once: `POST {orchestrator}/v2/provisioning/usage_holds/release`.
//! When a resource is removed, charge and release its blocks before you say so: soon after that nothing can be charged any more.
//!
//! Signed like a charge. A block that is there is answered as it is; a refused one is not remembered and may be asked for again.

use purser_values::{Money, Secret};
use serde::{Deserialize, Serialize};

use crate::id::{QuoteId, QuoteLineId};
use crate::open::open_enum;
use crate::plain;

/// The path of the route, below the orchestrator's base URL.
pub const PATH: &str = "v2/provisioning/usage_holds";

/// The path on which a block goes back, below the orchestrator's base URL.
pub const RELEASE_PATH: &str = "v2/provisioning/usage_holds/release";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsageHoldRequest {
    #[serde(serialize_with = "plain::secret")]
    pub payment_token: Secret<String>,
    /// The accepted quote and the metered line of it.
    pub quote_id: QuoteId,
    pub quote_line_id: QuoteLineId,
    /// The provider's billing period, `2026-12`.
    pub period: String,
    /// Which block of the period, from 1 on.
    pub block: u32,
    #[serde(flatten)]
    pub amount: Money,
}

open_enum! {
    UsageHoldStatus {
        /// The money is set aside until it is charged or its time is over.
        Reserved = "reserved",
        /// Nothing was set aside: stop before more is used.
        Refused = "refused",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageHoldResponse {
    pub status: UsageHoldStatus,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Which block goes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsageReleaseRequest {
    #[serde(serialize_with = "plain::secret")]
    pub payment_token: Secret<String>,
    pub quote_id: QuoteId,
    pub quote_line_id: QuoteLineId,
    /// The provider's billing period, `2026-12`.
    pub period: String,
    pub block: u32,
}

open_enum! {
    UsageReleaseStatus {
        /// Nothing is set aside for the block, any more or ever.
        Released = "released",
        /// It is charged or being charged, or is not this provider's.
        Refused = "refused",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReleaseResponse {
    pub status: UsageReleaseStatus,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The period that a charge of the block names.
#[must_use]
pub fn block_period(period: &str, block: u32) -> String {
    format!("{period}/{block}")
}
