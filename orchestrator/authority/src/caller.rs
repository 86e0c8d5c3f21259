//! Who is asking.

use std::fmt;
use std::str::FromStr;

use purser_values::Timestamp;
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId};
use purser_values::name::ProviderName;
use serde::{Deserialize, Serialize};

/// A person's role in one organisation, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Member,
    Billing,
    Auditor,
}

/// An authenticated (or anonymous) caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Caller {
    /// A person in a browser or with a short command-line token, acting in one organisation.
    Person {
        person: PersonId,
        organisation: OrganisationId,
        role: Role,
        /// When they last proved that they are there: at sign-in, or since then. Absent when the call itself proves nothing of
        /// the kind, as a mailed link does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        present_at: Option<Timestamp>,
    },
    /// An agent with its own key, under one grant of one person. Never the person's session.
    Agent {
        agent: AgentId,
        grant: GrantId,
        on_behalf_of: PersonId,
        organisation: OrganisationId,
        /// The agents through whose grants this one was derived, nearest first; empty for a grant that a person gave.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        chain: Vec<Delegator>,
    },
    /// A provider that signed its request.
    Provider {
        provider: ProviderName,
    },
    /// Whoever runs this installation, on its machine.
    Operator,
    /// The orchestrator itself: undo, alerts, reconciliation.
    System,
    Anonymous,
}

/// An agent that let another act within its own grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegator {
    pub agent: AgentId,
    pub grant: GrantId,
}

impl Caller {
    #[must_use]
    pub const fn organisation(&self) -> Option<&OrganisationId> {
        match self {
            Self::Person { organisation, .. } | Self::Agent { organisation, .. } => Some(organisation),
            Self::Provider { .. } | Self::Operator | Self::System | Self::Anonymous => None,
        }
    }

    /// The human who answers for the call, if there is one.
    #[must_use]
    pub const fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person { person, .. } => Some(person),
            Self::Agent { on_behalf_of, .. } => Some(on_behalf_of),
            Self::Provider { .. } | Self::Operator | Self::System | Self::Anonymous => None,
        }
    }

    #[must_use]
    pub const fn agent(&self) -> Option<&AgentId> {
        if let Self::Agent { agent, .. } = self { Some(agent) } else { None }
    }

    /// The agents and grants that an agent's grant was derived through, nearest first.
    #[must_use]
    pub fn chain(&self) -> &[Delegator] {
        if let Self::Agent { chain, .. } = self { chain } else { &[] }
    }
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Member, Self::Billing, Self::Auditor];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Billing => "billing",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|r| r.name() == s).ok_or_else(|| format!("`{s}` is not a role"))
    }
}
