//! What a grant allows, as the authoriser needs to know it.

use purser_values::name::{ProjectName, ProviderName};
use purser_values::{Money, Timestamp};
use serde::{Deserialize, Serialize};

/// The claims of a grant that decide. Empty lists allow nothing; there is no wildcard that was not written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantScope {
    /// Projects the agent may work in.
    pub projects: Vec<ProjectName>,
    pub providers: Vec<ProviderName>,
    /// Names of actions ([`crate::action`]).
    pub actions: Vec<String>,
    /// Ceiling of this agent at each provider in each calendar month (UTC).
    pub cap_per_provider_month: Money,
    /// Whether purchases that cannot be undone (domains) are allowed.
    pub irreversible: bool,
    /// Whether the agent may see credentials in plain text.
    pub export: bool,
    pub expires_at: Timestamp,
}

impl GrantScope {
    /// Whether everything that `self` allows is also allowed by `parent`.
    ///
    /// INVARIANT (agent-cannot-widen): a grant made on behalf of an agent is within the agent's own.
    #[must_use]
    pub fn is_within(&self, parent: &Self) -> bool {
        let cap = self.cap_per_provider_month;
        let parent_cap = parent.cap_per_provider_month;
        self.projects.iter().all(|p| parent.projects.contains(p))
            && self.providers.iter().all(|p| parent.providers.contains(p))
            && self.actions.iter().all(|a| parent.actions.contains(a))
            && cap.currency() == parent_cap.currency()
            && cap.minor() <= parent_cap.minor()
            && (parent.irreversible || !self.irreversible)
            && (parent.export || !self.export)
            && self.expires_at <= parent.expires_at
    }
}
