//! `script_settings_patch`: what belongs to the Worker and not to a version.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::store::script;
use crate::view::{Script, ScriptSettingsPatch};
use crate::workers::Workers;

impl Workers {
    /// Changes what the patch names.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn script_settings_patch(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        patch: ScriptSettingsPatch,
    ) -> Result<Script, WorkersError> {
        if patch.tags.as_ref().is_some_and(|tags| tags.len() > 8 || tags.iter().any(|t| t.len() > 64)) {
            return Err(WorkersError::BadRequest("a Worker may have 8 tags of 64 characters".to_owned()));
        }
        let (account, name, now) = (account.clone(), name.clone(), self.0.env.now());
        let changed = self.change(move |tx| {
            script::patch(tx, &account, &name, &patch, now)?;
            script::get(tx, &account, &name)
        });
        changed.await?.ok_or(WorkersError::ScriptNotFound)
    }
}
