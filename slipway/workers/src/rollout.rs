//! A draft becomes a version, and perhaps the one that is live.
//!
//! Order: the code is started beside what runs while its bytes are written durably; then one commit holds the version and its
//! deployment; then the started process takes over. A crash before the commit leaves nothing but blobs; after it, the next start
//! brings up what the commit says, and after a start that failed the next look ([`crate::settle`]).

use std::collections::BTreeMap;

use bytes::Bytes;
use purser_db::Tx;
use purser_values::Sha256Digest;

use crate::binding::Binding;
use crate::error::WorkersError;
use crate::limits;
use crate::name::{ScriptName, VersionId};
use crate::runtime::Live;
use crate::runtime::process::StartError;
use crate::store::deployment::{self, NewDeployment};
use crate::store::version::{self, VersionRow};
use crate::store::{object, script};
use crate::tenant::Environment;
use crate::upload::draft::Draft;
use crate::upload::load::unit;
use crate::view::{Author, Deployment, ScriptSettingsPatch, Share};
use crate::workers::{Home, Workers, admit};

/// One change of a script.
pub(crate) struct Change<'a> {
    pub home: &'a Home,
    pub script: &'a ScriptName,
    pub draft: Draft,
    pub author: &'a Author,
    pub deploy: bool,
    pub settings: ScriptSettingsPatch,
}

impl Workers {
    /// Validates, stores and perhaps deploys. The caller holds the account's lock.
    pub(crate) async fn roll_out(&self, change: Change<'_>) -> Result<(VersionRow, Option<Deployment>), WorkersError> {
        let Change { home, script: name, draft, author, deploy, settings } = change;
        let Home { tenant, number } = home;
        let id = VersionId::mint(&self.0.env);
        let now = self.0.env.now();
        let code: BTreeMap<Sha256Digest, Bytes> = draft.code.iter().cloned().collect();
        let mut row = VersionRow {
            id: id.clone(),
            account: tenant.account.clone(),
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
        let (stored, started) = tokio::join!(self.keep_blobs(&tenant.account, draft.code), self.0.runtime.validate(tenant, *number, &live));
        stored?;
        row.startup_ms = started.map_err(refused)?.and_then(|t| i64::try_from(t.as_millis()).ok());
        let sealed = self.seal_secrets(&id, &draft.secrets)?;
        let env = self.0.env.clone();
        let migration = draft.migration;
        let gone = migration.as_ref().map(|change| change.gone.clone()).unwrap_or_default();
        let bound_exists = self.0.seams.bound_exists.clone();
        let allowed = (self.0.seams.allowances)(&tenant.account);
        let environment = tenant.environment.clone();
        let (row, deployment) = self
            .change(move |tx| {
                let mut row = row.clone();
                for binding in row.bindings.iter().filter(|b| b.resource().is_some()) {
                    bound_exists(tx, &row.account, binding)?;
                }
                for binding in &row.bindings {
                    reachable(tx, &row, &environment, binding)?;
                }
                if script::get(tx, &row.account, &row.script)?.is_none() {
                    if script::count(tx, &row.account)? >= allowed.scripts {
                        return Err(WorkersError::TooManyScripts(allowed.scripts));
                    }
                    admit(tx, &row.account, &environment, allowed.processes)?;
                    script::ensure(tx, &env, &row.account, &environment, &row.script, now)?;
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
            self.go_live(home, vec![live]).await?;
            self.0.runtime.forget_objects(&home.tenant, &gone).await;
        }
        Ok((row, deployment))
    }

    /// Switches to what the store already says is live.
    pub(crate) async fn go_live(&self, home: &Home, live: Vec<Live>) -> Result<(), WorkersError> {
        self.0.runtime.deploy_all(&home.tenant, home.number, live).await.map_err(|e| {
            tracing::error!(tenant = %home.tenant, error = %e, "a committed deployment could not be started; it is tried again");
            refused(e)
        })?;
        self.publish_hosts(&home.tenant.account).await
    }
}

/// Refuses a binding to a Worker of another environment: it runs in another process, which this one cannot reach.
fn reachable(tx: &mut Tx<'_>, row: &VersionRow, environment: &Environment, binding: &Binding) -> Result<(), WorkersError> {
    let Binding::Service { name, service, .. } = binding else { return Ok(()) };
    match script::get(tx, &row.account, service)?.filter(|other| other.environment != *environment) {
        None => Ok(()),
        Some(other) => Err(WorkersError::Invalid(format!(
            "the binding `{name}` names `{service}`, which runs in the environment `{}` and this Worker in `{environment}`; environments share no process, so deploy both to one",
            other.environment
        ))),
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
