//! The orchestrator alone, `purser serve` on a configuration of our own, with a provider that we can spoil while it runs.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use purser_http::{Fetcher, Origin};
use purser_provider::{AccountCall, AccountOpen, AccountOutcome, Answer, Call, Config, MemoryStore, OrchestratorKeys, Provider, router};
use purser_tests::binaries::Binaries;
use purser_tests::{Agent, Person, processes};
use purser_values::{Env, Sha256Digest};
use purser_wire::catalog::Service;
use purser_wire::id::ResourceId;
use purser_wire::manifest::Manifest;
use purser_wire::resource::{CreateResource, ResourceEnvelope};
use serde_json::json;
use url::Url;

use crate::market::Market;
use crate::tiny::Tiny;

/// What a test's processor knows us by.
pub const STRIPE_KEY: &str = "sk_test_purser";
pub const STRIPE_WEBHOOK_SECRET: &str = "whsec_of-a-stripe-that-is-none";
pub const SECRET: &str = "whsec_of-the-fickle-provider";
const TERMS: &[u8] = b"no promises";

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Good,
    Html,
    WrongShape,
    Huge,
    Redirects,
    Fails,
    Silent,
}

/// The tiny provider, with terms that can be accepted.
struct Fickle(Tiny, Url);

impl Provider for Fickle {
    fn manifest(&self) -> Manifest {
        let mut manifest = self.0.manifest();
        let document = json!([{"id": "tos", "title": "Terms", "url": self.1.join("terms").unwrap(), "version": "1", "sha256": Sha256Digest::of(TERMS)}]);
        manifest.terms = serde_json::from_value(document).unwrap();
        manifest
    }

    async fn services(&self) -> Answer<Vec<Service>> {
        self.0.services().await
    }

    async fn account_open(&self, call: &Call, open: AccountOpen) -> Answer<AccountOutcome> {
        self.0.account_open(call, open).await
    }

    async fn resource_create(&self, call: &AccountCall, request: CreateResource) -> Answer<ResourceEnvelope> {
        self.0.resource_create(call, request).await
    }

    async fn resource_get(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.0.resource_get(call, id).await
    }

    async fn resource_remove(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.0.resource_remove(call, id).await
    }

    async fn resource_rotate(&self, call: &AccountCall, id: &ResourceId) -> Answer<ResourceEnvelope> {
        self.0.resource_rotate(call, id).await
    }
}

async fn moody(mood: Arc<Mutex<Mood>>, request: Request, next: Next) -> Response {
    let now = *mood.lock().unwrap();
    let json = [(header::CONTENT_TYPE, "application/json")];
    match now {
        Mood::Good => next.run(request).await,
        Mood::Html => "<html>it works!</html>".into_response(),
        Mood::WrongShape => (json, r#"{"status":"complete","id":7,"complete":[]}"#).into_response(),
        Mood::Huge => (json, format!(r#"{{"status":"{}"}}"#, "x".repeat(16 << 20))).into_response(),
        Mood::Redirects => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://169.254.169.254/latest")]).into_response(),
        Mood::Fails => (StatusCode::INTERNAL_SERVER_ERROR, "boom").into_response(),
        Mood::Silent => std::future::pending().await,
    }
}

/// What the providers know the orchestrator by.
#[derive(Clone, Copy)]
enum Known {
    Secret,
    Document,
}

/// A running orchestrator and its provider.
pub struct Alone {
    serve: Child,
    folder: tempfile::TempDir,
    purser: PathBuf,
    pub url: String,
    mood: Arc<Mutex<Mood>>,
    /// Runs the server with a small disk of its own for its data.
    small_disk: bool,
}

impl Alone {
    pub async fn start(small_disk: bool) -> Option<Self> {
        let mood = Arc::new(Mutex::new(Mood::Good));
        let spoiled = mood.clone();
        Self::with(small_disk, mood, async |orchestrator| vec![("tiny", provider(orchestrator, spoiled).await)]).await
    }

    /// The orchestrator with these markets as its providers, once it has read what they offer.
    pub async fn among(names: &[&'static str], access_life_s: i64) -> Option<(Self, Vec<Arc<Market>>)> {
        Self::among_paid_through(names, access_life_s, SANDBOX_RAIL).await
    }

    /// The same with another rail: what the configuration says of it, where `{at}` is the folder.
    pub async fn among_paid_through(names: &[&'static str], access_life_s: i64, rail: &str) -> Option<(Self, Vec<Arc<Market>>)> {
        let mut markets = Vec::new();
        let alone = Self::with_rail(false, Arc::new(Mutex::new(Mood::Good)), rail, Known::Secret, async |orchestrator| {
            for name in names {
                markets.push(Market::start(name, orchestrator, access_life_s).await);
            }
            markets.iter().map(|market| (market.name, market.address)).collect()
        })
        .await?;
        let agent = alone.agent("nobody");
        processes::until("the catalogue", Duration::from_secs(20), async || {
            let listed = agent.run(&["catalog"]).await.stdout;
            names.iter().all(|name| listed.contains(&format!("{name}/gold"))).then_some(())
        })
        .await;
        Some((alone, markets))
    }

    /// The orchestrator with any providers, each by name and address.
    pub async fn with_providers(providers: impl AsyncFnOnce(&Url) -> Vec<(&'static str, SocketAddr)>) -> Option<Self> {
        Self::with(false, Arc::new(Mutex::new(Mood::Good)), providers).await
    }

    /// The same with providers that share no secret with it: they know it by its document.
    pub async fn with_strangers(providers: impl AsyncFnOnce(&Url) -> Vec<(&'static str, SocketAddr)>) -> Option<Self> {
        Self::with_rail(false, Arc::new(Mutex::new(Mood::Good)), SANDBOX_RAIL, Known::Document, providers).await
    }

    /// The orchestrator with whatever providers the caller starts for it.
    pub async fn with(
        small_disk: bool,
        mood: Arc<Mutex<Mood>>,
        providers: impl AsyncFnOnce(&Url) -> Vec<(&'static str, SocketAddr)>,
    ) -> Option<Self> {
        Self::with_rail(small_disk, mood, SANDBOX_RAIL, Known::Secret, providers).await
    }

    async fn with_rail(
        small_disk: bool,
        mood: Arc<Mutex<Mood>>,
        rail: &str,
        known: Known,
        providers: impl AsyncFnOnce(&Url) -> Vec<(&'static str, SocketAddr)>,
    ) -> Option<Self> {
        let binaries = Binaries::find()?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let url = format!("http://localhost:{port}");
        let providers = providers(&Url::parse(&url).unwrap()).await;
        write_config(folder.path(), port, rail, known, &providers);
        let serve = spawn(&binaries.purser, folder.path(), small_disk);
        let alone = Self { serve, folder, purser: binaries.purser, url, mood, small_disk };
        alone.await_healthy().await;
        Some(alone)
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn pid(&self) -> u32 {
        self.serve.id()
    }

    /// The folder with the database, as the server sees it.
    pub fn data(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        if self.small_disk { PathBuf::from(format!("/proc/{}/root{}", self.pid(), data.display())) } else { data }
    }

    /// A copy of the database and the audit checkpoints as they are at one moment, for looking into.
    pub fn copy(&self, to: &Path) {
        // whoever still closes the copy before this one keeps its own files
        fs::remove_dir_all(to).unwrap();
        fs::create_dir_all(to).unwrap();
        processes::signal(self.pid(), "STOP");
        for (path, bytes) in processes::files_below(&self.data()) {
            let name = path.strip_prefix(self.data()).unwrap();
            // the index of the log belongs to the running process; a reader makes its own
            if name.extension().is_none_or(|it| it != "db-shm") && (name.starts_with("audit") || name.parent() == Some(Path::new(""))) {
                fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
                fs::write(to.join(name), bytes).unwrap();
            }
        }
        processes::signal(self.pid(), "CONT");
    }

    pub fn person(&self, name: &str) -> Person {
        Person::at(&self.url, &self.folder.path().join("mail"), name)
    }

    pub fn agent(&self, name: &str) -> Agent {
        Agent::at(&self.purser, &self.url, &self.folder.path().join(format!("agent-{name}")), name)
    }

    /// `kill -9`, and a new start on the same data.
    pub async fn restart(&mut self) {
        self.serve.kill().unwrap();
        self.serve.wait().unwrap();
        self.serve = spawn(&self.purser, self.folder.path(), self.small_disk);
        self.await_healthy().await;
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default()
    }

    async fn await_healthy(&self) {
        let (client, url) = (purser_tests::browser::client(), format!("{}/health", self.url));
        processes::until("the orchestrator", Duration::from_secs(30), async || {
            client.get(&url).send().await.ok().filter(|a| a.status().is_success())
        })
        .await;
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}

async fn provider(orchestrator: &Url, mood: Arc<Mutex<Mood>>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let base_url = Url::parse(&format!("http://{address}/")).unwrap();
    let mut config = Config::in_memory(Env::system(), SECRET.to_owned().into()).unwrap();
    let fetcher = Fetcher::new(vec![Origin::of(orchestrator).unwrap()]).unwrap();
    config.orchestrator = Some(OrchestratorKeys::fetched(fetcher, orchestrator).unwrap());
    let fickle = Fickle(Tiny::new(base_url.clone()), base_url);
    let routes = router(Arc::new(fickle), Arc::new(MemoryStore::default()), config).route("/terms", axum::routing::get(|| async { TERMS }));
    let routes = routes.layer(from_fn(move |request, next| moody(mood.clone(), request, next)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// What pays unless a test says otherwise.
const SANDBOX_RAIL: &str = "[sandbox]\nrail = true\nopen_sign_up = true\nexport_permission = true\n";

fn write_config(folder: &Path, port: u16, rail: &str, known: Known, providers: &[(&str, SocketAddr)]) {
    for (name, secret) in [("secret", SECRET), ("stripe_key", STRIPE_KEY), ("stripe_whsec", STRIPE_WEBHOOK_SECRET)] {
        let file = folder.join(name);
        fs::write(&file, secret).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    for sub in ["data", "mail"] {
        fs::create_dir(folder.join(sub)).unwrap();
    }
    let at = folder.display();
    let allowed = providers.iter().map(|(_, address)| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
    let mut config = format!(
        "profile = \"sandbox\"\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://localhost:{port}\"\ndatabase = \"sqlite:{at}/data/purser.db\"\n\
         data = \"{at}/data\"\nkeys = \"{at}/keys\"\nfetch_allow = [{allowed}]\n[mail]\nfolder = \"{at}/mail\"\n{}",
        rail.replace("{at}", &at.to_string())
    );
    for (name, address) in providers {
        let identity = match known {
            Known::Secret => format!("signing_secret_file = \"{at}/secret\""),
            Known::Document => "client_document = true".to_owned(),
        };
        config.push_str(&format!("[[providers]]\nname = \"{name}\"\nurl = \"http://{address}/\"\n{identity}\n"));
    }
    fs::write(folder.join("orchestrator.toml"), config).unwrap();
}

fn spawn(purser: &Path, folder: &Path, small_disk: bool) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("serve.log")).unwrap();
    let mut command = if small_disk {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=24m tmpfs \"$1\" && exec \"$2\" serve --config \"$3\"";
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder.join("data")).arg(purser);
        command
    } else {
        let mut command = Command::new(purser);
        command.args(["serve", "--config"]);
        command
    };
    command.arg(folder.join("orchestrator.toml")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}
