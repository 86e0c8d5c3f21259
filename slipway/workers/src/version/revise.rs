//! `script_revise`: the newest version again with other settings or other code, live at once.

use bytes::Bytes;
use purser_values::id::CloudAccountId;
use serde_json::{Value, json};

use crate::error::WorkersError;
use crate::name::{BindingName, ScriptName, VersionId};
use crate::rollout::Change;
use crate::store::version::{Form, VersionRow};
use crate::upload::draft::Draft;
use crate::upload::metadata::Metadata;
use crate::view::{Author, UploadedModule, Version};
use crate::workers::Workers;

/// What is different from the newest version.
#[derive(Debug, Default)]
pub struct Revision {
    /// Keys of an upload's metadata; what is absent stays. A binding without its value stays as it is.
    pub settings: Value,
    /// All modules, when the code changes.
    pub modules: Option<Vec<UploadedModule>>,
}

/// What a Worker's bindings that are kept are told by: nothing but these.
const BARE: [&str; 2] = ["name", "type"];

impl Workers {
    /// Validates, stores and deploys.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`]; [`WorkersError::NewestNotDeployed`] when this would also deploy code that nobody deployed
    /// yet; [`WorkersError::Invalid`] when it does not start.
    pub async fn script_revise(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        revision: Revision,
        author: &Author,
    ) -> Result<Version, WorkersError> {
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        let (script, previous) = self.previous(account, name).await?;
        let (Some(script), Some(newest)) = (script, previous.row.clone()) else { return Err(WorkersError::ScriptNotFound) };
        if script.deployed.as_ref() != Some(&newest.id) {
            return Err(WorkersError::NewestNotDeployed);
        }
        let text = metadata(&newest, &revision.settings)?;
        let modules = match revision.modules {
            Some(modules) => modules,
            None => self.modules_of(&newest).await?,
        };
        let mut metadata = Metadata::parse(text.to_string().as_bytes())?;
        let settings = std::mem::take(&mut metadata.settings);
        let assets = self.assets_of(account, name, &metadata, &previous).await?;
        let draft = Draft::new(name, metadata, modules, assets, &previous, &self.0.env)?;
        if draft.repeats(&previous) {
            self.settle(&row).await?;
            return Ok(newest.view());
        }
        let home = self.home(&row, Some(&script)).await?;
        let change = Change { home: &home, script: name, draft, author, deploy: true, settings };
        Ok(self.roll_out(change).await?.0.view())
    }

    /// The code of a version (or of the newest one) as it was uploaded, its main module first, and that module's name.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`]; [`WorkersError::VersionNotFound`].
    pub async fn version_content(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        id: Option<&VersionId>,
    ) -> Result<(Version, Vec<UploadedModule>), WorkersError> {
        let row = match id {
            Some(id) => self.version_row(account, name, id).await?,
            None => self.previous(account, name).await?.1.row.ok_or(WorkersError::ScriptNotFound)?,
        };
        let mut modules = self.modules_of(&row).await?;
        modules.sort_by_key(|module| row.main_part.as_deref() != Some(module.name.as_str()));
        Ok((row.view(), modules))
    }

    async fn modules_of(&self, row: &VersionRow) -> Result<Vec<UploadedModule>, WorkersError> {
        let mut modules = Vec::new();
        for info in &row.modules {
            let bytes: Bytes = self.0.blobs.get(&info.sha256).await?;
            modules.push(UploadedModule { name: info.name.clone(), content_type: info.content_type.clone(), bytes });
        }
        Ok(modules)
    }

    /// The names of the secrets that a version has otherwise than what is live now, when the version is older than that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn secrets_changed_since(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        id: &VersionId,
    ) -> Result<Vec<BindingName>, WorkersError> {
        let Some(live) = self.script(account, name).await?.deployed else { return Ok(Vec::new()) };
        let (old, live) = (self.version_row(account, name, id).await?, self.version_row(account, name, &live).await?);
        if old.number >= live.number {
            return Ok(Vec::new());
        }
        let (old, live) = (self.secrets_of(&old).await?, self.secrets_of(&live).await?);
        let same = |name: &BindingName| match (old.get(name), live.get(name)) {
            (Some(one), Some(other)) => one.expose() == other.expose(),
            _ => false,
        };
        let mut all: Vec<BindingName> = old.keys().chain(live.keys()).filter(|name| !same(name)).cloned().collect();
        all.dedup();
        Ok(all)
    }
}

/// The newest version's own metadata with what is new.
fn metadata(newest: &VersionRow, settings: &Value) -> Result<Value, WorkersError> {
    let fits = settings.is_null() || settings.is_object();
    let given = settings.as_object().cloned().unwrap_or_default();
    if !fits {
        return Err(WorkersError::BadRequest("the settings are not a JSON object".to_owned()));
    }
    let inherit = |name: &str| json!({"type": "inherit", "name": name});
    let kept: Vec<Value> = newest.bindings.iter().map(|b| inherit(b.name().as_str())).collect();
    let mut text = json!({
        "compatibility_date": newest.compatibility_date, "compatibility_flags": newest.compatibility_flags,
        "keep_bindings": [], "keep_assets": newest.asset_list.is_some(), "bindings": kept,
    });
    let part = match newest.form {
        Form::Modules => Some("main_module"),
        Form::ServiceWorker => Some("body_part"),
        Form::AssetsOnly => None,
    };
    if let Some(part) = part.filter(|_| !given.contains_key("main_module") && !given.contains_key("body_part")) {
        text[part] = json!(newest.main_part);
    }
    for (key, value) in given {
        text[&key] = match (key.as_str(), value) {
            ("bindings", Value::Array(rows)) => {
                let known = |name: &str| newest.bindings.iter().any(|b| b.name().as_str() == name);
                let row = |row: Value| match row.get("name").and_then(Value::as_str) {
                    Some(name) if known(name) && row.as_object().is_some_and(|o| o.keys().all(|k| BARE.contains(&k.as_str()))) => {
                        inherit(name)
                    }
                    _ => row,
                };
                rows.into_iter().map(row).collect()
            }
            (_, value) => value,
        };
    }
    Ok(text)
}
