//! What an agent asks for, and how what it got differs.

use std::collections::BTreeMap;

use purser_authority::{GrantScope, Reach};
use purser_values::name::{EnvironmentName, ProjectName, ProviderName, ServiceRef};
use purser_values::{Money, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Ends this close together, in microseconds, are the same to a person.
const A_MOMENT_US: u64 = 1_000_000;

/// What an agent asks for, or what a person allows of it. Nothing is implied by an empty list. Requests from before
/// environments, services and totals could be named confined none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedScope {
    pub projects: Reach<ProjectName>,
    #[serde(default = "Reach::all")]
    pub environments: Reach<EnvironmentName>,
    /// Written out: terms are accepted provider by provider.
    pub providers: Reach<ProviderName>,
    #[serde(default = "Reach::all")]
    pub services: Reach<ServiceRef>,
    /// Of what agents can be granted; all of it unless written out.
    #[serde(default = "Reach::all")]
    pub actions: Reach<String>,
    /// Per provider and calendar month; the person may write another.
    pub cap: Money,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<ProviderName, Money>,
    /// Over the whole life of the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    pub export: bool,
    pub irreversible: bool,
    /// Whether it may let other agents act within its grant.
    #[serde(default)]
    pub delegate: bool,
    /// Seconds from the acceptance to the end of the grant.
    pub life_s: i64,
}

/// One direction in which the grant is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub what: &'static str,
    pub asked: Value,
    pub granted: Value,
}

impl AskedScope {
    /// These projects and providers, whole, without export, irreversible purchases or helpers.
    #[must_use]
    pub fn new(
        projects: impl IntoIterator<Item = ProjectName>,
        providers: impl IntoIterator<Item = ProviderName>,
        cap: Money,
        life_s: i64,
    ) -> Self {
        Self {
            projects: Reach::only(projects),
            environments: Reach::All,
            providers: Reach::only(providers),
            services: Reach::All,
            actions: Reach::All,
            cap,
            caps: BTreeMap::new(),
            total: None,
            export: false,
            irreversible: false,
            delegate: false,
            life_s,
        }
    }

    /// The actions that a grant of this scope lists, each by name.
    fn listed_actions(&self) -> Vec<String> {
        let withheld = |name: &str| (name == "credential_export" && !self.export) || (name == "agent_delegate" && !self.delegate);
        let listed = purser_authority::action::grantable().filter(|name| !withheld(name)).map(str::to_owned);
        listed.filter(|name| self.actions.contains(name)).collect()
    }

    /// The scope if everything in it is accepted at `now`.
    #[must_use]
    pub fn in_full(&self, now: Timestamp) -> GrantScope {
        GrantScope {
            projects: self.projects.clone(),
            environments: self.environments.clone(),
            providers: self.providers.clone(),
            services: self.services.clone(),
            actions: self.listed_actions(),
            cap_per_provider_month: self.cap,
            caps: self.caps.clone(),
            total: self.total,
            irreversible: self.irreversible,
            export: self.export,
            expires_at: now.plus_secs(self.life_s),
        }
    }

    /// What `self` allows beyond `asked`, by the first direction. Ceilings are the person's own to write, so they are left out,
    /// except that one asked for must not be dropped.
    #[must_use]
    pub fn wider_than(&self, asked: &Self, now: Timestamp) -> Option<&'static str> {
        if asked.total.is_some() && self.total.is_none() {
            return Some("a total without end");
        }
        let (mut own, mut theirs) = (self.in_full(now), asked.in_full(now));
        theirs.cap_per_provider_month = own.cap_per_provider_month;
        for scope in [&mut own, &mut theirs] {
            scope.caps.clear();
            scope.total = None;
        }
        own.wider_than(&theirs)
    }

    /// Every direction in which `granted`, accepted at `at`, differs from what was asked.
    #[must_use]
    pub fn changes(&self, granted: &GrantScope, at: Timestamp) -> Vec<Change> {
        let mut asked = self.in_full(at);
        // The life is counted from the press of the button, a moment before the grant is written down.
        if asked.expires_at.as_micros().abs_diff(granted.expires_at.as_micros()) < A_MOMENT_US {
            asked.expires_at = granted.expires_at;
        }
        let pairs = [
            ("projects", json!(asked.projects), json!(granted.projects)),
            ("environments", json!(asked.environments), json!(granted.environments)),
            ("providers", json!(asked.providers), json!(granted.providers)),
            ("services", json!(asked.services), json!(granted.services)),
            ("actions", json!(asked.actions), json!(granted.actions)),
            ("cap", json!(asked.cap_per_provider_month), json!(granted.cap_per_provider_month)),
            ("caps", json!(asked.caps), json!(granted.caps)),
            ("total", json!(asked.total), json!(granted.total)),
            ("irreversible", json!(asked.irreversible), json!(granted.irreversible)),
            ("export", json!(asked.export), json!(granted.export)),
            ("expires_at", json!(asked.expires_at), json!(granted.expires_at)),
        ];
        let differ = pairs.into_iter().filter(|(_, asked, granted)| asked != granted);
        differ.map(|(what, asked, granted)| Change { what, asked, granted }).collect()
    }
}
