//! The account's subdomain, and whether a Worker answers below it.

use purser_values::id::CloudAccountId;
use purser_values::name::HostName;

use crate::error::WorkersError;
use crate::name::{ScriptName, SubdomainName};
use crate::store::{account, script};
use crate::view::{ScriptSubdomain, Subdomain};
use crate::workers::Workers;

impl Workers {
    /// The account's subdomain. Every account has one from its first sight on.
    ///
    /// # Errors
    /// [`WorkersError::NoSubdomain`].
    pub async fn subdomain_get(&self, account: &CloudAccountId) -> Result<Subdomain, WorkersError> {
        let row = self.account(account).await?;
        row.subdomain.map(|name| Subdomain { name }).ok_or(WorkersError::NoSubdomain)
    }

    /// Gives the account another subdomain.
    ///
    /// # Errors
    /// [`WorkersError::SubdomainTaken`].
    pub async fn subdomain_put(&self, account: &CloudAccountId, name: &SubdomainName) -> Result<Subdomain, WorkersError> {
        self.account(account).await?;
        let (id, wanted) = (account.clone(), name.clone());
        if !self.change(move |tx| account::set_subdomain(tx, &id, &wanted)).await? {
            return Err(WorkersError::SubdomainTaken(name.to_string()));
        }
        self.publish_hosts(account).await?;
        Ok(Subdomain { name: name.clone() })
    }

    /// Switches a Worker's name below the subdomain on or off.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn script_subdomain_put(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        on: ScriptSubdomain,
    ) -> Result<ScriptSubdomain, WorkersError> {
        self.script(account, name).await?;
        let (id, script) = (account.clone(), name.clone());
        self.change(move |tx| script::set_subdomain(tx, &id, &script, on)).await?;
        self.publish_hosts(account).await?;
        Ok(on)
    }

    /// The Worker's name below the common domain, whether it is switched on or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn script_hostname(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Option<HostName>, WorkersError> {
        let row = self.account(account).await?;
        Ok(self.host_below(&row, name))
    }
}
