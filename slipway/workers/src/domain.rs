//! Use cases on custom domains. Who owns a name is the caller's knowledge, passed in as [`OwnedHost`].

use std::collections::BTreeSet;

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::limits;
use crate::name::{ScriptName, Uuid};
use crate::store::{domain, route};
use crate::view::{CustomDomain, DomainChangeset, DomainConflict, OwnedHost};
use crate::workers::Workers;

impl Workers {
    /// What connecting these names would change; with `replace` the Worker's other names go. Changes nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn domain_changeset(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        owned: &[OwnedHost],
        replace: bool,
    ) -> Result<DomainChangeset, WorkersError> {
        let (account, script, owned) = (account.clone(), script.clone(), owned.to_vec());
        self.0.db.read(move |tx| changeset(tx, &account, &script, &owned, replace)).await
    }

    /// Connects the names, all or none; with `replace` the Worker's other names go. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`WorkersError::DomainConflict`] when another Worker of the account has a name and `take_over` is not set, and always when
    /// another account has it.
    pub async fn domain_put(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        owned: &[OwnedHost],
        take_over: bool,
        replace: bool,
    ) -> Result<Vec<CustomDomain>, WorkersError> {
        if owned.len() > limits::DOMAINS {
            return Err(WorkersError::BadRequest(format!("a Worker may have {} custom domains", limits::DOMAINS)));
        }
        self.script(account, script).await?;
        let (env, id, name, owned) = (self.0.env.clone(), account.clone(), script.clone(), owned.to_vec());
        let connected = self.change(move |tx| {
            let changes = changeset(tx, &id, &name, &owned, replace)?;
            if let Some(conflict) = changes.conflicting.iter().find(|c| c.script.is_none() || !take_over) {
                return Err(WorkersError::DomainConflict(conflict.hostname.to_string()));
            }
            for gone in &changes.removed {
                domain::delete(tx, &id, &gone.id)?;
            }
            for host in &owned {
                domain::put(tx, &env, &id, &name, host)?;
            }
            Ok(domain::list(tx, &id)?.into_iter().filter(|d| d.script == name).collect())
        });
        let connected = connected.await?;
        self.publish_hosts(account).await?;
        Ok(connected)
    }

    /// All custom domains of an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn domain_list(&self, account: &CloudAccountId) -> Result<Vec<CustomDomain>, WorkersError> {
        let account = account.clone();
        Ok(self.0.db.read(move |tx| domain::list(tx, &account)).await?)
    }

    /// Disconnects a name.
    ///
    /// # Errors
    /// [`WorkersError::DomainNotFound`].
    pub async fn domain_delete(&self, account: &CloudAccountId, id: &Uuid) -> Result<(), WorkersError> {
        let (owner, id) = (account.clone(), id.clone());
        if !self.change(move |tx| domain::delete(tx, &owner, &id)).await? {
            return Err(WorkersError::DomainNotFound);
        }
        self.publish_hosts(account).await
    }

    /// Disconnects every name, and ends every route, of a zone that leaves the account. By its name: the edge goes by that, and not by the
    /// id, which is another when the zone is taken up again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn domain_release_zone(&self, account: &CloudAccountId, zone_name: &str) -> Result<(), WorkersError> {
        let (owner, zone) = (account.clone(), zone_name.to_owned());
        let released = self.0.db.write(move |tx| {
            route::release_zone(tx, &owner, &zone)?;
            domain::release_zone(tx, &owner, &zone)
        });
        released.await?;
        self.publish_hosts(account).await
    }

    /// INVARIANT (new-zone-is-empty): before a zone begins, whatever anybody still has under its name is ended. Something may have been made
    /// while the zone before it was on its way out. `keep` is the id of the zone if it is there already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn zone_clear(&self, zone_name: &str, keep: Option<&str>) -> Result<(), WorkersError> {
        let (zone, keep) = (zone_name.to_owned(), keep.unwrap_or_default().to_owned());
        let cleared = self.0.db.write(move |tx| -> Result<_, WorkersError> {
            let mut of = route::release_name(tx, &zone, &keep)?;
            of.extend(domain::release_name(tx, &zone, &keep)?);
            Ok(of)
        });
        let of: BTreeSet<CloudAccountId> = cleared.await?.into_iter().collect();
        for account in of {
            self.publish_hosts(&account).await?;
        }
        Ok(())
    }
}

fn changeset(
    tx: &mut purser_db::Tx<'_>,
    account: &CloudAccountId,
    script: &ScriptName,
    owned: &[OwnedHost],
    replace: bool,
) -> Result<DomainChangeset, WorkersError> {
    let mut changes = DomainChangeset::default();
    for host in owned {
        match domain::find(tx, &host.hostname)? {
            None => changes.added.push(host.hostname.clone()),
            Some((owner, _)) if owner != *account => {
                changes.conflicting.push(DomainConflict { hostname: host.hostname.clone(), script: None });
            }
            Some((_, found)) if found.script != *script => {
                changes.conflicting.push(DomainConflict { hostname: host.hostname.clone(), script: Some(found.script) });
            }
            Some((_, found)) if found.zone_id != host.zone_id => changes.updated.push(found),
            Some(_) => {}
        }
    }
    if replace {
        let named = |d: &CustomDomain| owned.iter().any(|o| o.hostname == d.hostname);
        changes.removed = domain::list(tx, account)?.into_iter().filter(|d| d.script == *script && !named(d)).collect();
    }
    Ok(changes)
}
