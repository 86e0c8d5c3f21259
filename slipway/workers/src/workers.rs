//! The service: tables, blobs and processes under one roof, and what the use cases share.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_crypto::seal::Keyring;
use purser_db::{Db, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::name::HostName;
use purser_values::{Env, Secret, Sha256Digest};
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};

use crate::assets::AssetSet;
use crate::blobs::Blobs;
use crate::error::WorkersError;
use crate::name::{BindingName, ScriptName, VersionId};
use crate::plan::ObjectClass;
use crate::runtime::confinement::Confinement;
use crate::runtime::process::JailProgram;
use crate::runtime::site::Target;
use crate::runtime::{Live, Runtime, RuntimeConfig};
use crate::seams::Seams;
use crate::store::account::{self, AccountRow};
use crate::store::version::{self, LiveRow, Sealed, VersionRow, seal_purpose};
use crate::store::{domain, environment, object, route, script};
use crate::tenant::{Environment, Tenant};
use crate::upload::draft::Previous;
use crate::upload::load::{Parts, unit};
use crate::upload::migration::Objects;
use crate::view::{Script, Share};

/// Where the service finds things.
#[derive(Clone, Debug)]
pub struct WorkersConfig {
    /// The data folder; blobs and sockets get folders in it.
    pub data: PathBuf,
    pub workerd: PathBuf,
    /// See [`RuntimeConfig::unconfined`].
    pub unconfined: bool,
    pub jail: JailProgram,
    /// The common domain: a Worker answers at `{script}.{subdomain}.{domain}` where its author wants that.
    pub domain: Option<HostName>,
    /// A process that has had nothing to do for so long ends; the next request starts it again. [`crate::limits::IDLE`] is usual.
    pub idle: std::time::Duration,
}

/// What must hold where something is changed. Refuses with [`WorkersError::Stopped`].
pub type Condition = Arc<dyn Fn(&mut Tx<'_>) -> Result<(), WorkersError> + Send + Sync>;

/// The runtime's service, cheap to clone.
#[derive(Clone)]
pub struct Workers(pub(crate) Arc<Inner>, Option<Condition>, Environment);

pub(crate) struct Inner {
    pub db: Db,
    pub blobs: Blobs,
    pub keyring: Keyring,
    pub env: Env,
    pub runtime: Runtime,
    /// Where Durable Objects keep what they keep.
    pub objects: PathBuf,
    pub domain: Option<HostName>,
    pub seams: Seams,
    /// Signs asset sessions.
    pub session_key: SigningKey,
    /// Held by those who write blobs, and alone by whoever removes one.
    pub files: RwLock<()>,
    locks: Mutex<HashMap<CloudAccountId, Arc<Mutex<()>>>>,
}

/// The tenant whose process a Worker runs in.
pub(crate) struct Home {
    pub tenant: Tenant,
    pub number: u32,
}

/// A version with everything that its process needs.
pub(crate) struct Loaded {
    pub row: VersionRow,
    pub live: Live,
}

impl Workers {
    /// Opens the service; everything that was deployed is live again, its processes start in the background. The tables of
    /// [`crate::store::MIGRATIONS`] must be there.
    ///
    /// # Errors
    /// When workerd, the folders or the store cannot be used. One account's damage does not stop the others.
    pub async fn open(config: WorkersConfig, seams: Seams, db: Db, keyring: Keyring, env: Env) -> Result<Self, WorkersError> {
        let blobs = Blobs::open(&config.data.join("blobs"))?;
        let objects = config.data.join("objects");
        let runtime = RuntimeConfig {
            workerd: config.workerd,
            folder: config.data.join("run").join("workers"),
            unconfined: config.unconfined,
            jail: config.jail,
            objects: objects.clone(),
            idle: config.idle,
        };
        let runtime = Runtime::start(runtime, blobs.clone(), &seams, env.clone()).await?;
        let session_key = session_key(&db, &keyring, &env).await?;
        let inner = Inner {
            db,
            blobs,
            keyring,
            env,
            runtime,
            objects,
            domain: config.domain,
            seams,
            session_key,
            files: RwLock::default(),
            locks: Mutex::default(),
        };
        let workers = Self::of(Arc::new(inner));
        let accounts = workers.0.db.read(account::all).await?;
        for account in accounts {
            if let Err(e) = workers.restore(&account).await {
                tracing::error!(account = %account.account, error = %e, "an account's Workers could not be restored");
            }
        }
        tokio::spawn(crate::script::schedule::keep_time(Arc::downgrade(&workers.0)));
        tokio::spawn(crate::storage::objects::follow(Arc::downgrade(&workers.0)));
        tokio::spawn(crate::settle::follow(Arc::downgrade(&workers.0)));
        Ok(workers)
    }

    /// The service for nobody in particular.
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self(inner, None, Environment::default())
    }

    /// The same service for a caller whose right may end at any moment, also in the middle of a request.
    ///
    /// INVARIANT (stopped-changes-nothing): the condition is asked in the very transaction of each change, so no change is
    /// committed after the stop was; and once more before code is started.
    #[must_use]
    pub fn only_while(&self, condition: Condition) -> Self {
        Self(self.0.clone(), Some(condition), self.2.clone())
    }

    /// The same for a caller whose new Workers belong to this environment. Those that are there stay where they are.
    #[must_use]
    pub fn making_in(&self, environment: Environment) -> Self {
        Self(self.0.clone(), self.1.clone(), environment)
    }

    /// Every write for a caller goes through here.
    pub(crate) async fn change<T, E, F>(&self, write: F) -> Result<T, WorkersError>
    where
        T: Send + 'static,
        E: Into<WorkersError>,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let condition = self.1.clone();
        let written = self.0.db.write(move |tx| {
            if let Some(condition) = &condition {
                condition(tx)?;
            }
            write(tx).map_err(Into::into)
        });
        written.await
    }

    /// How much every account keeps here, in bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stored(&self) -> Result<Vec<(CloudAccountId, u64)>, WorkersError> {
        let read = self.0.db.read(|tx| -> Result<_, purser_db::DbError> {
            let select = "select account, cast(sum(bytes) as bigint) as bytes from (select account, bytes from worker_blob
                union all select account, bytes from worker_object_bytes) as kept group by account order by account";
            let rows = tx.query(select, params![])?;
            rows.iter().map(|row| Ok((row.parse("account")?, u64::try_from(row.get::<i64>("bytes")?).unwrap_or(0)))).collect()
        });
        Ok(read.await?)
    }

    /// The processor time that each account's code has taken since this process of slipway began, in milliseconds: for visitors, by its
    /// triggers, queues and alarms, and to be tried out.
    pub async fn cpu_ms(&self) -> BTreeMap<CloudAccountId, u64> {
        self.0.runtime.cpu_us().await.into_iter().map(|(account, us)| (account, us / 1_000)).collect()
    }

    /// How Workers run on this host.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        self.0.runtime.confinement()
    }

    /// Who serves a host name. Reads a table in memory.
    #[must_use]
    pub fn route(&self, host: &HostName) -> Target {
        self.0.runtime.route(host)
    }

    /// Who serves a URL. Reads a table in memory.
    #[must_use]
    pub fn find(&self, host: &HostName, path: &str) -> Target {
        self.0.runtime.find(host, path)
    }

    /// The processes themselves.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    async fn restore(&self, account: &AccountRow) -> Result<(), WorkersError> {
        let id = account.account.clone();
        let rows = self.0.db.read(move |tx| version::deployed(tx, &id)).await?;
        let mut all: BTreeMap<Environment, Vec<Live>> = BTreeMap::new();
        for LiveRow { version, share, environment } in rows {
            match self.load(version).await {
                Ok(loaded) => all.entry(environment).or_default().push(Live { share, ..loaded.live }),
                Err(e) => tracing::error!(account = %account.account, error = %e, "a deployed Worker could not be loaded"),
            }
        }
        for (environment, live) in all {
            let home = self.number(account, environment).await?;
            self.0.runtime.restore(&home.tenant, home.number, live).await?;
        }
        self.0.runtime.set_suspended(&account.account, account.suspended).await.map_err(crate::rollout::refused)?;
        self.publish_hosts(&account.account).await
    }

    /// One change at a time in one account: what was validated is what goes live. A caller that was stopped while it waited is
    /// refused before any of its code is started.
    pub(crate) async fn lock(&self, account: &CloudAccountId) -> Result<OwnedMutexGuard<()>, WorkersError> {
        let lock = self.0.locks.lock().await.entry(account.clone()).or_default().clone();
        let guard = lock.lock_owned().await;
        if let Some(condition) = self.1.clone() {
            self.0.db.read(move |tx| condition(tx)).await?;
        }
        Ok(guard)
    }

    pub(crate) async fn account(&self, account: &CloudAccountId) -> Result<AccountRow, WorkersError> {
        let (env, id) = (self.0.env.clone(), account.clone());
        let found = self
            .0
            .db
            .read({
                let id = id.clone();
                move |tx| account::get(tx, &id)
            })
            .await?;
        match found {
            Some(found) => Ok(found),
            None => Ok(self.0.db.write(move |tx| account::ensure(tx, &env, &id)).await?),
        }
    }

    /// Where a Worker runs: where it was made, or, when it is new, where its caller makes things.
    ///
    /// # Errors
    /// [`WorkersError::TooManyEnvironments`] for a new one where the plan has no process for it.
    pub(crate) async fn home(&self, account: &AccountRow, script: Option<&Script>) -> Result<Home, WorkersError> {
        if let Some(script) = script {
            return self.number(account, script.environment.clone()).await;
        }
        let (id, environment) = (account.account.clone(), self.2.clone());
        let most = (self.0.seams.allowances)(&id).processes;
        self.0.db.read(move |tx| admit(tx, &id, &environment, most)).await?;
        self.number(account, self.2.clone()).await
    }

    /// The number under which an environment of the account runs.
    pub(crate) async fn number(&self, account: &AccountRow, environment: Environment) -> Result<Home, WorkersError> {
        let number = if environment.is_default() {
            account.number
        } else {
            let (id, of, now) = (account.account.clone(), environment.clone(), self.0.env.now());
            self.0.db.write(move |tx| environment::ensure(tx, &id, &of, now)).await?
        };
        Ok(Home { tenant: Tenant { account: account.account.clone(), environment }, number })
    }

    /// The script and its newest version with opened secrets.
    pub(crate) async fn previous(&self, account: &CloudAccountId, name: &ScriptName) -> Result<(Option<Script>, Previous), WorkersError> {
        let (account, name, new) = (account.clone(), name.clone(), self.2.clone());
        let (script, row, sealed, objects) = self
            .0
            .db
            .read(move |tx| {
                let script = script::get(tx, &account, &name)?;
                let row = version::newest(tx, &account, &name)?;
                let sealed = row.as_ref().map(|r| version::secrets(tx, &r.id)).transpose()?.unwrap_or_default();
                let environment = script.as_ref().map_or(&new, |script| &script.environment);
                let objects = Objects { tag: object::tag(tx, &account, &name)?, all: object::of_environment(tx, &account, environment)? };
                Ok::<_, WorkersError>((script, row, sealed, objects))
            })
            .await?;
        let secrets = row.as_ref().map(|r| self.open_secrets(&r.id, sealed)).transpose()?.unwrap_or_default();
        Ok((script, Previous { row, secrets, objects }))
    }

    /// Reads a version's code, assets and secrets.
    pub(crate) async fn load(&self, row: VersionRow) -> Result<Loaded, WorkersError> {
        let (id, account, script) = (row.id.clone(), row.account.clone(), row.script.clone());
        let read = self.0.db.read(move |tx| Ok::<_, WorkersError>((version::secrets(tx, &id)?, object::classes(tx, &account, &script)?)));
        let (sealed, objects) = read.await?;
        let secrets = self.open_secrets(&row.id, sealed)?;
        let mut code: BTreeMap<Sha256Digest, Bytes> = BTreeMap::new();
        for module in &row.modules {
            code.insert(module.sha256, self.0.blobs.get(&module.sha256).await?);
        }
        let assets = match &row.asset_list {
            Some(list) => Some(self.asset_set(list).await?),
            None => None,
        };
        let unit = unit(&row.parts(&secrets, &objects), &code);
        let live = Live { script: row.script.clone(), version: row.id.clone(), share: Share::ALL, unit, assets };
        Ok(Loaded { row, live })
    }

    pub(crate) async fn secrets_of(&self, row: &VersionRow) -> Result<BTreeMap<BindingName, Secret<String>>, WorkersError> {
        let id = row.id.clone();
        let sealed = self.0.db.read(move |tx| version::secrets(tx, &id)).await?;
        self.open_secrets(&row.id, sealed)
    }

    pub(crate) async fn asset_set(&self, list: &Sha256Digest) -> Result<Arc<AssetSet>, WorkersError> {
        let text = self.0.blobs.get(list).await?;
        serde_json::from_slice(&text).map(Arc::new).map_err(WorkersError::internal)
    }

    /// Tells the runtime every host name of an account: custom domains, and the names below the common domain.
    pub(crate) async fn publish_hosts(&self, account: &CloudAccountId) -> Result<(), WorkersError> {
        let id = account.clone();
        let (row, scripts, domains, routes) = self
            .0
            .db
            .read(move |tx| {
                Ok::<_, WorkersError>((account::get(tx, &id)?, script::list(tx, &id)?, domain::list(tx, &id)?, route::list(tx, &id)?))
            })
            .await?;
        let mut hosts: Vec<(HostName, ScriptName)> = domains.into_iter().map(|d| (d.hostname, d.script)).collect();
        if let Some(row) = row {
            let on = scripts.iter().filter(|s| s.on_subdomain.enabled);
            hosts.extend(on.filter_map(|s| self.host_below(&row, &s.name).map(|h| (h, s.name.clone()))));
        }
        self.0.runtime.set_hosts(account, hosts);
        self.0.runtime.set_routes(account, routes);
        Ok(())
    }

    /// The script's name below the common domain, where both make a host name.
    pub(crate) fn host_below(&self, account: &AccountRow, script: &ScriptName) -> Option<HostName> {
        let (domain, subdomain) = (self.0.domain.as_ref()?, account.subdomain.as_ref()?);
        format!("{script}.{subdomain}.{domain}").parse().ok()
    }

    fn open_secrets(&self, version: &VersionId, sealed: Vec<Sealed>) -> Result<BTreeMap<BindingName, Secret<String>>, WorkersError> {
        let open = |(name, sealed): Sealed| {
            let value = self.0.keyring.open_text(&seal_purpose(version, &name), &sealed).map_err(WorkersError::internal)?;
            Ok((name, value))
        };
        sealed.into_iter().map(open).collect()
    }

    pub(crate) fn seal_secrets(
        &self,
        version: &VersionId,
        secrets: &BTreeMap<BindingName, Secret<String>>,
    ) -> Result<Vec<Sealed>, WorkersError> {
        let seal = |(name, value): (&BindingName, &Secret<String>)| {
            let sealed = self.0.keyring.seal(&self.0.env, &seal_purpose(version, name), value.expose().as_bytes());
            Ok((name.clone(), sealed.map_err(WorkersError::internal)?))
        };
        secrets.iter().map(seal).collect()
    }
}

/// Refuses a new environment where the account has as many as its plan has processes.
pub(crate) fn admit(tx: &mut Tx<'_>, account: &CloudAccountId, environment: &Environment, most: u32) -> Result<(), WorkersError> {
    let used = environment::used(tx, account)?;
    let fits = used.contains(environment) || used.len() < usize::try_from(most).unwrap_or(usize::MAX);
    if fits { Ok(()) } else { Err(WorkersError::TooManyEnvironments(most, environment.to_string())) }
}

impl VersionRow {
    pub(crate) fn parts<'a>(&'a self, secrets: &'a BTreeMap<BindingName, Secret<String>>, objects: &'a [ObjectClass]) -> Parts<'a> {
        Parts {
            script: &self.script,
            version: &self.id,
            created_at: self.created_at,
            annotations: &self.annotations,
            compatibility_date: &self.compatibility_date,
            compatibility_flags: &self.compatibility_flags,
            form: self.form,
            main_part: self.main_part.as_deref(),
            modules: &self.modules,
            bindings: &self.bindings,
            secrets,
            objects,
        }
    }
}

/// The key that signs asset sessions: made once, sealed in the store, so that a session survives a restart.
async fn session_key(db: &Db, keyring: &Keyring, env: &Env) -> Result<SigningKey, WorkersError> {
    const PURPOSE: &str = "worker-key/asset-session";
    let fresh = SigningKey::generate(Algorithm::EdDsa).map_err(WorkersError::internal)?;
    let sealed = keyring.seal(env, PURPOSE, fresh.pkcs8().expose()).map_err(WorkersError::internal)?;
    let stored = db
        .write(move |tx| {
            tx.execute(
                "insert into worker_key (name, sealed) values ('asset-session', $1) on conflict (name) do nothing",
                params![sealed],
            )?;
            tx.query_one("select sealed from worker_key where name = 'asset-session'", params![])?.get::<Vec<u8>>("sealed")
        })
        .await?;
    let pkcs8 = keyring.open(PURPOSE, &stored).map_err(WorkersError::internal)?;
    SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8).map_err(WorkersError::internal)
}
