//! What a helper shall be allowed (`authorization_details`, RFC 9396): the agent's own scope where nothing else is said, without what
//! must be said to be had.
//!
//! Whatever is said is taken as said, even if it is wider: then the derivation refuses and names it, instead of giving something
//! else than was asked for.

use std::collections::BTreeMap;

use purser_authority::{GrantScope, Reach};
use purser_values::error::{Kind, PublicError};
use purser_values::name::{EnvironmentName, ProjectName, ProviderName, ServiceRef};
use purser_values::{Money, Timestamp};
use serde::Deserialize;

use crate::agent::AgentName;
use crate::authorization::details::GRANT_TYPE;

/// Each member as a grant's scope writes it; amounts also in minor units of the grant's currency, the end also as seconds from now.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Narrower {
    #[serde(rename = "type")]
    kind: String,
    pub name: Option<AgentName>,
    projects: Option<Reach<ProjectName>>,
    environments: Option<Reach<EnvironmentName>>,
    providers: Option<Reach<ProviderName>>,
    services: Option<Reach<ServiceRef>>,
    actions: Option<Vec<String>>,
    cap_minor: Option<i64>,
    cap_per_provider_month: Option<Money>,
    caps_minor: Option<BTreeMap<ProviderName, i64>>,
    caps: Option<BTreeMap<ProviderName, Money>>,
    total_minor: Option<i64>,
    total: Option<Money>,
    #[serde(default)]
    irreversible: bool,
    #[serde(default)]
    export: bool,
    #[serde(default)]
    delegate: bool,
    expires_in: Option<i64>,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authorization details are not one `{GRANT_TYPE}`: {0}")]
pub struct NarrowerError(String);

impl PublicError for NarrowerError {
    fn code(&self) -> &'static str {
        "invalid_authorization_details"
    }
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl Narrower {
    /// Reads the parameter: exactly one object, of our type, in which everything is understood.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, NarrowerError> {
        let mut details: Vec<Self> = serde_json::from_str(text).map_err(|e| NarrowerError(e.to_string()))?;
        let (Some(one), true) = (details.pop(), details.is_empty()) else {
            return Err(NarrowerError("one object is expected".to_owned()));
        };
        if one.kind != GRANT_TYPE {
            return Err(NarrowerError("its `type` is another".to_owned()));
        }
        let said_twice = [
            ("the cap", one.cap_minor.is_some() && one.cap_per_provider_month.is_some()),
            ("caps", one.caps_minor.is_some() && one.caps.is_some()),
            ("the total", one.total_minor.is_some() && one.total.is_some()),
            ("the end", one.expires_in.is_some() && one.expires_at.is_some()),
        ];
        match said_twice.into_iter().find(|(_, twice)| *twice) {
            Some((what, _)) => Err(NarrowerError(format!("it says {what} in two ways"))),
            None => Ok(one),
        }
    }

    /// The scope that this makes of the agent's own.
    #[must_use]
    pub fn of(&self, own: &GrantScope, now: Timestamp) -> GrantScope {
        let money = |minor| Money::from_minor(minor, own.cap_per_provider_month.currency());
        let cap = self.cap_minor.map(money).or(self.cap_per_provider_month);
        let caps = self.caps_minor.as_ref().map(|caps| caps.iter().map(|(name, minor)| (name.clone(), money(*minor))).collect());
        let providers = self.providers.clone().unwrap_or_else(|| own.providers.clone());
        GrantScope {
            projects: self.projects.clone().unwrap_or_else(|| own.projects.clone()),
            environments: self.environments.clone().unwrap_or_else(|| own.environments.clone()),
            services: self.services.clone().unwrap_or_else(|| own.services.clone()),
            actions: self.actions_of(own),
            cap_per_provider_month: cap.unwrap_or(own.cap_per_provider_month),
            // a lower cap than the agent's own ceiling somewhere is meant for there too
            caps: caps.or_else(|| self.caps.clone()).unwrap_or_else(|| {
                let kept = own.caps.iter().filter(|(name, _)| providers.contains(name));
                kept.map(|(name, own)| (name.clone(), cap.filter(|cap| cap.minor() < own.minor()).unwrap_or(*own))).collect()
            }),
            total: self.total_minor.map(money).or(self.total).or(own.total),
            irreversible: self.irreversible,
            export: self.export,
            expires_at: self.expires_in.map(|s| now.plus_secs(s.max(0))).or(self.expires_at).unwrap_or(own.expires_at),
            providers,
        }
    }

    /// The same for a grant that lives so long, or as long as the agent's own, if that is shorter.
    #[must_use]
    pub fn of_for(&self, own: &GrantScope, now: Timestamp, life_s: i64) -> GrantScope {
        GrantScope { expires_at: now.plus_secs(life_s).min(own.expires_at), ..self.of(own, now) }
    }

    fn actions_of(&self, own: &GrantScope) -> Vec<String> {
        let mut actions = self.actions.clone().unwrap_or_else(|| own.actions.clone());
        let said = self.actions.is_some();
        actions.retain(|name| match name.as_str() {
            "agent_delegate" => self.delegate || said,
            "credential_export" => self.export,
            _ => true,
        });
        for (wanted, name) in [(self.delegate, "agent_delegate"), (self.export, "credential_export")] {
            if wanted && !actions.iter().any(|action| action == name) {
                actions.push(name.to_owned());
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Currency;

    fn own() -> GrantScope {
        GrantScope {
            projects: Reach::only(["shop".parse().unwrap(), "blog".parse().unwrap()]),
            environments: Reach::All,
            providers: Reach::only(["slipway".parse().unwrap(), "acme".parse().unwrap()]),
            services: Reach::All,
            actions: ["resource_add", "agent_delegate", "credential_export"].map(str::to_owned).to_vec(),
            cap_per_provider_month: Money::from_minor(100_00, Currency::USD),
            caps: BTreeMap::from([("acme".parse().unwrap(), Money::from_minor(50_00, Currency::USD))]),
            total: None,
            irreversible: true,
            export: true,
            expires_at: Timestamp::from_secs(10_000),
        }
    }

    #[test]
    fn what_is_not_said_is_the_agents_own_except_for_what_must_be_said() {
        let now = Timestamp::from_secs(1_000);
        let read = |text: &str| Narrower::read(text).unwrap().of(&own(), now);
        let bare = read(r#"[{"type":"purser_grant"}]"#);
        assert!(bare.is_within(&own()) && !bare.irreversible && !bare.export);
        assert_eq!(bare.actions, ["resource_add"]);
        let some = read(r#"[{"type":"purser_grant","projects":["shop"],"cap_minor":2500,"delegate":true,"expires_in":60}]"#);
        assert!(some.is_within(&own()));
        assert_eq!((some.cap_at(&"acme".parse().unwrap()).minor(), some.expires_at), (25_00, Timestamp::from_secs(1_060)));
        assert!(some.actions.contains(&"agent_delegate".to_owned()));
        for wide in [
            r#"[{"type":"purser_grant","projects":"all"}]"#,
            r#"[{"type":"purser_grant","projects":["other"]}]"#,
            r#"[{"type":"purser_grant","providers":["elsewhere"]}]"#,
            r#"[{"type":"purser_grant","cap_minor":10001}]"#,
            r#"[{"type":"purser_grant","caps_minor":{"acme":5001}}]"#,
            r#"[{"type":"purser_grant","actions":["cap_set"]}]"#,
            r#"[{"type":"purser_grant","expires_in":9001}]"#,
        ] {
            assert!(!read(wide).is_within(&own()), "{wide} was narrowed without saying so");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"[{}]"#,
            r#"[{"type":"payment"}]"#,
            r#"[{"type":"purser_grant","root":true}]"#,
            r#"[{"type":"purser_grant"},{"type":"purser_grant"}]"#,
            r#"[{"type":"purser_grant","cap_minor":1,"cap_per_provider_month":{"amount_minor":1,"currency":"USD"}}]"#,
        ] {
            assert!(Narrower::read(bad).is_err(), "{bad}");
        }
    }
}
