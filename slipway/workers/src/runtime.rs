//! The processes that run Workers, and the table that says which host name leads where.
//!
//! The runtime knows nothing of databases: it is told what is live and makes it so. Each environment of an account with code in it has one
//! process, of about 8 MiB of its own when idle and 2 MiB more for each Worker; static assets need none.

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
pub(crate) mod quota;
pub(crate) mod running;
pub(crate) mod spares;
pub(crate) mod spawner;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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
use crate::runtime::generation::{Begin, Door, Generation};
use crate::runtime::incident::Incidents;
use crate::runtime::process::{JailProgram, StartError};
use crate::runtime::quota::Quota;
use crate::runtime::running::{Place, Present, Running};
use crate::runtime::site::{Site, Target};
use crate::runtime::spares::Spares;
use crate::runtime::spawner::Spawner;
use crate::runtime::table::Table;
use crate::seams::{AllowancesOf, Events, NextAlarm, Seams};
use crate::tenant::Tenant;
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

/// What every tenant's processes share.
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
    pub events: Arc<dyn Events>,
    /// How large the files of Durable Objects may become.
    pub quota: Quota,
    pub egress: Option<Arc<dyn Egress>>,
    /// Processes that have had nothing to do for a while.
    pub sleepy: tokio::sync::mpsc::UnboundedSender<(Tenant, Sha256Digest)>,
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
    tenants: Arc<tokio::sync::Mutex<Tenants>>,
    table: Arc<RwLock<Table>>,
}

/// Everybody who has a process, or had.
#[derive(Default)]
struct Tenants {
    places: BTreeMap<Tenant, Arc<Place>>,
    /// Accounts none of whose code may run, whatever tenants they have or get.
    stopped: HashSet<CloudAccountId>,
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
            events: seams.events.clone(),
            quota: Quota::default(),
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
        let runtime = Self { host: Arc::new(host), blobs, backend: seams.backend.clone(), tenants: Arc::default(), table: Arc::default() };
        let (tenants, table, blobs) = (Arc::downgrade(&runtime.tenants), runtime.table.clone(), runtime.blobs.clone());
        // Ends with the tenants, which hold the host, which is what it hears from.
        tokio::spawn(async move {
            while let Some((tenant, fingerprint)) = resting.recv().await {
                let Some(tenants) = tenants.upgrade() else { return };
                let found = tenants.lock().await.places.get(&tenant).cloned();
                if let Some(place) = found {
                    let mut running = place.running.lock().await;
                    if running.rest(&fingerprint) {
                        publish(&table, &blobs, &running);
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

    /// Makes a tenant known, with what is live; its process starts when somebody comes.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub async fn restore(&self, tenant: &Tenant, number: u32, live: Vec<Live>) -> io::Result<()> {
        let place = self.place(tenant, number).await?;
        let mut running = place.running.lock().await;
        running.live = live;
        running.introduce();
        let plan = running.plan();
        let runs = !plan.units.is_empty() && !matches!(self.host.confinement, Confinement::Unavailable { .. });
        running.active = if runs { Some(running.asleep()?) } else { None };
        self.publish(&running);
        Ok(())
    }

    /// What is so of each tenant of an account now.
    pub async fn present(&self, account: &CloudAccountId) -> BTreeMap<Tenant, Present> {
        let mut present = BTreeMap::new();
        for place in self.places(account).await {
            let running = place.running.lock().await;
            present.insert(running.tenant.clone(), running.present());
        }
        present
    }

    /// Starts the tenant's Workers with `changed` in its place, beside the running ones and without any traffic.
    ///
    /// # Errors
    /// [`StartError::Refused`] and [`StartError::TooSlow`] are the code's fault, the others the host's.
    pub async fn validate(&self, tenant: &Tenant, number: u32, changed: &Live) -> Result<Option<Duration>, StartError> {
        self.validate_all(tenant, number, std::slice::from_ref(changed)).await
    }

    /// The same with the versions of one Worker that share its requests.
    ///
    /// # Errors
    /// As [`Runtime::validate`].
    pub async fn validate_all(&self, tenant: &Tenant, number: u32, changed: &[Live]) -> Result<Option<Duration>, StartError> {
        let place = self.place(tenant, number).await?;
        let mut running = place.running.lock().await;
        let units: Vec<Arc<Unit>> = changed.iter().filter_map(|live| live.unit.clone()).collect();
        let Some(first) = units.first() else { return Ok(None) };
        self.possible()?;
        changed.iter().for_each(|live| running.gate.allow(live));
        let mut plan = running.plan().without(&first.script);
        plan.units.extend(units);
        // Two processes on one folder of Durable Objects must never be: this one keeps nothing.
        plan.rehearsal = plan.keeps_objects();
        // What is allowed with the switch that events need is more than a tenant may have.
        plan.events = false;
        plan.tails.clear();
        let fingerprint = plan.fingerprint();
        let waiting = running.active.iter().chain(&running.candidate).find(|g| g.fingerprint == fingerprint);
        if let Some(generation) = waiting {
            return Ok(generation.startup);
        }
        let generation = Generation::start(&self.host, &running.gate, &plan).await?;
        let startup = generation.startup;
        if plan.rehearsal {
            // Nothing to take over: the real one is another.
            return Ok(startup);
        }
        running.candidate = Some(generation);
        self.forget_later(tenant.clone(), fingerprint);
        Ok(startup)
    }

    /// Makes `changed` live: the validated process takes over, or a new one is started first.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn deploy(&self, tenant: &Tenant, number: u32, changed: Live) -> Result<(), StartError> {
        self.deploy_all(tenant, number, vec![changed]).await
    }

    /// The same with the versions of one Worker that share its requests.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn deploy_all(&self, tenant: &Tenant, number: u32, changed: Vec<Live>) -> Result<(), StartError> {
        let place = self.place(tenant, number).await?;
        let mut running = place.running.lock().await;
        let other = |l: &&Live| !changed.iter().any(|c| c.script == l.script);
        let mut live: Vec<Live> = running.live.iter().filter(other).cloned().collect();
        live.extend(changed);
        self.switch(&mut running, live).await
    }

    /// Makes these and nothing else live, whatever was.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn replace(&self, tenant: &Tenant, number: u32, live: Vec<Live>) -> Result<(), StartError> {
        let place = self.place(tenant, number).await?;
        let mut running = place.running.lock().await;
        self.switch(&mut running, live).await
    }

    /// Takes a Worker off line.
    ///
    /// # Errors
    /// As [`Runtime::validate`]; then what was live stays live.
    pub async fn withdraw(&self, tenant: &Tenant, number: u32, script: &ScriptName) -> Result<(), StartError> {
        let place = self.place(tenant, number).await?;
        let mut running = place.running.lock().await;
        let live = running.live.iter().filter(|l| l.script != *script).cloned().collect();
        self.switch(&mut running, live).await
    }

    /// Sets all host names of an account. A name that another account holds stays with that account.
    pub fn set_hosts(&self, account: &CloudAccountId, hosts: Vec<(HostName, ScriptName)>) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).set_hosts(account, hosts);
    }

    /// Which URLs by pattern lead to the account's Workers, replacing what was set before.
    pub fn set_routes(&self, account: &CloudAccountId, routes: Vec<ZoneRoute>) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).set_routes(account, routes);
    }

    /// Takes an account's sites off line (403) and ends its processes, or brings both back: code that nobody may visit must not go on by its
    /// triggers, its queues, its alarms or what it has open. What was under way gets the time of any swap.
    ///
    /// # Errors
    /// When its code does not start again; it stays off line then.
    pub async fn set_suspended(&self, account: &CloudAccountId, suspended: bool) -> Result<(), StartError> {
        let in_table = |off| self.table.write().unwrap_or_else(PoisonError::into_inner).set_suspended(account, off);
        if suspended {
            in_table(true);
        }
        // Whoever becomes a tenant from here on is what this says.
        {
            let stopped = &mut self.tenants.lock().await.stopped;
            if suspended {
                stopped.insert(account.clone())
            } else {
                stopped.remove(account)
            };
        }
        for place in self.places(account).await {
            let mut running = place.running.lock().await;
            // Of two who say it at a time the later one counts, whoever comes to this tenant last.
            let wanted = self.tenants.lock().await.stopped.contains(account);
            if running.stopped != wanted {
                running.stopped = wanted;
                running.candidate = None;
                let live = running.live.clone();
                if let Err(e) = self.switch(&mut running, live).await {
                    running.stopped = true;
                    return Err(e);
                }
            }
        }
        if !suspended {
            in_table(false);
        }
        Ok(())
    }

    /// Processor time that each account's code has taken here, in microseconds. Never goes back, and waits for nobody's start.
    pub async fn cpu_us(&self) -> BTreeMap<CloudAccountId, u64> {
        let gates: Vec<(CloudAccountId, Arc<Gate>)> =
            self.tenants.lock().await.places.iter().map(|(tenant, place)| (tenant.account.clone(), place.gate.clone())).collect();
        let mut all: BTreeMap<CloudAccountId, u64> = BTreeMap::new();
        for (account, gate) in gates {
            let sum = all.entry(account).or_default();
            *sum = sum.saturating_add(gate.cpu_us());
        }
        all
    }

    /// Accounts that have a process now.
    pub(crate) async fn awake(&self) -> BTreeSet<CloudAccountId> {
        let tenants = self.tenants.lock().await;
        tenants.places.iter().filter(|(_, place)| place.gate.is_awake()).map(|(tenant, _)| tenant.account.clone()).collect()
    }

    /// The process of a tenant, for tests.
    pub async fn pid(&self, tenant: &Tenant) -> Option<u32> {
        let place = self.known(tenant).await?;
        let running = place.running.lock().await;
        running.active.as_ref().and_then(Generation::pid)
    }

    /// Where a live Worker of an account runs.
    #[must_use]
    pub fn home(&self, account: &CloudAccountId, script: &ScriptName) -> Option<Tenant> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).home(account, script)
    }

    /// Says how large a file of each account's Durable Objects may become; whoever is not named has the usual bound.
    pub(crate) fn hold_objects(&self, most: HashMap<CloudAccountId, u64>) {
        self.host.quota.set(most);
    }

    async fn switch(&self, running: &mut Running, live: Vec<Live>) -> Result<(), StartError> {
        let before = std::mem::replace(&mut running.live, live);
        running.introduce();
        let plan = running.plan();
        let fingerprint = plan.fingerprint();
        let unchanged = running.active.as_ref().is_some_and(|a| a.fingerprint == fingerprint);
        if !unchanged {
            running.last_ended = running.active.as_ref().map(Generation::ended);
        }
        if plan.units.is_empty() {
            running.active = None;
        } else if !unchanged {
            let next = if plan.keeps_objects() {
                self.possible().and_then(|()| Ok(running.behind(&plan, Begin::Now)?))
            } else {
                self.next(running, &plan).await
            };
            match next {
                Ok(next) => running.active = Some(next),
                Err(e) => {
                    running.live = before;
                    return Err(e);
                }
            }
        }
        self.publish(running);
        Ok(())
    }

    /// Removes the data of classes that are gone, once no process has it open.
    pub async fn forget_objects(&self, tenant: &Tenant, classes: &[ObjectClass]) {
        let Some(place) = self.known(tenant).await else { return };
        let folders: Vec<PathBuf> = classes.iter().map(|class| place.gate.objects.join(&class.key)).collect();
        let ended = place.running.lock().await.last_ended.clone();
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
    async fn next(&self, running: &mut Running, plan: &Plan) -> Result<Generation, StartError> {
        let fingerprint = plan.fingerprint();
        match running.candidate.take().filter(|c| c.fingerprint == fingerprint) {
            Some(candidate) => Ok(candidate),
            None => {
                self.possible()?;
                Generation::start(&self.host, &running.gate, plan).await
            }
        }
    }

    fn publish(&self, running: &Running) {
        publish(&self.table, &self.blobs, running);
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

    async fn known(&self, tenant: &Tenant) -> Option<Arc<Place>> {
        self.tenants.lock().await.places.get(tenant).cloned()
    }

    async fn places(&self, account: &CloudAccountId) -> Vec<Arc<Place>> {
        let tenants = self.tenants.lock().await;
        tenants.places.iter().filter(|(tenant, _)| tenant.account == *account).map(|(_, place)| place.clone()).collect()
    }

    async fn place(&self, tenant: &Tenant, number: u32) -> io::Result<Arc<Place>> {
        let mut tenants = self.tenants.lock().await;
        if let Some(found) = tenants.places.get(tenant) {
            return Ok(found.clone());
        }
        let folder = self.host.folder.join(format!("a{number}"));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let objects = self.host.objects.join(tenant.folder());
        let gate = Arc::new(Gate::open(&folder, objects, tenant.clone(), &self.host, self.blobs.clone(), self.backend.clone())?);
        let stopped = tenants.stopped.contains(&tenant.account);
        let running = Running::new(self.host.clone(), tenant.clone(), number, gate.clone(), stopped);
        let place = Arc::new(Place { gate, running: tokio::sync::Mutex::new(running) });
        tenants.places.insert(tenant.clone(), place.clone());
        Ok(place)
    }

    /// A validated version that nobody deploys ends after a while, and the assets of versions that are gone are let go.
    fn forget_later(&self, tenant: Tenant, fingerprint: Sha256Digest) {
        let tenants = Arc::downgrade(&self.tenants);
        tokio::spawn(async move {
            tokio::time::sleep(limits::CANDIDATE_LIFE).await;
            let Some(tenants) = tenants.upgrade() else { return };
            let Some(place) = tenants.lock().await.places.get(&tenant).cloned() else { return };
            let mut running = place.running.lock().await;
            running.candidate.take_if(|c| c.fingerprint == fingerprint);
            if running.candidate.is_none() {
                let versions: Vec<VersionId> = running.live.iter().map(|l| l.version.clone()).collect();
                running.gate.keep(&versions);
            }
        });
    }
}

fn publish(table: &RwLock<Table>, blobs: &Blobs, running: &Running) {
    let mut scripts: BTreeMap<&ScriptName, Vec<(&Live, Option<Door>)>> = BTreeMap::new();
    for live in &running.live {
        let door = running.active.as_ref().and_then(|g| g.doors.get(&live.version)).cloned();
        scripts.entry(&live.script).or_default().push((live, door));
    }
    let site = |versions: Vec<(&Live, Option<Door>)>| Arc::new(Site::new(&running.tenant.account, versions, blobs));
    let sites = scripts.into_iter().map(|(script, versions)| (script.clone(), site(versions))).collect();
    table.write().unwrap_or_else(PoisonError::into_inner).set_sites(&running.tenant, sites);
}
