//! The processes that run Workers, and the table that says which host name leads where.
//!
//! The runtime knows nothing of databases: it is told what is live and makes it so. Each account with code has one process, of
//! about 8 MiB of its own when idle and 2 MiB more for each Worker; static assets need none.

pub mod backend;
pub mod confinement;
pub mod dispatch;
pub mod egress;
pub mod event;
pub mod process;
pub mod site;
pub mod tail;

pub(crate) mod cage;
pub(crate) mod config;
pub(crate) mod cpu;
pub(crate) mod gate;
pub(crate) mod generation;
pub mod incident;
pub(crate) mod output;
pub(crate) mod spares;
pub(crate) mod spawner;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use purser_values::id::CloudAccountId;
use purser_values::name::HostName;
use purser_values::{Env, Sha256Digest};

use crate::assets::AssetSet;
use crate::blobs::Blobs;
use crate::limits;
use crate::name::{ScriptName, VersionId};
use crate::plan::{ObjectClass, Plan, Unit};
use crate::runtime::backend::Backend;
use crate::runtime::cage::Cages;
use crate::runtime::confinement::{Confinement, Walls};
use crate::runtime::egress::Egress;
use crate::runtime::gate::Gate;
use crate::runtime::generation::{Begin, Door, Ended, Generation};
use crate::runtime::incident::Incidents;
use crate::runtime::process::{JailProgram, StartError};
use crate::runtime::site::{Site, Target};
use crate::runtime::spares::Spares;
use crate::runtime::spawner::Spawner;
use crate::runtime::table::Table;
use crate::seams::{AllowancesOf, NextAlarm, Seams};
use crate::tenant::Tenant as Owner;
use crate::view::{Share, ZoneRoute};

/// Where the runtime finds things.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    pub workerd: PathBuf,
    /// A private folder for sockets; emptied at every start.
    pub folder: PathBuf,
    /// Run Workers without a jail where none can be built. Only a person may ask for it.
    pub unconfined: bool,
    pub jail: JailProgram,
    /// Where Durable Objects keep what they keep.
    pub objects: PathBuf,
    /// A process that has had nothing to do for so long ends.
    pub idle: Duration,
}

/// What every account's processes share.
pub(crate) struct Host {
    pub spares: Spares,
    pub walls: Walls,
    pub confinement: Confinement,
    pub cages: Cages,
    /// What landlock enforces in the jails here: `full`, `partial` or `none`.
    pub landlock: String,
    pub allowances: AllowancesOf,
    pub folder: PathBuf,
    pub numbers: AtomicU64,
    pub objects: PathBuf,
    pub idle: Duration,
    pub env: Env,
    pub incidents: Incidents,
    pub next_alarm: NextAlarm,
    pub egress: Option<Arc<dyn Egress>>,
    /// Processes that have had nothing to do for a while.
    pub sleepy: tokio::sync::mpsc::UnboundedSender<(CloudAccountId, Sha256Digest)>,
}

impl Host {
    pub fn jailed(&self) -> bool {
        self.confinement != Confinement::Unconfined
    }
}

/// Runtimes of this process so far, and numbers that each may give away: the folders of one that is ending are not those of the next.
static INSTANCES: AtomicU64 = AtomicU64::new(0);
const PER_INSTANCE: u64 = 1 << 32;

/// The runtime, cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    host: Arc<Host>,
    blobs: Blobs,
    backend: Arc<dyn Backend>,
    accounts: Arc<tokio::sync::Mutex<HashMap<CloudAccountId, Arc<tokio::sync::Mutex<Tenant>>>>>,
    table: Arc<RwLock<Table>>,
}

/// One Worker that is live.
#[derive(Clone)]
pub struct Live {
    pub script: ScriptName,
    pub version: VersionId,
    /// Its part of the requests. Of two versions of one Worker the one with the larger part comes last.
    pub share: Share,
    /// Absent when the Worker is static assets only.
    pub unit: Option<Arc<Unit>>,
    pub assets: Option<Arc<AssetSet>>,
}

/// The processes of one account.
struct Tenant {
    host: Arc<Host>,
    account: CloudAccountId,
    number: u32,
    gate: Arc<Gate>,
    live: Vec<Live>,
    active: Option<Generation>,
    candidate: Option<Generation>,
    /// Whether its process takes events; from the first event on.
    events: bool,
    /// Whether none of its code may run.
    stopped: bool,
    /// Tells when the process before the present one has ended.
    last_ended: Option<Ended>,
    /// The same of the newest one that wrote to the folder of Durable Objects.
    writer: Option<Ended>,
}

impl Tenant {
    fn plan(&self) -> Plan {
        let units = if self.stopped { Vec::new() } else { self.live.iter().filter_map(|l| l.unit.clone()).collect() };
        Plan {
            account: self.account.clone(),
            number: self.number,
            units,
            rehearsal: false,
            events: self.events,
            tails: self.gate.tails().looked_at(),
        }
    }

    /// Puts a generation without a process in the place of one that has nothing to do. What was routed to the old one gets done.
    fn rest(&mut self, fingerprint: &Sha256Digest) -> bool {
        let Some(active) = &self.active else { return false };
        let due = active.fingerprint == *fingerprint && active.pid().is_some() && active.idle_for() > self.host.idle;
        if !due {
            return false;
        }
        match self.asleep() {
            Ok(asleep) => {
                self.active = Some(asleep);
                true
            }
            Err(e) => {
                tracing::error!(account = %self.account, error = %e, "a process cannot be put to sleep");
                false
            }
        }
    }

    fn asleep(&mut self) -> io::Result<Generation> {
        self.behind(&self.plan(), Begin::Asleep)
    }

    /// A generation whose process starts behind its sockets; where Durable Objects are kept, after the present one's end.
    fn behind(&mut self, plan: &Plan, begin: Begin) -> io::Result<Generation> {
        let keeps = plan.keeps_objects();
        let generation = Generation::start_behind(&self.host, &self.gate, plan, begin, self.writer.clone().filter(|_| keeps))?;
        if keeps {
            self.writer = Some(generation.ended());
        }
        Ok(generation)
    }

    /// Lets the process reach what its live versions are bound to.
    fn introduce(&self) {
        self.live.iter().for_each(|live| self.gate.allow(live));
    }
}

impl Runtime {
    /// Finds out how this host can confine Workers and readies the folders.
    ///
    /// # Errors
    /// When workerd cannot be found or the folder cannot be made.
    pub async fn start(config: RuntimeConfig, blobs: Blobs, seams: &Seams, env: Env) -> io::Result<Self> {
        if config.folder.exists() {
            std::fs::remove_dir_all(&config.folder)?;
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.folder)?;
        let folder = config.folder.canonicalize()?;
        let walls = Walls::lay_out(&config.workerd, &folder).await?;
        let spawner = Spawner::start()?;
        let cages = Cages::probe();
        let spares = Spares::new(spawner, config.jail, cages.clone());
        let (found, landlock) = walls.probe(&spares).await;
        let confinement = match found {
            Confinement::Unavailable { .. } if config.unconfined => Confinement::Unconfined,
            found => found,
        };
        tracing::info!(?confinement, landlock, groups = cages.name(), "how Workers are confined here");
        let (sleepy, mut resting) = tokio::sync::mpsc::unbounded_channel();
        let host = Host {
            objects: config.objects,
            idle: config.idle,
            incidents: Incidents::new(env.clone()),
            env,
            next_alarm: seams.next_alarm.clone(),
            egress: seams.egress.clone(),
            sleepy,
            spares,
            walls,
            confinement,
            cages,
            landlock,
            allowances: seams.allowances.clone(),
            folder,
            numbers: AtomicU64::new(INSTANCES.fetch_add(1, Ordering::Relaxed) * PER_INSTANCE + 1),
        };
        let runtime = Self { host: Arc::new(host), blobs, backend: seams.backend.clone(), accounts: Arc::default(), table: Arc::default() };
        let (accounts, table, blobs) = (Arc::downgrade(&runtime.accounts), runtime.table.clone(), runtime.blobs.clone());
        // Ends with the accounts, which hold the host, which is what it hears from.
        tokio::spawn(async move {
            while let Some((account, fingerprint)) = resting.recv().await {
                let Some(accounts) = accounts.upgrade() else { return };
                let found = accounts.lock().await.get(&account).cloned();
                if let Some(tenant) = found {
                    let mut tenant = tenant.lock().await;
                    if tenant.rest(&fingerprint) {
                        publish(&table, &blobs, &tenant);
                    }
                }
            }
        });
        Ok(runtime)
    }

    /// How Workers run here.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.host.confinement
    }

    /// What holds on this host beside the jail: what landlock enforces, and what kind of control groups there are.
    #[must_use]
    pub fn walls(&self) -> (&str, &'static str) {
        (&self.host.landlock, self.host.cages.name())
    }

    /// Who serves a host name. Reads a table in memory.
    #[must_use]
    pub fn route(&self, host: &HostName) -> Target {
        self.table.read().unwrap_or_else(PoisonError::into_inner).find(host, None)
    }

    /// Who serves a URL. Reads a table in memory.
    #[must_use]
    pub fn find(&self, host: &HostName, path: &str) -> Target {
        self.table.read().unwrap_or_else(PoisonError::into_inner).find(host, Some(path))
    }

    /// Makes an account known, with what is live; its process starts in the background.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub async fn restore(&self, account: &CloudAccountId, number: u32, live: Vec<Live>) -> io::Result<()> {
        let tenant = self.tenant(account, number).await?;
        let mut tenant = tenant.lock().await;
        tenant.live = live;
        tenant.introduce();
        let plan = tenant.plan();
        let runs = !plan.units.is_empty() && !matches!(self.host.confinement, Confinement::Unavailable { .. });
        tenant.active = if runs { Some(tenant.asleep()?) } else { None };
        self.publish(&tenant);
        Ok(())
    }

    /// Starts the account's Workers with `changed` in its place, beside the running ones and without any traffic.
    ///
    /// # Errors
    /// [`StartError::Refused`] and [`StartError::TooSlow`] are the code's fault, the others the host's.
    pub async fn validate(&self, account: &CloudAccountId, number: u32, changed: &Live) -> Result<Option<Duration>, StartError> {
        self.validate_all(account, number, std::slice::from_ref(changed)).await
    }

    /// The same with the versions of one Worker that share its requests.
    ///
    /// # Errors
    /// As [`Runtime::validate`].
    pub async fn validate_all(&self, account: &CloudAccountId, number: u32, changed: &[Live]) -> Result<Option<Duration>, StartError> {
        let tenant = self.tenant(account, number).await?;
        let mut tenant = tenant.lock().await;
        let units: Vec<Arc<Unit>> = changed.iter().filter_map(|live| live.unit.clone()).collect();
        let Some(first) = units.first() else { return Ok(None) };
        self.possible()?;
        changed.iter().for_each(|live| tenant.gate.allow(live));
        let mut plan = tenant.plan().without(&first.script);
        plan.units.extend(units);
        // Two processes on one folder of Durable Objects must never be: this one keeps nothing.
        plan.rehearsal = plan.keeps_objects();
        // What is allowed with the switch that events need is more than a tenant may have.
        plan.events = false;
        plan.tails.clear();
        let fingerprint = plan.fingerprint();
        let waiting = tenant.active.iter().chain(&tenant.candidate).find(|g| g.fingerprint == fingerprint);
        if let Some(generation) = waiting {
            return Ok(generation.startup);
        }
        let generation = Generation::start(&self.host, &tenant.gate, &plan).await?;
        let startup = generation.startup;
        if plan.rehearsal {
            // Nothing to take over: the real one is another.
            return Ok(startup);
        }
        tenant.candidate = Some(generation);
        self.forget_later(account.clone(), fingerprint);
        Ok(startup)
    }

    /// Makes `changed` live: the validated process takes over, or a new one is started first.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn deploy(&self, account: &CloudAccountId, number: u32, changed: Live) -> Result<(), StartError> {
        self.deploy_all(account, number, vec![changed]).await
    }

    /// The same with the versions of one Worker that share its requests.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn deploy_all(&self, account: &CloudAccountId, number: u32, changed: Vec<Live>) -> Result<(), StartError> {
        let tenant = self.tenant(account, number).await?;
        let mut tenant = tenant.lock().await;
        let other = |l: &&Live| !changed.iter().any(|c| c.script == l.script);
        let mut live: Vec<Live> = tenant.live.iter().filter(other).cloned().collect();
        live.extend(changed);
        self.switch(&mut tenant, live).await
    }

    /// Takes a Worker off line.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn withdraw(&self, account: &CloudAccountId, number: u32, script: &ScriptName) -> Result<(), StartError> {
        let tenant = self.tenant(account, number).await?;
        let mut tenant = tenant.lock().await;
        let live = tenant.live.iter().filter(|l| l.script != *script).cloned().collect();
        self.switch(&mut tenant, live).await
    }

    /// Sets all host names of an account. A name that another account holds stays with that account.
    pub fn set_hosts(&self, account: &CloudAccountId, hosts: Vec<(HostName, ScriptName)>) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).set_hosts(account, hosts);
    }

    /// Which URLs by pattern lead to the account's Workers, replacing what was set before.
    pub fn set_routes(&self, account: &CloudAccountId, routes: Vec<ZoneRoute>) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).set_routes(account, routes);
    }

    /// Takes an account's sites off line (403) and ends its process, or brings both back: code that nobody may visit must not go on by its
    /// triggers, its queues, its alarms or what it has open. What was under way gets the time of any swap.
    ///
    /// # Errors
    /// When its code does not start again; it stays off line then.
    pub async fn set_suspended(&self, account: &CloudAccountId, suspended: bool) -> Result<(), StartError> {
        let in_table = |off| self.table.write().unwrap_or_else(PoisonError::into_inner).set_suspended(account, off);
        if suspended {
            in_table(true);
        }
        if let Some(tenant) = self.accounts.lock().await.get(account).cloned() {
            let mut tenant = tenant.lock().await;
            if tenant.stopped != suspended {
                tenant.stopped = suspended;
                tenant.candidate = None;
                let live = tenant.live.clone();
                if let Err(e) = self.switch(&mut tenant, live).await {
                    tenant.stopped = true;
                    return Err(e);
                }
            }
        }
        if !suspended {
            in_table(false);
        }
        Ok(())
    }

    /// Processor time that an account's code has taken here, in microseconds. Never goes back.
    pub async fn cpu_us(&self, account: &CloudAccountId) -> Option<u64> {
        let tenant = self.accounts.lock().await.get(account).cloned()?;
        let tenant = tenant.lock().await;
        let now = tenant.active.as_ref().map_or(0, Generation::cpu_us);
        let sum = now + tenant.gate.spent_us.load(Ordering::Acquire);
        Some(sum.max(tenant.gate.told_us.fetch_max(sum, Ordering::AcqRel)))
    }

    /// The process of an account, for tests.
    pub async fn pid(&self, account: &CloudAccountId) -> Option<u32> {
        let tenant = self.accounts.lock().await.get(account).cloned()?;
        let tenant = tenant.lock().await;
        tenant.active.as_ref().and_then(Generation::pid)
    }

    async fn switch(&self, tenant: &mut Tenant, live: Vec<Live>) -> Result<(), StartError> {
        let before = std::mem::replace(&mut tenant.live, live);
        tenant.introduce();
        let plan = tenant.plan();
        let fingerprint = plan.fingerprint();
        let unchanged = tenant.active.as_ref().is_some_and(|a| a.fingerprint == fingerprint);
        if !unchanged {
            tenant.last_ended = tenant.active.as_ref().map(Generation::ended);
        }
        if plan.units.is_empty() {
            tenant.active = None;
        } else if !unchanged {
            let next = if plan.keeps_objects() {
                self.possible().and_then(|()| Ok(tenant.behind(&plan, Begin::Now)?))
            } else {
                self.next(tenant, &plan).await
            };
            match next {
                Ok(next) => tenant.active = Some(next),
                Err(e) => {
                    tenant.live = before;
                    return Err(e);
                }
            }
        }
        self.publish(tenant);
        Ok(())
    }

    /// Removes the data of classes that are gone, once no process has it open.
    pub async fn forget_objects(&self, account: &CloudAccountId, classes: &[ObjectClass]) {
        let Some(tenant) = self.accounts.lock().await.get(account).cloned() else { return };
        let (folders, ended) = {
            let tenant = tenant.lock().await;
            let folders: Vec<PathBuf> = classes.iter().map(|class| tenant.gate.objects.join(&class.key)).collect();
            (folders, tenant.last_ended.clone())
        };
        if folders.is_empty() {
            return;
        }
        tokio::spawn(async move {
            if let Some(ended) = ended {
                generation::predecessor(ended).await;
            }
            for folder in folders {
                if let Err(e) = tokio::fs::remove_dir_all(&folder).await
                    && e.kind() != io::ErrorKind::NotFound
                {
                    tracing::error!(folder = %folder.display(), error = %e, "the data of a deleted class could not be removed");
                }
            }
        });
    }

    /// The validated process, or a new one.
    async fn next(&self, tenant: &mut Tenant, plan: &Plan) -> Result<Generation, StartError> {
        let fingerprint = plan.fingerprint();
        match tenant.candidate.take().filter(|c| c.fingerprint == fingerprint) {
            Some(candidate) => Ok(candidate),
            None => {
                self.possible()?;
                Generation::start(&self.host, &tenant.gate, plan).await
            }
        }
    }

    fn publish(&self, tenant: &Tenant) {
        publish(&self.table, &self.blobs, tenant);
    }

    /// What code did that the operator should see.
    #[must_use]
    pub fn incidents(&self) -> &Incidents {
        &self.host.incidents
    }

    fn possible(&self) -> Result<(), StartError> {
        match &self.host.confinement {
            Confinement::Unavailable { why } => Err(StartError::Jail(why.clone())),
            Confinement::Jailed | Confinement::Unconfined => Ok(()),
        }
    }

    async fn tenant(&self, account: &CloudAccountId, number: u32) -> io::Result<Arc<tokio::sync::Mutex<Tenant>>> {
        let mut accounts = self.accounts.lock().await;
        if let Some(found) = accounts.get(account) {
            return Ok(found.clone());
        }
        let folder = self.host.folder.join(format!("a{number}"));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let objects = self.host.objects.join(account.as_str());
        let gate =
            Arc::new(Gate::open(&folder, objects, Owner::of(account.clone()), &self.host, self.blobs.clone(), self.backend.clone())?);
        let tenant = Tenant {
            host: self.host.clone(),
            account: account.clone(),
            number,
            gate,
            live: Vec::new(),
            active: None,
            candidate: None,
            events: false,
            stopped: false,
            last_ended: None,
            writer: None,
        };
        let tenant = Arc::new(tokio::sync::Mutex::new(tenant));
        accounts.insert(account.clone(), tenant.clone());
        Ok(tenant)
    }

    /// A validated version that nobody deploys ends after a while, and the assets of versions that are gone are let go.
    fn forget_later(&self, account: CloudAccountId, fingerprint: Sha256Digest) {
        let accounts = Arc::downgrade(&self.accounts);
        tokio::spawn(async move {
            tokio::time::sleep(limits::CANDIDATE_LIFE).await;
            let Some(accounts) = accounts.upgrade() else { return };
            let Some(tenant) = accounts.lock().await.get(&account).cloned() else { return };
            let mut tenant = tenant.lock().await;
            tenant.candidate.take_if(|c| c.fingerprint == fingerprint);
            if tenant.candidate.is_none() {
                let versions: Vec<VersionId> = tenant.live.iter().map(|l| l.version.clone()).collect();
                tenant.gate.keep(&versions);
            }
        });
    }
}

fn publish(table: &RwLock<Table>, blobs: &Blobs, tenant: &Tenant) {
    let mut scripts: BTreeMap<&ScriptName, Vec<(&Live, Option<Door>)>> = BTreeMap::new();
    for live in &tenant.live {
        let door = tenant.active.as_ref().and_then(|g| g.doors.get(&live.version)).cloned();
        scripts.entry(&live.script).or_default().push((live, door));
    }
    let site = |versions: Vec<(&Live, Option<Door>)>| Arc::new(Site::new(&tenant.account, versions, blobs));
    let sites = scripts.into_iter().map(|(script, versions)| (script.clone(), site(versions))).collect();
    table.write().unwrap_or_else(PoisonError::into_inner).set_sites(&tenant.account, sites);
}
