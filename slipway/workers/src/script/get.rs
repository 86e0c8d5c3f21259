//! `script_get` and `script_list`.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::store::{script, version};
use crate::view::{Script, Service};
use crate::workers::Workers;

impl Workers {
    /// A Worker with the version that is live, or else its newest.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn script_get(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Service, WorkersError> {
        let (account, name) = (account.clone(), name.clone());
        let found = self.0.db.read(move |tx| {
            let Some(script) = script::get(tx, &account, &name)? else { return Ok(None) };
            let row = match &script.deployed {
                Some(id) => version::get(tx, &account, &name, id)?,
                None => version::newest(tx, &account, &name)?,
            };
            Ok::<_, WorkersError>(Some(Service { script, version: row.map(version::VersionRow::view) }))
        });
        found.await?.ok_or(WorkersError::ScriptNotFound)
    }

    /// All Workers of an account, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn script_list(&self, account: &CloudAccountId) -> Result<Vec<Script>, WorkersError> {
        let account = account.clone();
        Ok(self.0.db.read(move |tx| script::list(tx, &account)).await?)
    }

    /// How many Workers are live on this host.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn script_count_live(&self) -> Result<i64, WorkersError> {
        Ok(self.0.db.read(script::count_live).await?)
    }

    pub(crate) async fn script(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Script, WorkersError> {
        let (account, name) = (account.clone(), name.clone());
        let found = self.0.db.read(move |tx| script::get(tx, &account, &name)).await?;
        found.ok_or(WorkersError::ScriptNotFound)
    }
}
