//! Extension `controls`: an orchestrator stops, and lets go on, what one agent or a whole account may do at a provider.
//!
//! `POST provisioning/account/credentials/disable` and `…/enable` carry the agent; `POST provisioning/account/freeze` and `…/thaw` concern the
//! account of the bearer token. All four are idempotent, lose nothing (enable and thaw restore the same values) and have
//! taken effect when they answer.

use serde::{Deserialize, Serialize};

use crate::resource::AgentRef;

/// The body of disable and enable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentControl {
    pub agent: AgentRef,
}

/// The body of freeze.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountControl {
    /// Whether what is live stops answering too.
    #[serde(default)]
    pub dark: bool,
}

/// What is in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlReceipt {
    pub status: ControlStatus,
    /// How many credentials the call concerned.
    #[serde(default)]
    pub credentials: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlStatus {
    Disabled,
    Enabled,
    Frozen,
    Thawed,
}
