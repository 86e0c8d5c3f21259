//! One half: its process, its log, and when it may be started again.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child as Process, Command};

use super::UpError;
use super::leave::Leave;
use crate::files::io_error;

/// How long a half may take to stop in order.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// A half that lived this long died of something new: the pauses begin again.
const LIVED_WELL: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A log larger than this is put aside at the start, in bytes.
const LOG_BYTES: u64 = 16 * 1024 * 1024;
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 12;
/// All of the environment that a half gets. Above all, no token of the person who started us.
const PASSED_ON: &[&str] = &["PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "TZ", "RUST_LOG", "RUST_BACKTRACE"];

pub(super) struct Child {
    pub name: &'static str,
    pub port: u16,
    purser: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    leave: Option<Leave>,
    log: PathBuf,
    /// Where this start's lines begin in the log.
    log_from: u64,
    state: State,
    pause: Duration,
}

enum State {
    Running {
        process: Process,
        since: Instant,
    },
    /// Not before this moment.
    Resting(Instant),
}

impl Child {
    pub fn new(name: &'static str, port: u16, purser: &Path, program: &Path, arguments: Vec<String>, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        let (purser, program) = (purser.to_owned(), program.to_owned());
        Self {
            name,
            port,
            purser,
            program,
            arguments,
            leave: None,
            log,
            log_from: 0,
            state: State::Resting(Instant::now()),
            pause: FIRST_PAUSE,
        }
    }

    pub fn with(self, leave: Option<Leave>) -> Self {
        Self { leave, ..self }
    }

    /// INVARIANT (dies-with-parent): must be called on the main thread, which lives as long as the process.
    pub fn start(&mut self) -> Result<(), UpError> {
        let log = self.open_log()?;
        let failed = |cause| UpError::Start { name: self.name, cause };
        let errors = log.try_clone().map_err(failed)?;
        self.log_from = log.metadata().map_err(failed)?.len();
        let input = match &self.leave {
            Some(leave) => leave.pipe().map_err(failed)?.into(),
            None => Stdio::null(),
        };
        let mut command = Command::new(&self.purser);
        command.arg("supervised").arg("--parent").arg(std::process::id().to_string()).arg("--").arg(&self.program).args(&self.arguments);
        command.env_clear().envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // its own process group: Ctrl-C reaches the supervisor alone, which then stops its children in order
        command.process_group(0).stdin(input).stdout(log).stderr(errors).kill_on_drop(true);
        let process = command.spawn().map_err(failed)?;
        self.state = State::Running { process, since: Instant::now() };
        Ok(())
    }

    fn open_log(&self) -> Result<File, UpError> {
        if std::fs::metadata(&self.log).is_ok_and(|found| found.len() > LOG_BYTES) {
            std::fs::rename(&self.log, self.log.with_extension("log.1")).map_err(io_error(&self.log, "put aside"))?;
        }
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.log);
        Ok(opened.map_err(io_error(&self.log, "opened"))?)
    }

    /// Waits until the process ends, or until one that ended may be started again; says how it ended.
    pub async fn change(&mut self) -> Option<String> {
        match &mut self.state {
            State::Running { process, since } => {
                let ended = process.wait().await;
                let how = ended.map_or_else(|e| e.to_string(), |status| status.to_string());
                if since.elapsed() > LIVED_WELL {
                    self.pause = FIRST_PAUSE;
                }
                self.state = State::Resting(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Some(how)
            }
            State::Resting(until) => {
                tokio::time::sleep_until((*until).into()).await;
                None
            }
        }
    }

    /// SIGTERM, time to finish, SIGKILL.
    pub async fn stop(&mut self) {
        let State::Running { process, .. } = &mut self.state else { return };
        if let Some(pid) = process.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM); // it may have ended already
        }
        if tokio::time::timeout(STOP_WAIT, process.wait()).await.is_err() {
            let _ = process.kill().await;
        }
        self.state = State::Resting(Instant::now());
    }

    /// The last lines of the log since it was started.
    pub fn tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES).max(self.log_from)))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}
