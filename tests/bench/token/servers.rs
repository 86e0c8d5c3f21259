//! The two servers, and what the load needs of them: clients, refresh tokens, agents under grants.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_tests::system::Run;
use purser_tests::{Agent, Ask, Choice, Person, binaries, browser, processes};
use purser_values::Secret;
use serde::Deserialize;

use tokio::task::JoinHandle;

use crate::load::{self, Holder, Kind, Latencies, Measured, Side};

/// The word by which this program is the bare server.
pub const BARE: &str = "bare";
/// Tokens that are introspected in turn.
const ACCESS_TOKENS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// The kernel counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
struct Ready {
    pid: u32,
    ours: Endpoint,
    theirs: Endpoint,
}

#[derive(Deserialize)]
struct Endpoint {
    token_endpoint: String,
    machine: Machine,
    refresh: Vec<SignOn>,
}

#[derive(Deserialize)]
struct Machine {
    authorization: String,
    resource: Option<String>,
}

#[derive(Deserialize)]
struct SignOn {
    refresh_token: String,
    client_id: String,
    pkcs8: String,
}

struct Loaded {
    pid: u32,
    url: String,
    machine: Machine,
    sign_ons: Vec<Holder>,
    agents: Vec<Holder>,
    /// Of the machine, for introspection.
    access_tokens: Arc<Vec<String>>,
}

pub struct Servers {
    children: Vec<Child>,
    ours: Loaded,
    theirs: Loaded,
    bare: Loaded,
    connections: usize,
    folder: tempfile::TempDir,
}

impl Servers {
    pub async fn start(connections: usize) -> Self {
        let named = |name| binaries::named(name, || None).unwrap_or_else(|| panic!("{name} names no program"));
        let (purser, node) = (named("PURSER_BIN"), named("PURSER_NODE"));
        let modules = PathBuf::from(std::env::var_os("PURSER_REFEREES").expect("PURSER_REFEREES names the packages"));
        let folder = tempfile::tempdir().unwrap();
        let (up, run, pid) = up(&purser, folder.path()).await;
        let (issuer, mail) = (run.orchestrator.url, run.mail);
        let mut ada = Person::at(&issuer, &mail, "grace");
        let mut agents = Vec::new();
        for number in 0..connections {
            let agent = Agent::at(&purser, &issuer, &folder.path().join(format!("agent-{number}")), "load");
            agent.login(&mut ada, Ask { irreversible: false, export: false }, &Choice::USUAL).await;
            let refresh_token = agent.session()["refresh_token"].as_str().unwrap().to_owned();
            agents.push(Holder { key: agent.proof().key, refresh_token, client_id: None });
        }
        let scripts = folder.path().join("referees");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("referees"), &scripts);
        std::os::unix::fs::symlink(modules, scripts.join("node_modules")).unwrap();
        let said = folder.path().join("ready.json");
        let mut command = Command::new(node);
        command.arg(scripts.join("bench_tokens.mjs")).arg(connections.to_string()).env("NODE_ENV", "production");
        command.env("ISSUER", &issuer).env("MAILBOX", &mail).stdin(Stdio::null()).stdout(File::create(&said).unwrap());
        let mut oracle = command.spawn().unwrap();
        let ready: Ready = processes::until("the other server", PATIENCE, async || {
            assert!(oracle.try_wait().unwrap().is_none(), "the other server ended");
            serde_json::from_str(fs::read_to_string(&said).ok()?.lines().next()?).ok()
        })
        .await;
        let mut ours = Loaded::new(pid, ready.ours, agents);
        ours.access_tokens = load::access_tokens(&ours.url, &ours.machine.authorization, ACCESS_TOKENS).await.into();
        let theirs = Loaded::new(ready.pid, ready.theirs, Vec::new());
        let (alone, bare) = bare();
        Self { children: vec![alone, oracle, up], ours, theirs, bare, connections, folder }
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// One window of load against one of the two.
    pub async fn load(&mut self, kind: Kind, side: Side, warm_up: Duration, window: Duration) -> Measured {
        let connections = self.connections;
        let server = match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
            Side::Bare => &mut self.bare,
        };
        let holders = match kind {
            Kind::ClientCredentials | Kind::Introspect | Kind::Hello => Vec::new(),
            Kind::Refresh => std::mem::take(&mut server.sign_ons),
            Kind::AgentRefresh => std::mem::take(&mut server.agents),
        };
        let proofs: Vec<_> = holders.iter().map(|holder| load::proofs(&holder.key, &server.url, warm_up + window)).collect();
        let began = Instant::now() + warm_up;
        let ends = began + window;
        let before = (tokio::time::sleep_until(began.into()), server.pid);
        let clock = tokio::spawn(async move {
            before.0.await;
            let at_start = cpu(before.1);
            tokio::time::sleep_until(ends.into()).await;
            cpu(before.1) - at_start
        });
        let url = server.url.clone();
        let at = |path: &str| url.replace("/oauth/token", path);
        let (authorization, resource, tokens) =
            (server.machine.authorization.clone(), server.machine.resource.clone(), server.access_tokens.clone());
        let alone: Option<Box<dyn Fn() -> JoinHandle<Latencies>>> = match kind {
            Kind::ClientCredentials => Some(Box::new(move || {
                tokio::spawn(load::client_credentials(url.clone(), authorization.clone(), resource.clone(), began, ends))
            })),
            Kind::Introspect => {
                let url = at("/oauth/introspect");
                Some(Box::new(move || tokio::spawn(load::introspect(url.clone(), authorization.clone(), tokens.clone(), began, ends))))
            }
            Kind::Hello => {
                let url = at("/health");
                Some(Box::new(move || tokio::spawn(load::hello(url.clone(), began, ends))))
            }
            Kind::Refresh | Kind::AgentRefresh => None,
        };
        let mut took = Vec::new();
        if let Some(one) = alone {
            for task in (0..connections).map(|_| one()).collect::<Vec<_>>() {
                took.extend(task.await.unwrap());
            }
        } else {
            let url = &server.url;
            let one = |(holder, proofs)| tokio::spawn(load::refresh(url.clone(), holder, proofs, began, ends));
            let mut kept = Vec::new();
            for task in holders.into_iter().zip(proofs).map(one).collect::<Vec<_>>() {
                let (latencies, holder) = task.await.unwrap();
                took.extend(latencies);
                kept.push(holder);
            }
            match kind {
                Kind::AgentRefresh => server.agents = kept,
                _ => server.sign_ons = kept,
            }
        }
        load::measured(took, window, clock.await.unwrap())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            processes::signal(child.id(), "TERM");
            let _ = child.wait();
        }
    }
}

impl Loaded {
    fn new(pid: u32, endpoint: Endpoint, agents: Vec<Holder>) -> Self {
        let holder = |it: SignOn| Holder { key: key(&it.pkcs8), refresh_token: it.refresh_token, client_id: Some(it.client_id) };
        let sign_ons = endpoint.refresh.into_iter().map(holder).collect();
        let (url, machine, access_tokens) = (endpoint.token_endpoint, endpoint.machine, Arc::default());
        Self { pid, url, machine, sign_ons, agents, access_tokens }
    }
}

fn key(pem: &str) -> SigningKey {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    SigningKey::from_pkcs8(Algorithm::Es256, &Secret::new(STANDARD.decode(body).unwrap())).unwrap()
}

/// The bare server: this program again.
fn bare() -> (Child, Loaded) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.arg(BARE).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let machine = Machine { authorization: String::new(), resource: None };
    let token_endpoint = format!("http://127.0.0.1:{}/oauth/token", port.trim());
    let loaded = Loaded::new(child.id(), Endpoint { token_endpoint, machine, refresh: Vec::new() }, Vec::new());
    (child, loaded)
}

/// Our system, as `purser up` runs it; the cloud beside the orchestrator has nothing to do.
async fn up(purser: &Path, folder: &Path) -> (Child, Run, u32) {
    let log = File::create(folder.join("up.log")).unwrap();
    let mut command = Command::new(purser);
    command.args(["up", "--json", "--data"]).arg(folder.join("system")).env_remove("RUST_LOG");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let said = folder.join("system/run.json");
    let run: Run = processes::until("the system", PATIENCE, async || serde_json::from_str(&fs::read_to_string(&said).ok()?).ok()).await;
    let catalogue = format!("{}/v1/catalog", run.orchestrator.url);
    processes::until("the catalogue", PATIENCE, async || {
        let answer = browser::client().get(&catalogue).send().await.ok()?;
        answer.text().await.ok().filter(|text| text.contains("slipway")).map(drop)
    })
    .await;
    let below = processes::descendants(child.id());
    let serves = |it: &&processes::Process| it.command.contains("orchestrator.toml") && it.command.contains("serve");
    let pid = below.iter().filter(serves).map(|it| it.pid).max().expect("an orchestrator that serves");
    (child, run, pid)
}

/// What a process and its threads have used of the processors.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
    TICK * ticks
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { fs::copy(entry.path(), target).map(drop).unwrap() }
    }
}
