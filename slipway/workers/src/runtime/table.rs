//! Which host name leads to which Worker: read once per request, changed only as a whole account.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use purser_values::id::CloudAccountId;
use purser_values::name::HostName;

use crate::name::ScriptName;
use crate::pattern::Pattern;
use crate::runtime::site::{Site, Target};
use crate::tenant::{Environment, Tenant};
use crate::view::ZoneRoute;

#[derive(Default)]
pub struct Table {
    hosts: HashMap<HostName, (CloudAccountId, ScriptName)>,
    /// Each with the environment that it runs in.
    sites: HashMap<CloudAccountId, HashMap<ScriptName, (Environment, Arc<Site>)>>,
    suspended: HashSet<CloudAccountId>,
    /// Routes by the zone that they lie in, the most specific first: a host is looked up in the zones above it and in no other.
    rules: HashMap<String, Vec<Rule>>,
}

/// A route by pattern.
struct Rule {
    pattern: Pattern,
    account: CloudAccountId,
    /// Nothing where the pattern keeps requests from the Workers of wider ones.
    script: Option<ScriptName>,
}

impl Table {
    /// Who serves a URL; without a path, whether anybody serves any URL of the host.
    pub fn find(&self, host: &HostName, path: Option<&str>) -> Target {
        let ruled = self.rule(host.as_str(), path).and_then(|rule| Some((&rule.account, rule.script.as_ref()?)));
        let connected = || self.hosts.get(host).map(|(account, script)| (account, script));
        let Some((account, script)) = ruled.or_else(connected) else { return Target::Unknown };
        if self.suspended.contains(account) {
            return Target::Suspended;
        }
        match self.sites.get(account).and_then(|sites| sites.get(script)) {
            Some((_, site)) => Target::Site(site.clone()),
            None => Target::Unknown,
        }
    }

    fn rule(&self, host: &str, path: Option<&str>) -> Option<&Rule> {
        if self.rules.is_empty() {
            return None;
        }
        let covers = |rule: &&Rule| match path {
            Some(path) => rule.pattern.covers(host, path),
            None => rule.script.is_some() && rule.pattern.covers_host(host),
        };
        let mut zone = host;
        loop {
            if let Some(rule) = self.rules.get(zone).and_then(|rules| rules.iter().find(covers)) {
                return Some(rule);
            }
            zone = zone.split_once('.')?.1;
        }
    }

    pub fn set_routes(&mut self, account: &CloudAccountId, routes: Vec<ZoneRoute>) {
        for rules in self.rules.values_mut() {
            rules.retain(|rule| rule.account != *account);
        }
        for route in routes {
            let rules = self.rules.entry(route.zone_name).or_default();
            rules.push(Rule { pattern: route.pattern, account: account.clone(), script: route.script });
            rules.sort_by_cached_key(|rule| rule.pattern.rank());
        }
        self.rules.retain(|_, rules| !rules.is_empty());
    }

    pub fn set_hosts(&mut self, account: &CloudAccountId, hosts: Vec<(HostName, ScriptName)>) {
        self.hosts.retain(|_, (owner, _)| owner != account);
        for (host, script) in hosts {
            self.hosts.entry(host).or_insert_with(|| (account.clone(), script));
        }
    }

    /// Sets all sites of a tenant; those of the account's other environments stay.
    pub fn set_sites(&mut self, tenant: &Tenant, sites: HashMap<ScriptName, Arc<Site>>) {
        let all = self.sites.entry(tenant.account.clone()).or_default();
        all.retain(|_, (environment, _)| *environment != tenant.environment);
        all.extend(sites.into_iter().map(|(script, site)| (script, (tenant.environment.clone(), site))));
    }

    /// Where a live Worker runs.
    pub fn home(&self, account: &CloudAccountId, script: &ScriptName) -> Option<Tenant> {
        let (environment, _) = self.sites.get(account)?.get(script)?;
        Some(Tenant { account: account.clone(), environment: environment.clone() })
    }

    pub fn set_suspended(&mut self, account: &CloudAccountId, suspended: bool) {
        if suspended {
            self.suspended.insert(account.clone());
        } else {
            self.suspended.remove(account);
        }
    }
}
