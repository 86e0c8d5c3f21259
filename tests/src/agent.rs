//! An agent: the `purser` command, a home and a project folder; and, for attacks, its key and tokens in our own hands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_values::{Env, Secret, Sha256Digest};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::person::{Choice, Person};
use crate::processes::until;
use crate::system::System;

/// Longest that one command may take.
const COMMAND: Duration = Duration::from_secs(150);

/// What a command answered.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub exit: i32,
    pub json: Value,
    pub stdout: String,
    pub stderr: String,
}

impl Envelope {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.json["ok"] == true
    }

    #[must_use]
    pub fn data(&self) -> &Value {
        &self.json["data"]
    }

    #[must_use]
    pub fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }
}

/// What an agent asks its person for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub irreversible: bool,
    pub export: bool,
}

impl Ask {
    pub const ALL: Self = Self { irreversible: true, export: true };
}

/// A request with a proof of possession, as the agent's own client would send it, or nearly.
#[derive(Clone, Debug)]
pub struct Proof {
    pub key: SigningKey,
    /// Seconds that the proof's clock is ahead of ours.
    pub skew_s: i64,
    pub jti: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Agent {
    purser: PathBuf,
    pub home: PathBuf,
    pub site: PathBuf,
    pub url: String,
    pub project: String,
}

impl Agent {
    #[must_use]
    pub fn new(system: &System, home: &Path, project: &str) -> Self {
        Self::at(&system.binaries.purser, &system.run.orchestrator.url, home, project)
    }

    /// An agent of any orchestrator.
    #[must_use]
    pub fn at(purser: &Path, url: &str, home: &Path, project: &str) -> Self {
        let site = home.join("site");
        fs::create_dir_all(&site).unwrap();
        Self { purser: purser.to_owned(), home: home.to_owned(), site, url: url.to_owned(), project: project.to_owned() }
    }

    /// The command with nothing of ours in its environment but the agent's home.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.purser);
        command.args(arguments).current_dir(&self.site).env_clear();
        command.envs(["PATH", "TMPDIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("HOME", &self.home).env("PURSER_HOME", &self.home).env("PURSER_URL", &self.url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a command with `--json`; its one envelope.
    pub async fn run(&self, arguments: &[&str]) -> Envelope {
        self.run_with(arguments, &[]).await
    }

    pub async fn run_with(&self, arguments: &[&str], environment: &[(String, String)]) -> Envelope {
        let mut all = vec!["--json"];
        all.extend_from_slice(arguments);
        let mut command = self.command(&all);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        envelope(&arguments.join(" "), command).await
    }

    /// Runs a command that must succeed; its data.
    pub async fn must(&self, arguments: &[&str]) -> Value {
        let envelope = self.run(arguments).await;
        assert!(envelope.ok(), "`purser {}` failed: {}\n{}", arguments.join(" "), envelope.stdout, envelope.stderr);
        envelope.json["data"].clone()
    }

    /// Runs a command that must be refused; the code of the refusal.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        let envelope = self.run(arguments).await;
        assert!(!envelope.ok() && envelope.exit != 0, "`purser {}` was not refused: {}", arguments.join(" "), envelope.stdout);
        envelope.code().to_owned()
    }

    /// Asks for a grant and has the person give it.
    pub async fn login(&self, person: &mut Person, ask: Ask, choice: &Choice) -> Value {
        self.login_when(person, ask, choice, async || ()).await
    }

    /// As [`Self::login`]; the person waits for `ready` with the URL in hand.
    pub async fn login_when(&self, person: &mut Person, ask: Ask, choice: &Choice, ready: impl AsyncFnOnce()) -> Value {
        let invitation = self.home.join("login.json");
        let name = format!("{} agent", self.project);
        let mut arguments = vec!["--json", "login", "--name", &name, "--project", &self.project];
        arguments.extend(ask.irreversible.then_some("--irreversible"));
        arguments.extend(ask.export.then_some("--export"));
        let child = async {
            let envelope = envelope("login", self.command(&arguments)).await;
            assert!(envelope.ok(), "login failed: {}\n{}", envelope.stdout, envelope.stderr);
            envelope.json["data"].clone()
        };
        let accepting = async {
            let url = until("the URL for the person", Duration::from_secs(30), async || {
                let text = fs::read_to_string(&invitation).ok()?;
                let asked: Value = serde_json::from_str(&text).ok()?;
                asked["verification_uri_complete"].as_str().map(str::to_owned)
            })
            .await;
            ready().await;
            person.accept(&url, choice).await
        };
        // the child first: what it says when it fails is the reason why no URL came
        let (granted, _) = tokio::join!(biased; child, accepting);
        granted
    }

    /// A grant, a project, a plan and a token: what a deployment needs.
    pub async fn ready(&self, person: &mut Person, ask: Ask, choice: &Choice) {
        self.login(person, ask, choice).await;
        self.must(&["init", &self.project]).await;
        self.must(&["add", "slipway/workers:paid"]).await;
        self.must(&["add", "slipway/workers"]).await;
    }

    /// Signs a shell in as the person; the two variables of that shell.
    pub async fn person_shell(&self, person: &mut Person) -> Vec<(String, String)> {
        use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
        let mut child = self.command(&["login", "--person"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("`login --person` names a URL");
            if let Some(url) = line.split_whitespace().find(|word| word.starts_with("http")) {
                break url.to_owned();
            }
        };
        person.accept(&url, &Choice::USUAL).await;
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        assert!(child.wait().await.unwrap().success(), "`login --person` failed");
        let exports = text.split(';').filter_map(|part| part.trim().strip_prefix("export ")?.split_once('='));
        exports.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[must_use]
    pub fn session(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.home.join("session.json")).unwrap()).unwrap()
    }

    #[must_use]
    pub fn id(&self) -> String {
        self.session()["agent_id"].as_str().unwrap().to_owned()
    }

    #[must_use]
    pub fn access_token(&self) -> String {
        self.session()["access_token"].as_str().unwrap().to_owned()
    }

    /// The agent's own proof.
    #[must_use]
    pub fn proof(&self) -> Proof {
        let pem = fs::read_to_string(self.home.join("agent.key")).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = SigningKey::from_pkcs8(Algorithm::EdDsa, &Secret::new(STANDARD.decode(body).unwrap())).unwrap();
        Proof { key, skew_s: 0, jti: None }
    }

    /// Calls the API as the agent would.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>, key: Option<&str>) -> (u16, Value) {
        self.call_with(&self.proof(), method, path, body, key).await
    }

    /// Calls the API with the agent's token and a proof of our making.
    pub async fn call_with(&self, proof: &Proof, method: &str, path: &str, body: Option<&Value>, key: Option<&str>) -> (u16, Value) {
        let token = self.access_token();
        let target = format!("{}{}", self.url, path.split('?').next().unwrap_or_default());
        let now = Env::system().now().as_secs();
        let claims = json!({
            "jti": proof.jti.clone().unwrap_or_else(|| b64url(&Env::system().bytes::<16>())), "htm": method, "htu": target,
            "iat": now + proof.skew_s, "ath": b64url(Sha256Digest::of(token.as_bytes()).as_bytes()),
        });
        let proof = proof.key.sign_with_jwk("dpop+jwt", &claims).unwrap();
        let mut request = crate::browser::client().request(method.parse().unwrap(), format!("{}{path}", self.url));
        request = request.header("authorization", format!("DPoP {token}")).header("dpop", proof);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }
}

async fn envelope(name: &str, mut command: Command) -> Envelope {
    let ended = tokio::time::timeout(COMMAND, command.output()).await.unwrap_or_else(|_| panic!("`purser {name}` hangs")).unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout).into_owned(), String::from_utf8_lossy(&ended.stderr).into_owned());
    let json =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("`purser {name}` printed no envelope ({error}): {stdout}\n{stderr}"));
    Envelope { exit: ended.status.code().unwrap_or(-1), json, stdout, stderr }
}
