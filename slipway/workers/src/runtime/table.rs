//! Which host name leads to which Worker: read once per request, changed only as a whole account.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use purser_values::id::CloudAccountId;
use purser_values::name::HostName;

use crate::name::ScriptName;
use crate::runtime::site::{Site, Target};

#[derive(Default)]
pub struct Table {
    hosts: HashMap<HostName, (CloudAccountId, ScriptName)>,
    sites: HashMap<CloudAccountId, HashMap<ScriptName, Arc<Site>>>,
    suspended: HashSet<CloudAccountId>,
}

impl Table {
    pub fn route(&self, host: &HostName) -> Target {
        let Some((account, script)) = self.hosts.get(host) else { return Target::Unknown };
        if self.suspended.contains(account) {
            return Target::Suspended;
        }
        match self.sites.get(account).and_then(|sites| sites.get(script)) {
            Some(site) => Target::Site(site.clone()),
            None => Target::Unknown,
        }
    }

    pub fn set_hosts(&mut self, account: &CloudAccountId, hosts: Vec<(HostName, ScriptName)>) {
        self.hosts.retain(|_, (owner, _)| owner != account);
        for (host, script) in hosts {
            self.hosts.entry(host).or_insert_with(|| (account.clone(), script));
        }
    }

    pub fn set_sites(&mut self, account: &CloudAccountId, sites: HashMap<ScriptName, Arc<Site>>) {
        self.sites.insert(account.clone(), sites);
    }

    pub fn set_suspended(&mut self, account: &CloudAccountId, suspended: bool) {
        if suspended {
            self.suspended.insert(account.clone());
        } else {
            self.suspended.remove(account);
        }
    }
}
