//! `purser up` on a folder of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::binaries::Binaries;
use crate::processes::{self, Process, descendants, until};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

/// What `run.json` says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Run {
    pub orchestrator: Orchestrator,
    pub cloud: Cloud,
    pub ca: PathBuf,
    pub mail: PathBuf,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Orchestrator {
    pub url: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Cloud {
    pub api: String,
    pub provisioning: String,
    pub edge_https: String,
    pub edge_http: String,
    pub dns: String,
}

/// One of the two halves that the supervisor keeps alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Orchestrator,
    Cloud,
}

/// A running system; it is stopped when this is dropped.
#[derive(Debug)]
pub struct System {
    child: Child,
    pub dir: PathBuf,
    pub run: Run,
    pub binaries: Binaries,
}

impl System {
    /// Starts the system and waits until it says where it answers.
    pub async fn start(binaries: &Binaries, dir: &Path) -> Self {
        Self::start_with(binaries, dir, &[]).await
    }

    /// The same with further words for `purser up`.
    pub async fn start_with(binaries: &Binaries, dir: &Path, words: &[&str]) -> Self {
        let _ = fs::remove_file(dir.join("run.json")); // an old one would be taken for the new system's
        fs::create_dir_all(dir).unwrap();
        let log = File::options().create(true).append(true).open(dir.join("up.log")).unwrap();
        let mut command = Command::new(&binaries.purser);
        command.arg("up").arg("--data").arg(dir).arg("--json").args(words);
        command.env("SLIPWAY_BIN", &binaries.slipway).env("PURSER_WORKERD", &binaries.workerd).env_remove("PURSER_BIN");
        // more than what is shown by default, so that a secret in a rarely read line is found too
        command.env("RUST_LOG", "debug").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let file = dir.join("run.json");
        let run = until("run.json", START, async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("`purser up` ended with {status}:\n{}", fs::read_to_string(dir.join("up.log")).unwrap_or_default());
            }
            fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok())
        })
        .await;
        Self { child, dir: dir.to_owned(), run, binaries: binaries.clone() }
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that runs below the supervisor.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        descendants(self.pid())
    }

    /// The process of a half, if it runs.
    #[must_use]
    pub fn half(&self, half: Half) -> Option<Process> {
        let file = match half {
            Half::Orchestrator => "orchestrator.toml",
            Half::Cloud => "slipway.toml",
        };
        self.processes()
            .into_iter()
            .find(|p| p.command.contains(" serve ") && p.command.contains(file) && !p.command.contains("supervised"))
    }

    /// `kill -9` of one half, if it runs. The supervisor starts it again.
    pub fn kill(&self, half: Half) -> bool {
        let found = self.half(half);
        if let Some(process) = &found {
            processes::signal(process.pid, "KILL");
        }
        found.is_some()
    }

    pub fn signal(&self, half: Half, name: &str) {
        processes::signal(self.half(half).expect("the half runs").pid, name);
    }

    /// Waits until both halves answer.
    pub async fn await_healthy(&self) {
        let client = crate::browser::client();
        for base in [&self.run.orchestrator.url, self.run.cloud.provisioning.trim_end_matches('/')] {
            let url = format!("{base}/health");
            until(&url, START, async || client.get(&url).send().await.ok().filter(|answer| answer.status().is_success())).await;
        }
    }

    /// `kill -9` of the supervisor itself; answers what ran below it, and does not wait for that.
    pub fn kill_all(mut self) -> Vec<Process> {
        let below = self.processes();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        below
    }

    /// Everything that the system has written as a log.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = fs::read_to_string(self.dir.join("up.log")).unwrap_or_default();
        for (_, bytes) in processes::files_below(&self.dir.join("logs")) {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        text
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        processes::signal(self.child.id(), "TERM");
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
