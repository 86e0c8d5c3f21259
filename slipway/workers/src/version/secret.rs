//! Secrets: each change makes a new version of the same code.

use std::collections::BTreeMap;

use purser_values::Secret;
use purser_values::id::CloudAccountId;

use crate::binding::Binding;
use crate::error::WorkersError;
use crate::limits;
use crate::name::{BindingName, ScriptName};
use crate::rollout::Change;
use crate::upload::draft::{Draft, Previous};
use crate::upload::metadata::{fits, invalid};
use crate::view::{Author, ScriptSettingsPatch, SecretInfo, Version};
use crate::workers::Workers;

/// Whether the new version goes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    Deploy,
    Store,
}

impl Workers {
    /// Sets one secret and deploys.
    ///
    /// # Errors
    /// As [`Workers::secret_bulk`].
    pub async fn secret_put(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        name: &BindingName,
        value: Secret<String>,
        author: &Author,
    ) -> Result<SecretInfo, WorkersError> {
        let changes = BTreeMap::from([(name.clone(), Some(value))]);
        self.secret_bulk(account, script, changes, author, Rollout::Deploy).await?;
        Ok(SecretInfo { name: name.clone() })
    }

    /// Removes one secret and deploys.
    ///
    /// # Errors
    /// [`WorkersError::SecretNotFound`] when there is none, and as [`Workers::secret_bulk`].
    pub async fn secret_delete(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        name: &BindingName,
        author: &Author,
    ) -> Result<(), WorkersError> {
        let there = self.secret_list(account, script).await?;
        if !there.iter().any(|s| s.name == *name) {
            return Err(WorkersError::SecretNotFound(name.to_string()));
        }
        let changes = BTreeMap::from([(name.clone(), None)]);
        self.secret_bulk(account, script, changes, author, Rollout::Deploy).await.map(drop)
    }

    /// Sets and removes (`None`) secrets in one new version.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`]; [`WorkersError::NewestNotDeployed`] when deploying would also deploy code that nobody
    /// deployed yet.
    pub async fn secret_bulk(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        changes: BTreeMap<BindingName, Option<Secret<String>>>,
        author: &Author,
        rollout: Rollout,
    ) -> Result<Version, WorkersError> {
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        let (found, previous) = self.previous(account, script).await?;
        let (Some(found), Some(newest)) = (found, previous.row.clone()) else { return Err(WorkersError::ScriptNotFound) };
        if rollout == Rollout::Deploy && found.deployed.as_ref() != Some(&newest.id) {
            return Err(WorkersError::NewestNotDeployed);
        }
        let draft = self.redraft(previous, changes).await?;
        let deploy = rollout == Rollout::Deploy;
        let home = self.home(&row, Some(&found)).await?;
        let change = Change { home: &home, script, draft, author, deploy, settings: ScriptSettingsPatch::default() };
        Ok(self.roll_out(change).await?.0.view())
    }

    /// The names of the newest version's secrets.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn secret_list(&self, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<SecretInfo>, WorkersError> {
        let (found, previous) = self.previous(account, script).await?;
        found.ok_or(WorkersError::ScriptNotFound)?;
        Ok(previous.secrets.into_keys().map(|name| SecretInfo { name }).collect())
    }

    /// The newest version again, with other secrets.
    async fn redraft(&self, previous: Previous, changes: BTreeMap<BindingName, Option<Secret<String>>>) -> Result<Draft, WorkersError> {
        let Some(row) = previous.row else { return Err(WorkersError::ScriptNotFound) };
        let objects = previous.objects.all.iter().filter(|(owner, _)| *owner == row.script).map(|(_, class)| class.clone()).collect();
        let (mut bindings, mut secrets) = (row.bindings, previous.secrets);
        for (name, value) in changes {
            match (value, bindings.iter().position(|b| *b.name() == name)) {
                (_, Some(at)) if !matches!(bindings[at], Binding::SecretText { .. }) => {
                    return Err(invalid(format!(
                        "`{name}` is a binding of type `{}`, not a secret; choose another name",
                        bindings[at].kind()
                    )));
                }
                (Some(value), at) => {
                    fits(&name, value.expose().len())?;
                    if at.is_none() {
                        bindings.push(Binding::SecretText { name: name.clone() });
                    }
                    secrets.insert(name, value);
                }
                (None, at) => {
                    at.map(|at| bindings.remove(at));
                    secrets.remove(&name);
                }
            }
        }
        if bindings.len() > limits::BINDINGS {
            return Err(invalid(format!("a Worker may have {} bindings", limits::BINDINGS)));
        }
        let mut code = Vec::new();
        for module in &row.modules {
            code.push((module.sha256, self.0.blobs.get(&module.sha256).await?));
        }
        let assets = match row.asset_list {
            Some(list) => Some((list, self.asset_set(&list).await?)),
            None => None,
        };
        Ok(Draft {
            annotations: BTreeMap::from([("workers/triggered_by".to_owned(), "secret".to_owned())]),
            compatibility_date: row.compatibility_date,
            compatibility_flags: row.compatibility_flags,
            form: row.form,
            main_part: row.main_part,
            modules: row.modules,
            code,
            bindings,
            secrets,
            assets,
            code_digest: row.code_digest,
            objects,
            migration: None,
        })
    }
}
