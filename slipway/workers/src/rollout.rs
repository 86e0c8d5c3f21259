//! A draft becomes a version, and perhaps the one that is live.
//!
//! Order: the code is started beside what runs while its bytes are written durably; then one commit holds the version and its
//! deployment; then the started process takes over. A crash before the commit leaves nothing but blobs; after it, the next start
//! brings up what the commit says.

use std::collections::BTreeMap;

use bytes::Bytes;
use purser_values::Sha256Digest;

use crate::error::WorkersError;
use crate::limits;
use crate::name::{ScriptName, VersionId};
use crate::runtime::Live;
use crate::runtime::process::StartError;
use crate::store::account::AccountRow;
use crate::store::deployment::{self, NewDeployment};
use crate::store::version::{self, VersionRow};
use crate::store::{object, script};
use crate::upload::draft::Draft;
use crate::upload::load::unit;
use crate::view::{Author, Deployment, ScriptSettingsPatch, Share};
use crate::workers::Workers;

/// One change of a script.
pub(crate) struct Change<'a> {
    pub account: &'a AccountRow,
    pub script: &'a ScriptName,
    pub draft: Draft,
    pub author: &'a Author,
    pub deploy: bool,
    pub settings: ScriptSettingsPatch,
}

impl Workers {
    /// Validates, stores and perhaps deploys. The caller holds the account's lock.
    pub(crate) async fn roll_out(&self, change: Change<'_>) -> Result<(VersionRow, Option<Deployment>), WorkersError> {
        let Change { account, script: name, draft, author, deploy, settings } = change;
        let id = VersionId::mint(&self.0.env);
        let now = self.0.env.now();
        let code: BTreeMap<Sha256Digest, Bytes> = draft.code.iter().cloned().collect();
        let mut row = VersionRow {
            id: id.clone(),
            account: account.account.clone(),
            script: name.clone(),
            number: 0,
            created_at: now,
            author: author.clone(),
            annotations: draft.annotations,
            compatibility_date: draft.compatibility_date,
            compatibility_flags: draft.compatibility_flags,
            form: draft.form,
            main_part: draft.main_part,
            modules: draft.modules,
            bindings: draft.bindings,
            asset_list: draft.assets.as_ref().map(|(list, _)| *list),
            code_digest: draft.code_digest,
            startup_ms: None,
        };
        let unit = unit(&row.parts(&draft.secrets, &draft.objects), &code);
        let live = Live { script: name.clone(), version: id.clone(), share: Share::ALL, unit, assets: draft.assets.map(|(_, set)| set) };
        let (stored, started) =
            tokio::join!(self.keep_blobs(&account.account, draft.code), self.0.runtime.validate(&account.account, account.number, &live));
        stored?;
        row.startup_ms = started.map_err(refused)?.and_then(|t| i64::try_from(t.as_millis()).ok());
        let sealed = self.seal_secrets(&id, &draft.secrets)?;
        let env = self.0.env.clone();
        let migration = draft.migration;
        let gone = migration.as_ref().map(|change| change.gone.clone()).unwrap_or_default();
        let bound_exists = self.0.seams.bound_exists.clone();
        let scripts = (self.0.seams.allowances)(&account.account).scripts;
        let (row, deployment) = self
            .change(move |tx| {
                let mut row = row.clone();
                for binding in row.bindings.iter().filter(|b| b.resource().is_some()) {
                    bound_exists(tx, &row.account, binding)?;
                }
                if script::get(tx, &row.account, &row.script)?.is_none() {
                    if script::count(tx, &row.account)? >= scripts {
                        return Err(WorkersError::TooManyScripts(scripts));
                    }
                    script::ensure(tx, &env, &row.account, &row.script, now)?;
                }
                script::patch(tx, &row.account, &row.script, &settings, now)?;
                row.number = script::next_version(tx, &row.account, &row.script, now)?;
                version::insert(tx, &row, &sealed)?;
                if let Some(change) = &migration {
                    object::migrate(tx, &row.account, &row.script, change, now)?;
                }
                let new = NewDeployment {
                    account: &row.account,
                    script: &row.script,
                    version: &row.id,
                    minor: None,
                    author: &row.author,
                    annotations: &row.annotations,
                };
                let deployment = if deploy { Some(deployment::insert(tx, &env, &new)?) } else { None };
                Ok::<_, WorkersError>((row, deployment))
            })
            .await?;
        if deploy {
            self.go_live(account, vec![live]).await?;
            self.0.runtime.forget_objects(&account.account, &gone).await;
        }
        Ok((row, deployment))
    }

    /// Switches to what the store already says is live.
    pub(crate) async fn go_live(&self, account: &AccountRow, live: Vec<Live>) -> Result<(), WorkersError> {
        self.0.runtime.deploy_all(&account.account, account.number, live).await.map_err(|e| {
            tracing::error!(account = %account.account, error = %e, "a committed deployment could not be started");
            refused(e)
        })?;
        self.publish_hosts(&account.account).await
    }
}

/// Whose fault a failed start is.
pub(crate) fn refused(e: StartError) -> WorkersError {
    match e {
        StartError::Refused(text) => WorkersError::Invalid(text),
        StartError::TooSlow => WorkersError::Invalid(format!(
            "the Worker did not finish starting within {} seconds; move slow work out of the top level",
            limits::START.as_secs()
        )),
        StartError::Jail(why) => WorkersError::Unavailable(why),
        StartError::Io(e) => WorkersError::internal(e),
    }
}
