//! Reading versions and deployments.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::{ScriptName, VersionId};
use crate::store::version::VersionRow;
use crate::store::{deployment, script, version};
use crate::view::{Deployment, Version};
use crate::workers::Workers;

impl Workers {
    /// # Errors
    /// [`WorkersError::VersionNotFound`].
    pub async fn version_get(&self, account: &CloudAccountId, name: &ScriptName, id: &VersionId) -> Result<Version, WorkersError> {
        Ok(self.version_row(account, name, id).await?.view())
    }

    /// Newest first.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn version_list(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Vec<Version>, WorkersError> {
        self.script(account, name).await?;
        let (account, name) = (account.clone(), name.clone());
        let rows = self.0.db.read(move |tx| version::list(tx, &account, &name)).await?;
        Ok(rows.into_iter().map(VersionRow::view).collect())
    }

    /// Newest first; the first one is live.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn deployment_list(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Vec<Deployment>, WorkersError> {
        let (account, name) = (account.clone(), name.clone());
        let found = self.0.db.read(move |tx| {
            let there = script::get(tx, &account, &name)?.is_some();
            Ok::<_, WorkersError>(there.then(|| deployment::list(tx, &account, &name)).transpose()?)
        });
        found.await?.ok_or(WorkersError::ScriptNotFound)
    }

    pub(crate) async fn version_row(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        id: &VersionId,
    ) -> Result<VersionRow, WorkersError> {
        let (account, name, id) = (account.clone(), name.clone(), id.clone());
        let found = self.0.db.read(move |tx| version::get(tx, &account, &name, &id)).await?;
        found.ok_or(WorkersError::VersionNotFound)
    }
}
