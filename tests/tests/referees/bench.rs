//! A running system and a folder in which the referees' scripts find their packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use purser_tests::binaries::{Binaries, missing, named};
use purser_tests::processes;
use purser_tests::system::System;
use serde::Deserialize;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(330);

pub struct Bench {
    pub system: System,
    pub folder: tempfile::TempDir,
    node: PathBuf,
    python: PathBuf,
}

/// What a flow of a referee came to.
#[derive(Debug, Deserialize)]
pub struct Flow {
    pub check: String,
    pub ok: bool,
    #[serde(default)]
    pub why: String,
}

impl Bench {
    /// The system and the scripts, or nothing, said loudly, when a peer is missing.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further words for `purser up`.
    pub async fn start_with(words: &[&str]) -> Option<Self> {
        let binaries = Binaries::find()?;
        let node = named("PURSER_NODE", || None)?;
        let modules = folder("PURSER_REFEREES")?;
        let python = folder("PURSER_PYTHONPATH")?;
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("referees"), folder.path());
        symlink(modules, folder.path().join("node_modules")).unwrap();
        let system = System::start_with(&binaries, &folder.path().join("system"), words).await;
        system.await_healthy().await;
        Some(Self { system, folder, node, python })
    }

    pub fn issuer(&self) -> &str {
        &self.system.run.orchestrator.url
    }

    /// Whether there is a Chromium; said loudly when there is none.
    pub fn has_browser(&self) -> bool {
        named("PURSER_CHROMIUM", || None).is_some()
    }

    /// Runs a script of ours on Node.
    pub async fn node(&self, script: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.node);
        command.arg(self.folder.path().join(script)).args(arguments);
        self.run(command, script).await
    }

    pub async fn python(&self, script: &str) -> String {
        let mut command = Command::new("python3");
        command.arg(self.folder.path().join(script)).env("PYTHONPATH", &self.python).env("NODE", &self.node);
        self.run(command, script).await
    }

    /// A command on Node whose output is wanted while it runs.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(self.folder.path().join(script)).current_dir(self.folder.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, mut command: Command, name: &str) -> String {
        let (system, shots) = (&self.system, Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages"));
        fs::create_dir_all(&shots).unwrap();
        command.env("ISSUER", self.issuer()).env("SLIPWAY", &system.run.cloud.provisioning).env("MAILBOX", &system.run.mail);
        command.env("PURSER", &system.binaries.purser).env("SHOTS", shots);
        command.envs(std::env::var_os("PURSER_CHROMIUM").map(|path| ("CHROMIUM", path)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let child = command.spawn().unwrap();
        let group = Group(child.id().unwrap());
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        drop(group);
        let output = ended.unwrap_or_else(|_| panic!("{name} never ended")).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        said
    }
}

/// A script that leads a group of processes: browsers and commands that it started do not outlive it.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        processes::end_all(self.0);
    }
}

/// The flows that a script reports, all of which must have gone well; there must be at least `least` of them.
pub fn all_well(report: &str, least: usize) {
    let flows: Vec<Flow> = report.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    let failed: Vec<String> = flows.iter().filter(|flow| !flow.ok).map(|flow| format!("{}: {}", flow.check, flow.why)).collect();
    assert!(failed.is_empty(), "{} of {} flows failed:\n{}", failed.len(), flows.len(), failed.join("\n"));
    assert!(flows.len() >= least, "only {} flows ran:\n{report}", flows.len());
}

fn folder(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_dir());
    if found.is_none() {
        missing(variable);
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            let _bytes = fs::copy(entry.path(), target).unwrap();
        }
    }
}
