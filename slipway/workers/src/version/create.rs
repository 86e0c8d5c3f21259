//! `version_create`: a new version that nobody is routed to yet.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::rollout::Change;
use crate::script::upload::Prepared;
use crate::view::{Author, Upload, Version};
use crate::workers::Workers;

/// The same upload within this time is a client's retry and gets the version it made.
const RETRY_WINDOW_S: i64 = 300;

impl Workers {
    /// Validates the upload by starting it beside what runs, and stores it. The process waits a while for its deployment.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`] before the first [`Workers::script_upload`]; [`WorkersError::Invalid`] when the code does
    /// not start.
    pub async fn version_create(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        upload: Upload,
        author: &Author,
    ) -> Result<Version, WorkersError> {
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        let Prepared { script, previous, draft, settings } = self.prepare(account, name, upload).await?;
        let home = self.home(&row, Some(&script.ok_or(WorkersError::ScriptNotFound)?)).await?;
        if draft.migration.is_some() {
            return Err(WorkersError::Invalid(
                "migrations of Durable Objects take effect at once, so they cannot be part of a version that waits; deploy the Worker"
                    .to_owned(),
            ));
        }
        let recent = |created| self.0.env.now().micros_since(created) < RETRY_WINDOW_S * 1_000_000;
        if let Some(newest) = previous.row.as_ref().filter(|r| recent(r.created_at) && draft.repeats(&previous)) {
            return Ok(newest.clone().view());
        }
        let change = Change { home: &home, script: name, draft, author, deploy: false, settings };
        Ok(self.roll_out(change).await?.0.view())
    }
}
