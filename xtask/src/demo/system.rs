//! The running system of a demo: `purser up` on its own data folder, stopped on drop and by the kernel if we die.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::fail::{Context, Failure, Outcome};
use crate::process;

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// What `run.json` says; other fields are for others.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    pub pid: u32,
    pub orchestrator: Orchestrator,
    pub cloud: Cloud,
    pub ca: PathBuf,
    pub mail: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Orchestrator {
    pub url: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Cloud {
    pub edge_https: String,
    pub edge_http: String,
    pub dns: String,
}

/// What a system is started from.
#[derive(Debug, Clone)]
pub struct Parts {
    pub purser: PathBuf,
    pub slipway: PathBuf,
    pub workerd: PathBuf,
    pub port_base: Option<u16>,
}

#[derive(Debug)]
pub struct System {
    child: Child,
    pub run: Run,
    pub run_file: PathBuf,
}

impl System {
    pub fn start(parts: &Parts, data: &Path) -> Outcome<Self> {
        let run_file = data.join("run.json");
        // an old file would be taken for the new system's
        let _ = fs::remove_file(&run_file);
        let log_file = data.join("up.log");
        let log = File::create(&log_file).context(|| format!("creating `{}`", log_file.display()))?;
        let errors = log.try_clone().context(|| "opening the log".to_owned())?;
        let mut command = process::bound(&parts.purser, "TERM");
        command.args(["up", "--data"]).arg(data).env("SLIPWAY_BIN", &parts.slipway).env("PURSER_WORKERD", &parts.workerd);
        if let Some(port) = parts.port_base {
            command.args(["--port-base", &port.to_string()]);
        }
        // its own process group: Ctrl-C reaches us, and we stop it in order
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context(|| "starting `purser up`".to_owned())?;
        let mut starting = Starting(Some(child));
        let run = starting.await_run(&run_file).map_err(|why| {
            let said = fs::read_to_string(&log_file).unwrap_or_default();
            Failure::new(format!("`purser up` {why}\n{}", process::tail(&said)))
                .advise(format!("the logs are in `{}`", data.join("logs").display()))
        })?;
        match starting.0.take() {
            Some(child) => Ok(Self { child, run, run_file }),
            None => Err(Failure::new("`purser up` was lost")),
        }
    }

    /// Waits until the system ends by itself.
    pub fn wait(&mut self) -> Outcome<()> {
        self.child.wait().map(drop).context(|| "waiting for `purser up`".to_owned())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        process::stop(&mut self.child, "TERM", STOP_DEADLINE);
    }
}

/// A system that is not up yet; stopped if it never gets there.
struct Starting(Option<Child>);

impl Starting {
    fn await_run(&mut self, run_file: &Path) -> Result<Run, String> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if let Ok(text) = fs::read_to_string(run_file) {
                return serde_json::from_str(&text).map_err(|error| format!("wrote a run.json that cannot be read: {error}"));
            }
            if let Some(Ok(Some(status))) = self.0.as_mut().map(Child::try_wait) {
                return Err(format!("ended with {status}"));
            }
            std::thread::sleep(POLL);
        }
        Err("did not come up in time".to_owned())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            process::stop(child, "TERM", STOP_DEADLINE);
        }
    }
}
