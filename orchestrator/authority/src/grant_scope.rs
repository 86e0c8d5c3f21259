//! What a grant allows, as the authoriser needs to know it.

use std::collections::BTreeMap;

use purser_values::name::{EnvironmentName, ProjectName, ProviderName, ServiceRef};
use purser_values::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::reach::Reach;

/// The claims of a grant that decide. An empty list allows nothing; "all" is written out where it is meant.
///
/// Records from before environments, services, own ceilings and totals were in grants confined none of them; they read as
/// such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantScope {
    /// Projects the agent may work in.
    pub projects: Reach<ProjectName>,
    /// Environments of those projects.
    #[serde(default = "Reach::all")]
    pub environments: Reach<EnvironmentName>,
    pub providers: Reach<ProviderName>,
    /// Services of those providers.
    #[serde(default = "Reach::all")]
    pub services: Reach<ServiceRef>,
    /// Names of actions ([`crate::action`]).
    pub actions: Vec<String>,
    /// Ceiling at each provider in each calendar month (UTC), where `caps` says nothing else.
    pub cap_per_provider_month: Money,
    /// Ceilings of single providers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<ProviderName, Money>,
    /// Ceiling of all purchases under the grant, over its whole life and those of the grants derived from it. Absent: only
    /// the monthly ceilings bind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// Whether purchases that cannot be undone (domains) are allowed.
    pub irreversible: bool,
    /// Whether the agent may see credentials in plain text.
    pub export: bool,
    pub expires_at: Timestamp,
}

impl GrantScope {
    /// The monthly ceiling at one provider.
    #[must_use]
    pub fn cap_at(&self, provider: &ProviderName) -> Money {
        self.caps.get(provider).copied().unwrap_or(self.cap_per_provider_month)
    }

    /// Whether everything that `self` allows is also allowed by `parent`.
    ///
    /// INVARIANT (agent-cannot-widen): a grant made on behalf of an agent is within the agent's own.
    #[must_use]
    pub fn is_within(&self, parent: &Self) -> bool {
        self.wider_than(parent).is_none()
    }

    /// What `self` allows beyond `parent`, by the first direction in which it does. Total: what cannot be compared is wider.
    #[must_use]
    pub fn wider_than(&self, parent: &Self) -> Option<&'static str> {
        let wider = [
            (!self.projects.is_within(&parent.projects), "projects"),
            (!self.environments.is_within(&parent.environments), "environments"),
            (!self.providers.is_within(&parent.providers), "providers"),
            (!self.services.is_within(&parent.services), "services"),
            (!self.actions.iter().all(|a| parent.actions.contains(a)), "actions"),
            (!self.caps_within(parent), "cap"),
            (!total_within(self.total, parent.total), "total"),
            (self.irreversible && !parent.irreversible, "irreversible purchases"),
            (self.export && !parent.export, "credential export"),
            (self.expires_at > parent.expires_at, "life"),
        ];
        wider.into_iter().find_map(|(is, what)| is.then_some(what))
    }

    /// Whether the ceiling at every provider that `self` reaches is at most the parent's there.
    fn caps_within(&self, parent: &Self) -> bool {
        let fits = |provider: &ProviderName| at_most(self.cap_at(provider), parent.cap_at(provider));
        match &self.providers {
            Reach::Only(names) => names.iter().all(fits),
            Reach::All => {
                at_most(self.cap_per_provider_month, parent.cap_per_provider_month) && self.caps.keys().chain(parent.caps.keys()).all(fits)
            }
        }
    }
}

fn at_most(amount: Money, ceiling: Money) -> bool {
    amount.currency() == ceiling.currency() && amount.minor() <= ceiling.minor()
}

fn total_within(own: Option<Money>, parent: Option<Money>) -> bool {
    match (own, parent) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(own), Some(parent)) => at_most(own, parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_environments_and_totals_still_reads_and_confines_none() {
        let old = r#"{"projects":["shop"],"providers":["slipway"],"actions":["resource_add"],
            "cap_per_provider_month":{"amount_minor":10000,"currency":"USD"},"irreversible":false,"export":false,"expires_at":1795435200000000}"#;
        let money = serde_json::to_value(Money::from_minor(100_00, purser_values::Currency::USD)).unwrap();
        let at = serde_json::to_value(Timestamp::from_secs(1_795_435_200)).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(old).unwrap();
        (value["cap_per_provider_month"], value["expires_at"]) = (money, at);
        let scope: GrantScope = serde_json::from_value(value.clone()).unwrap();
        assert!(scope.environments.is_all() && scope.services.is_all() && scope.total.is_none() && scope.caps.is_empty());
        assert_eq!(scope.projects, Reach::only(["shop".parse().unwrap()]));
    }
}
