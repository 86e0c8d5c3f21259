//! Starting other programs: quiet ones, whose output is shown only when they fail, and loud ones.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fail::{Context, Failure, Outcome};

const SHOWN_LINES: usize = 40;
const POLL: Duration = Duration::from_millis(10);

/// Cargo, without the variables that `cargo run` left in our environment: they would make build scripts run again.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_BIN_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs to the end with output on our standard error; standard output stays free for the answer.
pub fn loud(command: &mut Command, doing: &str) -> Outcome<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::from(io::stderr())).status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{doing}: `{}` ended with {status}", name(command)))) }
}

/// Runs to the end and gives standard output; both outputs are shown when it fails.
pub fn capture(command: &mut Command, doing: &str) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).context(|| format!("{doing}: reading what `{}` printed", name(command)));
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Err(Failure::new(format!("{doing}: `{}` ended with {}\n{}", name(command), output.status, tail(&said))))
}

/// The last lines of a long text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// A program on the search path.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("`{}` could not be started: {error}", command.get_program().to_string_lossy()));
    if error.kind() == io::ErrorKind::NotFound { failure.advise("install it, or put it on PATH") } else { failure }
}

/// A program whose life is bound to ours where the machine can do that: the kernel sends it `signal` when we die.
pub fn bound(program: &Path, signal: &str) -> Command {
    match on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", signal]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Asks a program to end, and insists when it has not done so by the deadline.
pub fn stop(child: &mut Child, signal: &str, deadline: Duration) {
    let _ = Command::new("kill").args(["-s", signal, &child.id().to_string()]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    let deadline = Instant::now() + deadline;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
