//! The one way by which a host name is given to somebody: a Worker's name under the common domain, the account's label there, a custom
//! domain, a route, a record that leads to our edge. Each new one is judged and counted before it is given.
//!
//! INVARIANT (judged-before-given): no host name is given that did not come through here. What was given once stays given: a deployment
//! that is repeated is not held because detectors learned something since. A name under a wildcard is named by nobody, and so judged by
//! nobody.

use purser_db::DbError;
use purser_guard::Verdict;
use purser_guard::velocity::Act;
use slipway_accounts::suspension::token_orchestrator;
use slipway_workers::name::{ScriptName, SubdomainName};

use super::acts::{self, Doer, person};
use super::judge::{Refused, hold, settle};
use crate::api::caller::Caller;
use crate::cloud::Shared;

/// A host name, and which part of it was chosen by whoever gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    chosen: String,
    /// What it stands under, where that is a name of theirs, too.
    below: Option<String>,
}

impl Host {
    /// A Worker's name under the common domain; nothing where there is no such domain.
    #[must_use]
    pub fn of_worker(cloud: &Shared, script: &ScriptName, subdomain: &SubdomainName) -> Option<Self> {
        let common = cloud.nameserver.common_domain()?;
        let (chosen, below) = (script.to_string(), Some(subdomain.to_string()));
        Some(Self { name: format!("{script}.{subdomain}.{common}"), chosen, below })
    }

    /// The account's label under the common domain.
    #[must_use]
    pub fn of_account(cloud: &Shared, subdomain: &SubdomainName) -> Option<Self> {
        let common = cloud.nameserver.common_domain()?;
        Some(Self { name: format!("{subdomain}.{common}"), chosen: subdomain.to_string(), below: None })
    }

    /// A name within a zone of the account, the zone's own among them, which was judged when it was bought.
    #[must_use]
    pub fn in_zone(name: &str, zone: &str) -> Self {
        let chosen = name.strip_suffix(zone).unwrap_or(name).trim_end_matches('.').to_owned();
        Self { name: name.to_owned(), chosen, below: zone.split('.').next().map(str::to_owned) }
    }

    /// By which a family of names is known.
    fn label(&self) -> &str {
        let chosen = self.chosen.split('.').find(|label| !label.is_empty() && *label != "*");
        chosen.or(self.below.as_deref()).unwrap_or_default()
    }
}

/// Judges and counts the hosts that are new to the caller's account; all may be given, or none.
///
/// # Errors
/// When one is refused or held, or there are too many.
pub async fn give(cloud: &Shared, caller: &Caller, hosts: Vec<Host>) -> Result<(), Refused> {
    let account = caller.account.id.clone();
    let new = cloud.db.read(move |tx| -> Result<Vec<Host>, DbError> {
        let mut new = Vec::new();
        for host in hosts {
            if !acts::is_done(tx, Act::Host, &account, &host.name)? {
                new.push(host);
            }
        }
        Ok(new)
    });
    let new = new.await?;
    if new.is_empty() {
        return Ok(());
    }
    for (host, verdict) in judged(cloud, new.clone()).await? {
        settle(cloud, caller.party(), "host", host.name, verdict).await?;
    }
    let (within, token) = (cloud.clone(), caller.token.clone());
    let email = caller.account.email.to_string();
    let counted = cloud.db.write(move |tx| -> Result<(), Refused> {
        let doer = Doer {
            account: token.account.clone(),
            orchestrator: token_orchestrator(tx, &token.id)?,
            person: person(&within, &email),
            agent: token.agent.as_ref().map(ToString::to_string),
        };
        for host in &new {
            acts::act(tx, &within, Act::Host, &doer, &host.name, host.label())?;
        }
        Ok(())
    });
    match counted.await {
        Ok(()) => Ok(()),
        Err(e) => Err(hold(cloud, caller.party(), e).await),
    }
}

/// One zone file can name thousands, so this stands in nobody's way.
async fn judged(cloud: &Shared, hosts: Vec<Host>) -> Result<Vec<(Host, Verdict)>, Refused> {
    let within = cloud.clone();
    let all = move || -> Vec<(Host, Verdict)> {
        let judge = |host: Host| {
            let verdict = within.guard.names.judge_host(&host.chosen, host.below.as_deref());
            (host, verdict)
        };
        hosts.into_iter().map(judge).filter(|(_, verdict)| !verdict.passes()).collect()
    };
    tokio::task::spawn_blocking(all).await.map_err(|e| Refused::Unjudged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_of_a_host_is_what_stands_left_of_the_zone() {
        let host = Host::in_zone("pay.eu.quiet-harbour.test", "quiet-harbour.test");
        assert_eq!((host.chosen.as_str(), host.below.as_deref(), host.label()), ("pay.eu", Some("quiet-harbour"), "pay"));
        let own = Host::in_zone("quiet-harbour.test", "quiet-harbour.test");
        assert_eq!((own.chosen.as_str(), own.label()), ("", "quiet-harbour"));
        assert_eq!(Host::in_zone("*.quiet-harbour.test", "quiet-harbour.test").label(), "quiet-harbour");
    }
}
