//! One start of a tenant's Workers: its listening sockets, its process, and the task that watches it.
//!
//! slipway owns the listening sockets and lends them to workerd. A request that arrives while the process starts, or starts
//! again after a crash, or is asleep, waits in the kernel's queue. A new deployment is a new generation with sockets of its own, so
//! that no request can reach the new code before the deployment is committed, nor the old code after the table was switched. Falling
//! asleep is the same: a generation without a process takes over, and the old one ends when nothing of it is under way.
//!
//! INVARIANT (one-writer): a process with Durable Objects starts only when the one before it has ended: two processes on one
//! folder would both be the same object, and neither would notice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use purser_values::Sha256Digest;
use purser_values::id::CloudAccountId;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::sync::oneshot;

use crate::jail::spec::{CONFIG, CONSTANT, EGRESS_SOCKET, HOST_SOCKET, OBJECTS};
use crate::limits;
use crate::name::{ScriptName, VersionId};
use crate::plan::Plan;
use crate::runtime::cage::{Bounds, Cage};
use crate::runtime::confinement::allowance;
use crate::runtime::gate::Gate;
use crate::runtime::incident::Kind;
use crate::runtime::process::{Launch, Process, StartError};
use crate::runtime::quota::{Held, Step};
use crate::runtime::{Host, config};

/// A folder that is reached through its descriptor, because a socket's path may have 107 bytes only.
pub struct Folder {
    handle: File,
    path: PathBuf,
}

impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: File::open(path)?, path: path.to_owned() })
    }

    pub fn create(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path)
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }

    pub fn bind(&self, name: &str) -> io::Result<UnixListener> {
        let _ = fs::remove_file(self.path.join(name));
        UnixListener::bind(self.socket(name))
    }
}

/// Where one Worker of a generation is reached.
#[derive(Clone)]
pub struct Door {
    socket: Arc<Path>,
    state: Arc<State>,
}

/// Something is under way in a process: it is not put to sleep, and not ended without a moment to finish, as long as this lives.
pub struct Hold(Arc<State>);

impl Hold {
    fn of(state: &Arc<State>) -> Self {
        state.under_way.fetch_add(1, Ordering::AcqRel);
        Self(state.clone())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.last_used_ms.store(self.0.age_ms(), Ordering::Release);
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ready when a generation's process, if it ever had one, has ended.
pub type Ended = tokio::sync::watch::Receiver<bool>;

impl Door {
    /// The socket and the number of the process behind it, or why there is none.
    pub fn open(&self) -> Result<(Arc<Path>, u64, Hold), String> {
        match &*self.state.down.read().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => Err(why.clone()),
            None => Ok((self.socket.clone(), self.state.number.load(Ordering::Acquire), Hold::of(&self.state))),
        }
    }
}

pub struct State {
    /// Rises with every process that takes the sockets over.
    number: AtomicU64,
    /// The process's keeper; 0 while there is none.
    pid: AtomicU32,
    /// Why the process does not come up, after it failed to.
    down: RwLock<Option<String>>,
    /// The group of its process, which counts processor time.
    cage: RwLock<Option<Arc<Cage>>>,
    /// Keeps the socket paths alive as long as a door is.
    folder: Folder,
    /// Requests, tunnels and events that are not over.
    under_way: AtomicUsize,
    /// When the last of them ended, in milliseconds since `born`.
    last_used_ms: AtomicU64,
    born: Instant,
}

impl State {
    fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn takes(&self, process: &Process) {
        *self.cage.write().unwrap_or_else(PoisonError::into_inner) = Some(process.cage.clone());
        self.pid.store(process.pid, Ordering::Release);
    }

    /// Forgets the process, which has ended; what it took, in microseconds.
    pub fn leave(&self) -> u64 {
        let took = self.cpu_us().unwrap_or(0);
        *self.cage.write().unwrap_or_else(PoisonError::into_inner) = None;
        took
    }

    /// What its process has taken so far, in microseconds; nothing where there is none.
    pub fn cpu_us(&self) -> Option<u64> {
        let cage = self.cage.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        process_cpu_us(self.pid.load(Ordering::Acquire), &cage)
    }

    pub fn is_awake(&self) -> bool {
        self.pid.load(Ordering::Acquire) != 0
    }

    fn busy(&self) -> bool {
        self.under_way.load(Ordering::Acquire) > 0
    }

    fn idle_for(&self) -> Duration {
        if self.busy() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.age_ms().saturating_sub(self.last_used_ms.load(Ordering::Acquire)))
    }
}

/// A running generation. Dropping it lets requests under way finish, and ends the process.
pub struct Generation {
    pub fingerprint: Sha256Digest,
    pub doors: BTreeMap<VersionId, Door>,
    /// Where events are handed in, if this generation takes any.
    pub events: Option<Door>,
    /// The Workers of its plan, in the plan's order.
    pub scripts: Vec<ScriptName>,
    pub startup: Option<Duration>,
    state: Arc<State>,
    ended: Ended,
    _retire: oneshot::Sender<()>,
}

/// What the watching task owns.
struct Watch {
    host: Arc<Host>,
    gate: Arc<Gate>,
    plan: Plan,
    listeners: Vec<(String, UnixListener)>,
    state: Arc<State>,
    retired: oneshot::Receiver<()>,
    /// The generation before this one, where it must be gone before this one's process starts.
    after: Option<Ended>,
    /// Dropped with this: tells others that the process has ended.
    _ended: tokio::sync::watch::Sender<bool>,
}

/// What a generation's process begins with.
pub enum Begin {
    /// The process, at once.
    Now,
    /// Nothing: it starts when somebody comes.
    Asleep,
}

/// Why watching a process ended.
enum Watched {
    Retired,
    Gone,
}

impl Generation {
    /// Starts a process and waits until it listens.
    pub async fn start(host: &Arc<Host>, gate: &Arc<Gate>, plan: &Plan) -> Result<Self, StartError> {
        let (mut generation, watch) = Self::prepare(host, gate, plan, None)?;
        let process = match watch.launch().await {
            Ok(process) => process,
            Err(e) => {
                let _ = fs::remove_dir_all(&watch.state.folder.path);
                return Err(e);
            }
        };
        generation.startup = Some(process.startup);
        watch.state.takes(&process);
        tokio::spawn(watch.run(Some(process), Begin::Now));
        Ok(generation)
    }

    /// Opens the sockets now and starts the process behind them, at once or when somebody comes; never before `after` has ended.
    pub fn start_behind(host: &Arc<Host>, gate: &Arc<Gate>, plan: &Plan, begin: Begin, after: Option<Ended>) -> io::Result<Self> {
        let (generation, watch) = Self::prepare(host, gate, plan, after)?;
        tokio::spawn(watch.run(None, begin));
        Ok(generation)
    }

    /// Tells when its process has ended.
    pub fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// How long nothing has been under way.
    pub fn idle_for(&self) -> Duration {
        self.state.idle_for()
    }

    /// The process's keeper, while there is a process.
    pub fn pid(&self) -> Option<u32> {
        Some(self.state.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    fn prepare(host: &Arc<Host>, gate: &Arc<Gate>, plan: &Plan, after: Option<Ended>) -> io::Result<(Self, Watch)> {
        let number = host.numbers.fetch_add(1, Ordering::Relaxed);
        let folder = Folder::create(&host.folder.join(format!("g{number}")))?;
        let mut listeners = Vec::new();
        let mut sockets = BTreeMap::new();
        for (i, unit) in plan.units.iter().enumerate() {
            let name = config::socket(i);
            listeners.push((name.clone(), folder.bind(&name)?));
            sockets.insert(unit.version.clone(), Arc::<Path>::from(folder.socket(&name)));
        }
        if plan.events {
            listeners.push((config::EVENTS.to_owned(), folder.bind(config::EVENTS)?));
        }
        listeners.push((config::HEALTH.to_owned(), folder.bind(config::HEALTH)?));
        let state = State {
            number: AtomicU64::new(number),
            pid: AtomicU32::new(0),
            down: RwLock::new(None),
            cage: RwLock::new(None),
            folder,
            under_way: AtomicUsize::new(0),
            last_used_ms: AtomicU64::new(0),
            born: Instant::now(),
        };
        let state = Arc::new(state);
        gate.count(&state);
        let events = plan.events.then(|| Door { socket: state.folder.socket(config::EVENTS).into(), state: state.clone() });
        let (retire, retired) = oneshot::channel();
        let (ending, ended) = tokio::sync::watch::channel(false);
        let doors = sockets.into_iter().map(|(version, socket)| (version, Door { socket, state: state.clone() })).collect();
        let scripts = plan.units.iter().map(|unit| unit.script.clone()).collect();
        let generation =
            Self { fingerprint: plan.fingerprint(), doors, events, scripts, startup: None, state: state.clone(), ended, _retire: retire };
        let watch = Watch { host: host.clone(), gate: gate.clone(), plan: plan.clone(), listeners, state, retired, after, _ended: ending };
        Ok((generation, watch))
    }
}

impl Watch {
    async fn launch(&self) -> Result<Process, StartError> {
        let jailed = self.host.jailed();
        let addresses = if jailed {
            config::Addresses { host: format!("unix:/{HOST_SOCKET}"), egress: format!("unix:/{EGRESS_SOCKET}") }
        } else {
            let address = |path: &Path| format!("unix:{}", path.display());
            config::Addresses { host: address(&self.gate.host_socket), egress: address(&self.gate.egress_socket) }
        };
        let objects = if jailed { Path::new("/").join(OBJECTS) } else { self.gate.objects.clone() };
        let files = config::files(&self.plan, &addresses, &objects);
        let bytes = files.iter().map(|(_, b)| b.expose().len() as u64).sum();
        let spot = if jailed {
            let folder = self.plan.keeps_objects().then_some(self.gate.objects.as_path());
            self.host.walls.jail(self.plan.number, &self.gate.host_socket, &self.gate.egress_socket, folder)?
        } else {
            let number = self.host.numbers.fetch_add(1, Ordering::Relaxed);
            self.host.walls.unconfined(self.state.folder.path.join(format!("u{number}")))
        };
        let memory = (self.host.allowances)(&self.plan.tenant.account).memory;
        let mut args = ["serve", CONFIG, CONSTANT].map(str::to_owned).to_vec();
        if self.plan.events {
            // For the flag of our own Worker. What tenants ask for was tried without it.
            args.push("--experimental".to_owned());
        }
        let launch = Launch {
            account: Arc::from(self.plan.tenant.account.as_str()),
            spot,
            args,
            files,
            sockets: self.listeners.iter().map(|(name, listener)| (name.clone(), listener)).collect(),
            limits: allowance(bytes, memory.max(limits::JAIL_MEMORY), self.plan.keeps_objects()),
            bounds: Bounds { memory, tasks: limits::JAIL_TASKS },
        };
        Process::start(&self.host.spares, launch).await.map_err(|e| match e {
            StartError::Refused(text) => StartError::Refused(self.explain(&text)),
            other => other,
        })
    }

    /// workerd's words with Workers called by their names, without what concerns only us.
    fn explain(&self, text: &str) -> String {
        let ours = |line: &&str| !line.starts_with("Unable to find and open the program executable");
        let mut text = text.lines().filter(ours).collect::<Vec<_>>().join("\n");
        for (i, unit) in self.plan.units.iter().enumerate() {
            text = text.replace(&format!("service w{i}: "), &format!("{}: ", unit.script));
        }
        if text.is_empty() { "the Worker ended while it started, without a message".to_owned() } else { text }
    }

    async fn run(mut self, mut process: Option<Process>, mut begin: Begin) {
        let mut pause = limits::RESTART_FIRST;
        if let Some(after) = self.after.take() {
            predecessor(after).await;
            // Retired while it waited: whoever waits for this one's end has waited for the other's too.
            if self.retired.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
                let _ = fs::remove_dir_all(&self.state.folder.path);
                return;
            }
        }
        loop {
            if let Some(running) = process.as_mut() {
                let begun = Instant::now();
                if matches!(self.watch(running).await, Watched::Retired) {
                    break;
                }
                if begun.elapsed() > limits::RESTART_FORGET {
                    pause = limits::RESTART_FIRST;
                }
                process = None;
                self.spent();
                self.state.pid.store(0, Ordering::Release);
                // What was under way broke off: kept connections of this process are worth nothing.
                self.state.number.store(self.host.numbers.fetch_add(1, Ordering::Relaxed), Ordering::Release);
                if self.retired_within(pause).await {
                    break;
                }
                pause = (pause * 2).min(limits::RESTART_LONGEST);
                begin = Begin::Asleep;
            }
            if matches!(begin, Begin::Asleep) && !self.somebody_comes().await {
                break;
            }
            begin = Begin::Now;
            match self.launch().await {
                Ok(started) => {
                    self.state.number.store(self.host.numbers.fetch_add(1, Ordering::Relaxed), Ordering::Release);
                    self.state.takes(&started);
                    self.state.last_used_ms.store(self.state.age_ms(), Ordering::Release);
                    self.set_down(None);
                    process = Some(started);
                }
                Err(e) => {
                    tracing::error!(tenant = %self.plan.tenant, error = %e, "a worker process does not start");
                    self.set_down(Some(e.to_string()));
                    if self.retired_within(pause).await {
                        break;
                    }
                    pause = (pause * 2).min(limits::RESTART_LONGEST);
                }
            }
        }
        if let Some(running) = process {
            self.finish(running).await;
        }
        let _ = fs::remove_dir_all(&self.state.folder.path);
    }

    /// Lets what is under way finish, and ends the process. Where another waits for its end, both are short.
    async fn finish(&self, mut running: Process) {
        let (grace, drain) = if self.plan.keeps_objects() {
            (limits::SWAP_GRACE_OBJECTS, limits::DRAIN_OBJECTS)
        } else {
            (limits::SWAP_GRACE, limits::DRAIN)
        };
        let begun = Instant::now();
        // Requests that were routed here just before the switch still get in.
        tokio::time::sleep(grace).await;
        while self.state.busy() && begun.elapsed() < drain {
            tokio::time::sleep(limits::DRAIN_LOOK).await;
        }
        running.terminate();
        let rest = drain.saturating_sub(begun.elapsed()).max(limits::DRAIN_LEAST);
        if tokio::time::timeout(rest, running.ended()).await.is_err() {
            running.kill();
            running.ended().await;
        }
        self.spent();
    }

    /// Counts what its process took, once it has ended.
    fn spent(&self) {
        self.gate.ended(&self.state);
    }

    /// Waits, without a process, until somebody connects or an alarm is due; false when the generation was retired instead.
    ///
    /// The listening sockets are watched and nothing is accepted: whoever comes waits in the kernel's queue for the process.
    async fn somebody_comes(&mut self) -> bool {
        let mut watched = Vec::new();
        for (name, listener) in &self.listeners {
            #[expect(deprecated, reason = "what replaces it is unsafe, and an owned listener cannot be closed behind its back")]
            let socket = listener.try_clone().and_then(|l| AsyncFd::with_interest(l, Interest::READABLE));
            match socket {
                Ok(_) if name == config::HEALTH => {}
                Ok(socket) => watched.push(socket),
                Err(e) => {
                    tracing::error!(tenant = %self.plan.tenant, error = %e, "a socket cannot be watched: its process starts now");
                    return true;
                }
            }
        }
        let first = futures_util::future::select_all(watched.iter().map(|socket| Box::pin(socket.readable())));
        let alarm = alarm(self.next_alarm(), self.host.clone(), self.plan.tenant.account.clone());
        tokio::select! {
            _ = &mut self.retired => false,
            _ = first => true,
            () = alarm => true,
        }
    }

    /// Time until the earliest alarm of a Durable Object.
    fn next_alarm(&self) -> Option<Duration> {
        let classes = self.plan.units.iter().flat_map(|unit| &unit.objects);
        let files = classes.map(|class| self.gate.objects.join(&class.key).join("metadata.sqlite"));
        let due = files.filter(|file| file.is_file()).filter_map(|file| (self.host.next_alarm)(&file)).min()?;
        let wait = due.micros_since(self.host.env.now());
        Some(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    }

    /// Returns when the generation was retired, or the process ended or had to be ended.
    async fn watch(&mut self, process: &mut Process) -> Watched {
        let health = self.state.folder.socket(config::HEALTH);
        let allowance = (self.host.allowances)(&self.plan.tenant.account);
        let mut refused = 0;
        let mut held = Held::default();
        let mut ticks = tokio::time::interval(limits::HEALTH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.plan.keeps_objects() && self.host.jailed() {
                self.hold_files(process.pid, &mut held);
            }
            let (pid, cage) = (process.pid, process.cage.clone());
            let cpu_us = || process_cpu_us(pid, &cage);
            let answered = async {
                ticks.tick().await;
                answers(&health, &cpu_us, u64::from(allowance.cpu_ms) * 1_000).await
            };
            tokio::select! {
                _ = &mut self.retired => return Watched::Retired,
                (status, kind) = async {
                    let status = process.child_ended().await;
                    let kind = Kind::of_end(&status);
                    let memory = kind == Kind::Crash && (process.cage.exhausted() || Kind::tells_of_memory(&process.last_words().await));
                    (status, if memory { Kind::Memory } else { kind })
                } => {
                    self.note(kind, &status);
                    tracing::warn!(tenant = %self.plan.tenant, %status, output = %process.output.text(), "a worker process ended");
                    return Watched::Gone;
                }
                health = answered => {
                    let refusals = process.output.refusals();
                    if refusals > std::mem::replace(&mut refused, refusals) {
                        self.note(Kind::Memory, "it asked for more than it may have");
                    }
                    if let Some(kind) = health {
                        // what fills memory keeps the processor busy, and may be seen as that first
                        let kind = if process.cage.exhausted() { Kind::Memory } else { kind };
                        self.note(kind, "");
                        process.kill();
                        process.ended().await;
                        return Watched::Gone;
                    }
                    if self.state.idle_for() > self.host.idle {
                        // Whoever owns the generations puts another in its place; this one is retired then.
                        let _ = self.host.sleepy.send((self.plan.tenant.clone(), self.plan.fingerprint()));
                    }
                }
            }
        }
    }

    /// Has the kernel bound what Durable Objects write, as the account's storage stands.
    fn hold_files(&self, keeper: u32, held: &mut Held) {
        match held.follow(&self.host.quota, &self.plan.tenant.account, keeper) {
            Ok(Some(Step::Full)) => self.note(Kind::Storage, "the account's storage is full: its Durable Objects cannot grow"),
            Ok(_) => {}
            Err(e) => tracing::error!(tenant = %self.plan.tenant, error = %e, "what Durable Objects write cannot be bounded"),
        }
    }

    fn note(&self, kind: Kind, detail: &str) {
        let script = if let [unit] = self.plan.units.as_slice() { Some(&unit.script) } else { None };
        self.host.incidents.note(&self.plan.tenant.account, script, kind, detail);
    }

    async fn retired_within(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, &mut self.retired).await.is_ok()
    }

    fn set_down(&self, why: Option<String>) {
        *self.state.down.write().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// Waits for an alarm, and then until it may wake anybody: it keeps while the account has used up what it has.
async fn alarm(due: Option<Duration>, host: Arc<Host>, account: CloudAccountId) {
    let Some(due) = due else { return std::future::pending().await };
    tokio::time::sleep(due).await;
    while !host.events.may_wake(&account) {
        tokio::time::sleep(limits::ALARM_AGAIN).await;
    }
}

/// Waits for the end of a generation whose process must be gone before another starts.
pub async fn predecessor(mut after: Ended) {
    // An error means that the sender is gone, which is the end that is waited for.
    while after.changed().await.is_ok() {}
}

/// Processor time of a process, in microseconds: as its control group counts, or else as `/proc` does.
fn process_cpu_us(pid: u32, cage: &Cage) -> Option<u64> {
    cage.cpu_us().or_else(|| Some(super::cpu::of_tree(pid)?.saturating_mul(1_000)))
}

/// Whether the process's event loop turns: one exchange in which no tenant code takes part. Nothing when it does; or what its
/// stillness is.
///
/// INVARIANT (one-go): while the answer is out, code runs without a pause; more processor time than `most_us` in such a stretch is
/// more than the account has in one go. On a busy machine the wall clock alone would blame the innocent, so it is generous.
async fn answers(socket: &Path, cpu_us: &impl Fn() -> Option<u64>, most_us: u64) -> Option<Kind> {
    let exchange = async {
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: health\r\nconnection: close\r\n\r\n").await?;
        let mut head = [0_u8; 12];
        stream.read_exact(&mut head).await?;
        io::Result::Ok(&head == b"HTTP/1.1 200")
    };
    let mut exchange = std::pin::pin!(exchange);
    let (begun, before) = (Instant::now(), cpu_us());
    loop {
        match tokio::time::timeout(limits::HEALTH_LOOK, exchange.as_mut()).await {
            Ok(Ok(true)) => return None,
            Ok(_) => return Some(Kind::Stuck),
            Err(_) => {
                let used = cpu_us().zip(before).map(|(now, before)| now.saturating_sub(before));
                if used.is_some_and(|used| used >= most_us) {
                    return Some(Kind::Cpu);
                }
                if begun.elapsed() >= limits::HEALTH_DEADLINE {
                    return Some(Kind::Stuck);
                }
            }
        }
    }
}
