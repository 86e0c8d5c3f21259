//! `script_upload`: a new version that is live at once.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::rollout::Change;
use crate::upload::draft::{Draft, Previous};
use crate::upload::metadata::Metadata;
use crate::view::{Author, Deployed, Script, ScriptSettingsPatch, Upload};
use crate::workers::Workers;

/// An upload that was checked against what there is.
pub(crate) struct Prepared {
    pub script: Option<Script>,
    pub previous: Previous,
    pub draft: Draft,
    pub settings: ScriptSettingsPatch,
}

impl Workers {
    /// Validates the upload by starting it, stores it and makes it live. The same upload again changes nothing.
    ///
    /// # Errors
    /// [`WorkersError::Invalid`] with workerd's words when the code does not start; what was live stays live.
    pub async fn script_upload(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        upload: Upload,
        author: &Author,
    ) -> Result<Deployed, WorkersError> {
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        let Prepared { script, previous, draft, settings } = self.prepare(account, name, upload).await?;
        if let (Some(script), Some(newest)) = (&script, &previous.row)
            && script.deployed.as_ref() == Some(&newest.id)
            && draft.repeats(&previous)
        {
            // The first try may have ended between its commit and its start.
            self.settle(&row).await?;
            let deployments = self.deployment_list(account, name).await?;
            let deployment = deployments.into_iter().next().ok_or(WorkersError::DeploymentNotFound)?;
            return Ok(Deployed { script: script.clone(), version: newest.clone().view(), deployment, repeated: true });
        }
        let home = self.home(&row, script.as_ref()).await?;
        let change = Change { home: &home, script: name, draft, author, deploy: true, settings };
        let (version, deployment) = self.roll_out(change).await?;
        let script = self.script(account, name).await?;
        let deployment = deployment.ok_or(WorkersError::DeploymentNotFound)?;
        Ok(Deployed { script, version: version.view(), deployment, repeated: false })
    }

    /// Checks an upload and completes it from the newest version.
    pub(crate) async fn prepare(&self, account: &CloudAccountId, name: &ScriptName, upload: Upload) -> Result<Prepared, WorkersError> {
        let mut metadata = Metadata::parse(&upload.metadata)?;
        let settings = std::mem::take(&mut metadata.settings);
        let (script, previous) = self.previous(account, name).await?;
        let assets = self.assets_of(account, name, &metadata, &previous).await?;
        let draft = Draft::new(name, metadata, upload.modules, assets, &previous, &self.0.env)?;
        Ok(Prepared { script, previous, draft, settings })
    }
}
