//! The agent of the story: it only has the `purser` command, a home of its own, and a project folder.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::fail::{Context, Failure, Outcome};
use crate::process;

const LOGIN_DEADLINE: Duration = Duration::from_secs(20);
const COMMAND_DEADLINE: &str = "120";
const POLL: Duration = Duration::from_millis(2);

#[derive(Debug, Clone)]
pub struct Agent {
    purser: PathBuf,
    home: PathBuf,
    site: PathBuf,
    orchestrator: String,
}

/// What `purser login` leaves in the agent's home while it waits for the person.
#[derive(Debug, Clone, Deserialize)]
pub struct Invitation {
    pub verification_uri_complete: String,
    pub user_code: String,
}

/// A login that waits for the person.
#[derive(Debug)]
pub struct Login {
    child: Child,
    pub invitation: Invitation,
    output: PathBuf,
    errors: PathBuf,
}

impl Agent {
    pub fn create(purser: &Path, home: &Path, orchestrator: &str) -> Outcome<Self> {
        let site = home.join("site");
        fs::create_dir_all(&site).context(|| format!("creating `{}`", site.display()))?;
        fs::set_permissions(home, Permissions::from_mode(0o700)).context(|| format!("closing `{}` to others", home.display()))?;
        Ok(Self { purser: purser.to_path_buf(), home: home.to_path_buf(), site, orchestrator: orchestrator.to_owned() })
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn site(&self) -> &Path {
        &self.site
    }

    /// Asks for access; the answer is one URL for the person.
    pub fn login(&self, arguments: &[&str]) -> Outcome<Login> {
        let invitation_file = self.home.join("login.json");
        let _ = fs::remove_file(&invitation_file);
        let (output, errors) = (self.home.join("login.out"), self.home.join("login.err"));
        let open = |path: &Path| File::create(path).context(|| format!("creating `{}`", path.display()));
        let mut command = self.command(process::bound(&self.purser, "TERM"));
        command.arg("login").args(arguments).arg("--json").stdout(open(&output)?).stderr(open(&errors)?);
        let mut child = command.spawn().context(|| "starting `purser login`".to_owned())?;
        let deadline = Instant::now() + LOGIN_DEADLINE;
        while Instant::now() < deadline {
            if let Some(invitation) = fs::read_to_string(&invitation_file).ok().and_then(|text| serde_json::from_str(&text).ok()) {
                return Ok(Login { child, invitation, output, errors });
            }
            if matches!(child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(POLL);
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(Failure::new(format!("`purser login` got no URL for the person\n{}", said(&output, &errors))))
    }

    /// Runs one command and gives the `data` of its envelope.
    pub fn run(&self, arguments: &[&str]) -> Outcome<Value> {
        let mut command = match process::on_path("timeout") {
            // a command that hangs must not hang the demo
            Some(timeout) => {
                let mut command = Command::new(timeout);
                command.args(["-k", "5", COMMAND_DEADLINE]).arg(&self.purser);
                command
            }
            None => Command::new(&self.purser),
        };
        command = self.command(command);
        let output = command.args(arguments).arg("--json").output().context(|| "starting `purser`".to_owned())?;
        let name = arguments.join(" ");
        data(&name, &String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr))
    }

    fn command(&self, mut command: Command) -> Command {
        command.env("PURSER_HOME", &self.home).env("PURSER_URL", &self.orchestrator).current_dir(&self.site).stdin(Stdio::null());
        command
    }
}

impl Login {
    /// True once the command has ended, whatever its answer.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the grant.
    pub fn finish(mut self) -> Outcome<Value> {
        self.child.wait().context(|| "waiting for `purser login`".to_owned())?;
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        data("login", &read(&self.output), &read(&self.errors))
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The data of an envelope that says yes; anything else is a failure in the words of the command.
fn data(command: &str, output: &str, errors: &str) -> Outcome<Value> {
    let refused = |why: &str| Failure::new(format!("`purser {command}` {why}\n{}\n{}", process::tail(output), process::tail(errors)));
    let mut envelope: Value = serde_json::from_str(output).map_err(|error| refused(&format!("printed no envelope: {error}")))?;
    if envelope.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(envelope.get_mut("data").map(Value::take).unwrap_or_default());
    }
    let part = |name: &str| envelope.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let failure = refused(&format!("was refused: {} ({})", part("message"), part("code")));
    let hint = part("hint");
    Err(if hint.is_empty() { failure } else { failure.advise(hint) })
}

fn said(output: &Path, errors: &Path) -> String {
    [output, errors].map(|file| fs::read_to_string(file).unwrap_or_default()).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_command() {
        let output = r#"{"ok":false,"error":{"code":"cap_reached","message":"the cap is reached","hint":"ask Ada"}}"#;
        let told = data("add x", output, "").unwrap_err().to_string();
        assert!(told.contains("the cap is reached (cap_reached)") && told.contains("what to do: ask Ada"), "{told}");
        assert!(data("add x", "", "boom").unwrap_err().to_string().contains("boom"));
        assert_eq!(data("add x", r#"{"ok":true,"data":{"a":1}}"#, "").unwrap(), serde_json::json!({"a": 1}));
    }
}
