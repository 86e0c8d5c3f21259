//! Extension `events`: a provider tells what happened, `POST {orchestrator}/v2/provisioning/events`.
//!
//! Signed and repeatable like a charge. `id` is the provider's and unique; the same id twice is one event.

use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AccountId, AgentId, DeploymentId, ResourceId};
use crate::open::open_enum;
use crate::plain;
use crate::resource::Endpoint;

/// The path of the route, below the orchestrator's base URL.
pub const PATH: &str = "v2/provisioning/events";

open_enum! {
    EventKind {
        DeploymentCreated = "deployment_created",
        DeploymentRemoved = "deployment_removed",
        ResourceChanged = "resource_changed",
        ResourceRemoved = "resource_removed",
        AccountSuspended = "account_suspended",
        AccountRestored = "account_restored",
        AccountUnlinked = "account_unlinked",
        AbuseCaseOpened = "abuse_case_opened",
        AbuseCaseClosed = "abuse_case_closed",
        UsageReported = "usage_reported",
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderEvent {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventKind,
    pub occurred_at: Timestamp,
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// The agent whose credential was used, when one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentInfo>,
    /// Whatever else the kind carries.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "plain::or_default")]
    pub data: Map<String, Value>,
}

/// One version of code that runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentInfo {
    pub id: DeploymentId,
    /// What the code is called at the provider: the script's name.
    pub name: String,
    /// Digest of the code as the provider runs it.
    pub code_digest: Sha256Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "plain::or_default")]
    pub endpoints: Vec<Endpoint>,
}

/// The orchestrator's answer: whether the event is new to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventReceipt {
    pub id: String,
    pub accepted: bool,
}
