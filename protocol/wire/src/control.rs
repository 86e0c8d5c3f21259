//! Extension `controls`: an orchestrator stops, and lets go on, what one agent or a whole account may do at a provider.
//!
//! `POST provisioning/account/credentials/disable` and `…/enable` carry the agent; `POST provisioning/account/freeze` and `…/thaw` concern the
//! account of the bearer token. All four are idempotent, lose nothing (enable and thaw restore the same values) and have
//! taken effect when they answer.
//!
//! Extension `control_order`: each carries a number, higher for each new decision about the same agent or account. A call that was on
//! its way for long can then not undo the one that overtook it: a provider carries out no number lower than the highest that it has seen for
//! that agent, or that account, and answers `superseded`. The same number is a repeat. A call without a number is carried out.

use serde::{Deserialize, Serialize};

use crate::resource::AgentRef;

/// The place of a decision among those about the same agent or account: 1 or more, and exact in every JSON reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct ControlOrder(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order number is a whole number from 1 to 9007199254740991")]
pub struct ControlOrderError;

impl ControlOrder {
    /// The greatest number that every JSON reader has exactly (RFC 8259, 6).
    pub const MAX: u64 = (1 << 53) - 1;

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for ControlOrder {
    type Error = ControlOrderError;
    fn try_from(number: u64) -> Result<Self, ControlOrderError> {
        if (1..=Self::MAX).contains(&number) { Ok(Self(number)) } else { Err(ControlOrderError) }
    }
}

impl From<ControlOrder> for u64 {
    fn from(order: ControlOrder) -> Self {
        order.0
    }
}

/// The body of disable and enable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentControl {
    pub agent: AgentRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<ControlOrder>,
}

/// The body of freeze; a thaw carries `order` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountControl {
    /// Whether what is live stops answering too.
    #[serde(default)]
    pub dark: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<ControlOrder>,
}

/// What is in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlReceipt {
    pub status: ControlStatus,
    /// How many credentials the call concerned.
    #[serde(default)]
    pub credentials: u64,
    /// With `superseded`: the highest number that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<ControlOrder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlStatus {
    Disabled,
    Enabled,
    Frozen,
    Thawed,
    /// Nothing was done: a later decision is in force.
    Superseded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_optional_and_one_that_no_reader_has_exactly_is_refused() {
        let read = |text: &str| serde_json::from_str::<AgentControl>(text).map(|control| control.order.map(ControlOrder::get));
        assert_eq!(read(r#"{"agent":{"id":"agt_1"}}"#).unwrap(), None);
        assert_eq!(read(r#"{"agent":{"id":"agt_1"},"order":null}"#).unwrap(), None);
        assert_eq!(read(r#"{"agent":{"id":"agt_1"},"order":9007199254740991}"#).unwrap(), Some(ControlOrder::MAX));
        for bad in ["0", "-1", "1.5", "9007199254740992", r#""1""#] {
            assert!(read(&format!(r#"{{"agent":{{"id":"agt_1"}},"order":{bad}}}"#)).is_err(), "{bad}");
        }
    }
}
