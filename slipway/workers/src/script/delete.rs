//! `script_delete`: off line first, then out of the store.

use purser_values::id::CloudAccountId;

use crate::binding::Binding;
use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::rollout::refused;
use crate::store::{object, schedule, script, version};
use crate::workers::Workers;

impl Workers {
    /// Deletes a Worker with its versions, secrets and domains. Repeating it answers [`WorkersError::ScriptNotFound`].
    ///
    /// # Errors
    /// [`WorkersError::InUse`] when a live Worker is bound to it and `force` is not set.
    pub async fn script_delete(&self, account: &CloudAccountId, name: &ScriptName, force: bool) -> Result<(), WorkersError> {
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        let home = self.home(&row, Some(&self.script(account, name).await?)).await?;
        if !force && let Some(user) = self.bound_to(account, name).await? {
            return Err(WorkersError::InUse(name.to_string(), user.to_string()));
        }
        let (id, script) = (account.clone(), name.clone());
        let gone = self.change(move |tx| {
            script::delete(tx, &id, &script)?;
            schedule::delete(tx, &id, &script)?;
            object::delete(tx, &id, &script)
        });
        let gone = gone.await?;
        self.publish_hosts(account).await?;
        self.0.runtime.withdraw(&home.tenant, home.number, name).await.map_err(refused)?;
        self.0.runtime.forget_objects(&home.tenant, &gone).await;
        Ok(())
    }

    /// A live Worker of the account that calls this one.
    async fn bound_to(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Option<ScriptName>, WorkersError> {
        let id = account.clone();
        let live = self.0.db.read(move |tx| version::deployed(tx, &id)).await?;
        let calls = |b: &Binding| match b {
            Binding::Service { service, .. } => service == name,
            Binding::DurableObjectNamespace { script_name, .. } => script_name.as_ref() == Some(name),
            _ => false,
        };
        Ok(live.into_iter().map(|live| live.version).find(|v| v.script != *name && v.bindings.iter().any(calls)).map(|v| v.script))
    }
}
