//! One orchestrator as a process, with a configuration that lets nobody in who was not invited.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use purser_tests::binaries::named;
use purser_tests::{Person, browser, processes};
use serde_json::Value;

pub struct Installation {
    serve: Child,
    pub folder: PathBuf,
    pub url: String,
    pub metrics: String,
    purser: PathBuf,
    _parent: Option<tempfile::TempDir>,
}

impl Installation {
    pub async fn start() -> Option<Self> {
        let purser = named("PURSER_BIN", built)?;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("one");
        configure(&folder, free_port(), free_port());
        let mut started = Self::serve(purser, folder).await;
        started._parent = Some(parent);
        Some(started)
    }

    /// Serves what a folder holds.
    pub async fn serve(purser: PathBuf, folder: PathBuf) -> Self {
        let config = fs::read_to_string(folder.join("orchestrator.toml")).unwrap();
        let value = |key: &str| {
            let line = config.lines().find(|line| line.starts_with(&format!("{key} ="))).unwrap();
            line.split('"').nth(1).unwrap().to_owned()
        };
        let (url, metrics) = (value("public_url"), format!("http://{}", value("metrics_listen")));
        let serve = spawn(&purser, &folder);
        let installation = Self { serve, folder, url, metrics, purser, _parent: None };
        installation.await_ready().await;
        installation
    }

    pub fn purser(&self) -> PathBuf {
        self.purser.clone()
    }

    pub fn config(&self) -> String {
        self.folder.join("orchestrator.toml").display().to_string()
    }

    pub fn person(&self, name: &str) -> Person {
        Person::at(&self.url, &self.folder.join("mail"), name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("serve.log")).unwrap_or_default()
    }

    /// Runs a command of the operator; its envelope and its exit code.
    pub fn run(&self, arguments: &[&str]) -> (i32, Value) {
        run(&self.purser, arguments)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        get(&format!("{}{path}", self.url)).await
    }

    /// Asks the process to stop and waits until it has.
    pub fn stop(&mut self) {
        processes::signal(self.serve.id(), "TERM");
        assert!(self.serve.wait().unwrap().success(), "it did not stop well: {}", self.log());
    }

    pub fn signal(&self, signal: &str) {
        processes::signal(self.serve.id(), signal);
    }

    pub fn wait(&mut self) {
        self.serve.wait().unwrap();
    }

    /// Starts it where it cannot run, and waits until it has said so.
    pub fn try_again(&mut self) {
        self.serve = spawn(&self.purser, &self.folder);
        assert!(!self.serve.wait().unwrap().success(), "it started: {}", self.log());
    }

    pub async fn start_again(&mut self) {
        self.serve = spawn(&self.purser, &self.folder);
        self.await_ready().await;
    }

    async fn await_ready(&self) {
        processes::until("the orchestrator", Duration::from_secs(60), async || (self.get("/readyz").await.0 == 200).then_some(())).await;
    }

    /// The owner, who came by the link that the start printed.
    pub async fn owner(&self, name: &str) -> Person {
        let link = self.first_owner_link();
        let mut ada = self.person(name);
        let page = ada.browser.open(&link).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let on = page.body.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
        let page = ada.open(&on).await;
        assert!(page.path.starts_with("/organisation"), "{} {}", page.path, page.text());
        ada
    }

    pub fn first_owner_link(&self) -> String {
        let log = self.log();
        let mut objects = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = objects.rfind(|object| object["works_until"].is_string()).unwrap_or_else(|| panic!("no link in {log}"));
        path_of(found["url"].as_str().unwrap(), &self.url)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}

pub fn path_of(url: &str, origin: &str) -> String {
    url.strip_prefix(origin).unwrap_or_else(|| panic!("`{url}` leads elsewhere")).to_owned()
}

/// A request that may find nobody listening.
pub async fn get(url: &str) -> (u16, Value) {
    match browser::client().get(url).send().await {
        Ok(answer) => (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or_default()),
        Err(_) => (0, Value::Null),
    }
}

pub fn run(purser: &Path, arguments: &[&str]) -> (i32, Value) {
    let Output { status, stdout, stderr } = Command::new(purser).arg("--json").args(arguments).stdin(Stdio::null()).output().unwrap();
    let envelope = serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("no envelope: {}", String::from_utf8_lossy(&stderr)));
    (status.code().unwrap(), envelope)
}

/// Writes a configuration for a folder that need not exist yet.
pub fn configure(folder: &Path, port: u16, metrics: u16) {
    configure_on(folder, port, metrics, &format!("sqlite:{}/data/purser.db", folder.display()));
}

/// The same on another database.
pub fn configure_on(folder: &Path, port: u16, metrics: u16, database: &str) {
    fs::create_dir_all(folder.join("mail")).unwrap();
    let at = folder.display();
    let config = format!(
        "profile = \"sandbox\"\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://localhost:{port}\"\ndatabase = \"{database}\"\n\
         data = \"{at}/data\"\nkeys = \"{at}/keys\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\nlog = \"json\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
         drain_notice_s = 1\n[mail]\nfolder = \"{at}/mail\"\n[sandbox]\nrail = true\n"
    );
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::write(folder.join("orchestrator.toml"), config).unwrap();
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn spawn(purser: &Path, folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("serve.log")).unwrap();
    let mut command = Command::new(purser);
    command.args(["serve", "--config"]).arg(folder.join("orchestrator.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

pub fn built() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().skip(1).map(|above| above.join("purser")).find(|path| path.is_file())
}
