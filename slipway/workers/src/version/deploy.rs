//! `deployment_create`: a stored version goes live.

use std::collections::BTreeMap;

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::{ScriptName, VersionId};
use crate::rollout::refused;
use crate::store::deployment::{self, NewDeployment};
use crate::view::{Author, Deployment};
use crate::workers::Workers;

impl Workers {
    /// Makes one version answer all requests. `versions` is what the client asked for, with percentages.
    ///
    /// # Errors
    /// [`WorkersError::BadRequest`] for a split: only one version with 100 percent is served.
    pub async fn deployment_create(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        versions: &[(VersionId, f64)],
        annotations: BTreeMap<String, String>,
        author: &Author,
    ) -> Result<Deployment, WorkersError> {
        let [(id, percentage)] = versions else {
            return Err(WorkersError::BadRequest(
                "a deployment has exactly one version here; gradual deployments are not supported".to_owned(),
            ));
        };
        if (percentage - 100.0).abs() > f64::EPSILON {
            return Err(WorkersError::BadRequest("the one version of a deployment gets 100 percent".to_owned()));
        }
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        self.script(account, name).await?;
        let version = self.version_row(account, name, id).await?;
        let current = self.deployment_list(account, name).await?.into_iter().next();
        if let Some(current) = current.filter(|c| c.version == *id && c.annotations == annotations) {
            return Ok(current);
        }
        let loaded = self.load(version).await?;
        // Usually a no-op: the process that validated the version is still waiting.
        self.0.runtime.validate(account, row.number, &loaded.live).await.map_err(refused)?;
        let (env, who, stored) = (self.0.env.clone(), author.clone(), loaded.row);
        let deployment = self
            .change(move |tx| {
                let new = NewDeployment {
                    account: &stored.account,
                    script: &stored.script,
                    version: &stored.id,
                    author: &who,
                    annotations: &annotations,
                };
                deployment::insert(tx, &env, &new)
            })
            .await?;
        self.go_live(&row, loaded.live).await?;
        Ok(deployment)
    }
}
