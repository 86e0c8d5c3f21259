//! One start of an account's Workers: its listening sockets, its process, and the task that watches it.
//!
//! slipway owns the listening sockets and lends them to workerd. A request that arrives while the process starts, or starts
//! again after a crash, waits in the kernel's queue. A new deployment is a new generation with sockets of its own, so that no
//! request can reach the new code before the deployment is committed, nor the old code after the table was switched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use purser_values::Sha256Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use crate::jail::spec::{CONFIG, CONSTANT, EGRESS_SOCKET, HOST_SOCKET};
use crate::limits;
use crate::name::ScriptName;
use crate::plan::Plan;
use crate::runtime::cage::Bounds;
use crate::runtime::confinement::allowance;
use crate::runtime::gate::Gate;
use crate::runtime::process::{Launch, Process, StartError};
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

impl Door {
    /// The socket and the number of the process behind it, or why there is none.
    pub fn open(&self) -> Result<(Arc<Path>, u64), String> {
        match &*self.state.down.read().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => Err(why.clone()),
            None => Ok((self.socket.clone(), self.state.number.load(Ordering::Acquire))),
        }
    }
}

struct State {
    /// Rises with every process that takes the sockets over.
    number: AtomicU64,
    /// The process's keeper; 0 while there is none.
    pid: AtomicU32,
    /// Why the process does not come up, after it failed to.
    down: RwLock<Option<String>>,
    /// Keeps the socket paths alive as long as a door is.
    folder: Folder,
}

/// A running generation. Dropping it lets requests under way finish, and ends the process.
pub struct Generation {
    pub fingerprint: Sha256Digest,
    pub doors: BTreeMap<ScriptName, Door>,
    pub startup: Option<Duration>,
    state: Arc<State>,
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
}

impl Generation {
    /// Starts a process and waits until it listens.
    pub async fn start(host: &Arc<Host>, gate: &Arc<Gate>, plan: &Plan) -> Result<Self, StartError> {
        let (mut generation, watch) = Self::prepare(host, gate, plan)?;
        let process = match watch.launch().await {
            Ok(process) => process,
            Err(e) => {
                let _ = fs::remove_dir_all(&watch.state.folder.path);
                return Err(e);
            }
        };
        generation.startup = Some(process.startup);
        watch.state.pid.store(process.pid, Ordering::Release);
        tokio::spawn(watch.run(Some(process)));
        Ok(generation)
    }

    /// Opens the sockets now and starts the process behind them.
    pub fn start_behind(host: &Arc<Host>, gate: &Arc<Gate>, plan: &Plan) -> io::Result<Self> {
        let (generation, watch) = Self::prepare(host, gate, plan)?;
        tokio::spawn(watch.run(None));
        Ok(generation)
    }

    /// The process's keeper, while there is a process.
    pub fn pid(&self) -> Option<u32> {
        Some(self.state.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    fn prepare(host: &Arc<Host>, gate: &Arc<Gate>, plan: &Plan) -> io::Result<(Self, Watch)> {
        let number = host.numbers.fetch_add(1, Ordering::Relaxed);
        let folder = Folder::create(&host.folder.join(format!("g{number}")))?;
        let mut listeners = Vec::new();
        let mut sockets = BTreeMap::new();
        for (i, unit) in plan.units.iter().enumerate() {
            let name = config::socket(i);
            listeners.push((name.clone(), folder.bind(&name)?));
            sockets.insert(unit.script.clone(), Arc::<Path>::from(folder.socket(&name)));
        }
        listeners.push((config::HEALTH.to_owned(), folder.bind(config::HEALTH)?));
        let state = Arc::new(State { number: AtomicU64::new(number), pid: AtomicU32::new(0), down: RwLock::new(None), folder });
        let (retire, retired) = oneshot::channel();
        let doors = sockets.into_iter().map(|(script, socket)| (script, Door { socket, state: state.clone() })).collect();
        let generation = Self { fingerprint: plan.fingerprint(), doors, startup: None, state: state.clone(), _retire: retire };
        let watch = Watch { host: host.clone(), gate: gate.clone(), plan: plan.clone(), listeners, state, retired };
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
        let files = config::files(&self.plan, &addresses);
        let bytes = files.iter().map(|(_, b)| b.expose().len() as u64).sum();
        let spot = if jailed {
            self.host.walls.jail(self.plan.number, &self.gate.host_socket, &self.gate.egress_socket)
        } else {
            let number = self.host.numbers.fetch_add(1, Ordering::Relaxed);
            self.host.walls.unconfined(self.state.folder.path.join(format!("u{number}")))
        };
        let memory = (self.host.allowances)(&self.plan.account).memory;
        let cage = self.host.cages.make(Bounds { memory, tasks: limits::JAIL_TASKS })?;
        let launch = Launch {
            account: Arc::from(self.plan.account.as_str()),
            spot,
            args: ["serve", CONFIG, CONSTANT].map(str::to_owned).to_vec(),
            files,
            sockets: self.listeners.iter().map(|(name, listener)| (name.clone(), listener)).collect(),
            limits: allowance(bytes, memory),
            cage,
        };
        Process::start(&self.host.spawner, &self.host.jail, launch).await.map_err(|e| match e {
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

    async fn run(mut self, mut process: Option<Process>) {
        let mut pause = limits::RESTART_FIRST;
        loop {
            if let Some(running) = process.as_mut() {
                let begun = Instant::now();
                if self.watch(running).await {
                    break;
                }
                if begun.elapsed() > limits::RESTART_FORGET {
                    pause = limits::RESTART_FIRST;
                }
                process = None;
                self.state.pid.store(0, Ordering::Release);
                if self.retired_within(pause).await {
                    break;
                }
                pause = (pause * 2).min(limits::RESTART_LONGEST);
            }
            match self.launch().await {
                Ok(started) => {
                    self.state.number.store(self.host.numbers.fetch_add(1, Ordering::Relaxed), Ordering::Release);
                    self.state.pid.store(started.pid, Ordering::Release);
                    self.set_down(None);
                    process = Some(started);
                }
                Err(e) => {
                    tracing::error!(account = %self.plan.account, error = %e, "a worker process does not start");
                    self.set_down(Some(e.to_string()));
                    if self.retired_within(pause).await {
                        break;
                    }
                    pause = (pause * 2).min(limits::RESTART_LONGEST);
                }
            }
        }
        if let Some(mut running) = process {
            // Requests that were routed here just before the switch still get in.
            tokio::time::sleep(limits::SWAP_GRACE).await;
            running.terminate();
            if tokio::time::timeout(limits::DRAIN, running.ended()).await.is_err() {
                running.kill();
                running.ended().await;
            }
        }
        let _ = fs::remove_dir_all(&self.state.folder.path);
    }

    /// Returns true when the generation was retired, false when the process ended or had to be ended.
    async fn watch(&mut self, process: &mut Process) -> bool {
        let health = self.state.folder.socket(config::HEALTH);
        let mut ticks = tokio::time::interval(limits::HEALTH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut self.retired => return true,
                status = process.ended() => {
                    tracing::warn!(account = %self.plan.account, %status, output = %process.output.text(), "a worker process ended");
                    return false;
                }
                healthy = async { ticks.tick().await; answers(&health).await } => if !healthy {
                    tracing::warn!(account = %self.plan.account, "a worker process does not answer and is ended");
                    process.kill();
                    process.ended().await;
                    return false;
                }
            }
        }
    }

    async fn retired_within(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, &mut self.retired).await.is_ok()
    }

    fn set_down(&self, why: Option<String>) {
        *self.state.down.write().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// Whether the process's event loop turns: one exchange in which no tenant code takes part.
async fn answers(socket: &Path) -> bool {
    let exchange = async {
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: health\r\nconnection: close\r\n\r\n").await?;
        let mut head = [0_u8; 12];
        stream.read_exact(&mut head).await?;
        io::Result::Ok(&head == b"HTTP/1.1 200")
    };
    matches!(tokio::time::timeout(limits::HEALTH_DEADLINE, exchange).await, Ok(Ok(true)))
}
