//! Identifiers as they travel: opaque text that the receiver keeps and never takes apart.
//!
//! On the wire an id of the other party is 1 to 255 visible characters. Our own typed ids (`purser_values::id`) turn into
//! these when we send them; they are never parsed back without a look-up.

use std::fmt;
use std::str::FromStr;

use purser_values::id::{Id, Kind};
use serde::{Deserialize, Serialize};

use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: 1 to 255 characters without spaces or control characters")]
pub struct ParseWireIdError {
    text: String,
    what: &'static str,
}

macro_rules! wire_id {
    ($($(#[$doc:meta])* $name:ident $what:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = ParseWireIdError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                let count = text.chars().take(limits::ID_CHARS + 1).count();
                if count == 0 || count > limits::ID_CHARS || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
                    return Err(ParseWireIdError { text: text.chars().take(64).collect(), what: $what });
                }
                Ok(Self(text))
            }
        }
        impl FromStr for $name {
            type Err = ParseWireIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
        impl<K: Kind> From<&Id<K>> for $name {
            fn from(id: &Id<K>) -> Self {
                Self(id.as_str().to_owned())
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    )* };
}

wire_id! {
    /// A provider's id of one of its services: `workers:paid`.
    ServiceId "a service id";
    /// A provider's id of the account of a user.
    AccountId "an account id";
    /// A provider's id of a provisioned resource.
    ResourceId "a resource id";
    /// A provider's id of one version of running code.
    DeploymentId "a deployment id";
    /// A provider's id of a quote.
    QuoteId "a quote id";
    /// The id of one line of a quote.
    QuoteLineId "a quote line id";
    /// An orchestrator's id of an account request; repeating it never makes a second account.
    AccountRequestId "an account request id";
    /// What connects one subject of an orchestrator with one account, by the provider's own name.
    LinkId "a link id";
    /// An orchestrator's id of a resource.
    OrchestratorResourceId "an orchestrator resource id";
    /// An orchestrator's id of a project.
    ProjectId "a project id";
    /// An orchestrator's id of an agent.
    AgentId "an agent id";
    /// An orchestrator's id of a charge.
    ChargeId "a charge id";
    /// An orchestrator's id of a refund.
    RefundId "a refund id";
    /// The name by which a repeated change is recognised (`Idempotency-Key`).
    IdempotencyKey "an idempotency key";
}

impl From<&purser_values::name::ServiceName> for ServiceId {
    fn from(name: &purser_values::name::ServiceName) -> Self {
        Self(name.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_visible_text_of_bounded_length() {
        assert_eq!("toaster:nano".parse::<ServiceId>().unwrap().as_str(), "toaster:nano");
        for bad in ["", " ", "a b", "a\nb", &"x".repeat(256)] {
            assert!(bad.parse::<ServiceId>().is_err(), "`{bad}` was taken");
        }
    }
}
