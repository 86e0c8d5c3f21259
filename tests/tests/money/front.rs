//! localstripe as it ships, with a strict front before it, and the processor's own client beside both.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use purser_tests::binaries::{missing, named};
use purser_tests::processes::{self, until};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// The processor. All of it ends with the test.
pub struct Front {
    pub url: String,
    localstripe: String,
    folder: tempfile::TempDir,
    node: PathBuf,
    http: reqwest::Client,
    _children: Vec<tokio::process::Child>,
}

impl Front {
    /// Starts it; nothing, said loudly, when a peer is missing.
    pub async fn start() -> Option<Self> {
        let node = named("PURSER_NODE", || None)?;
        let (python, sdk) = (packages("PURSER_LOCALSTRIPE")?, packages("PURSER_STRIPE_SDK")?);
        let folder = tempfile::tempdir().unwrap();
        for script in ["stripe_front.mjs", "stripe_reads.mjs"] {
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("referees").join(script), folder.path().join(script)).unwrap();
        }
        symlink(sdk, folder.path().join("node_modules")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let localstripe = format!("http://127.0.0.1:{port}");
        let log = File::create(folder.path().join("localstripe.log")).unwrap();
        let mut command = Command::new("python3");
        command.args(["-m", "localstripe", "--from-scratch", "--port", &port.to_string()]);
        command.env("PYTHONPATH", python).current_dir(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let fake = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        let http = reqwest::Client::new();
        until("localstripe", Duration::from_secs(30), async || http.get(format!("{localstripe}/v1/balance")).send().await.ok()).await;
        let mut command = tokio::process::Command::new(&node);
        command.arg(folder.path().join("stripe_front.mjs")).env("LOCALSTRIPE", &localstripe);
        let mut front = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(front.stdout.take().unwrap()).lines();
        let url = lines.next_line().await.unwrap().expect("the front says where it listens");
        Some(Self { url, localstripe, folder, node, http, _children: vec![fake, front] })
    }

    /// What the orchestrator's configuration says of it.
    pub fn rail(&self) -> String {
        format!(
            "[sandbox]\nopen_sign_up = true\nexport_permission = true\n[rail.stripe]\nsecret_key_file = \"{{at}}/stripe_key\"\n\
             webhook_secret_files = [\"{{at}}/stripe_whsec\"]\napi_base = \"{}\"\n",
            self.url
        )
    }

    /// Lets localstripe send its own messages to an orchestrator.
    pub async fn tell(&self, orchestrator: &str, secret: &str) {
        let hook = json!({"url": format!("{orchestrator}/rails/stripe/webhook"), "secret": secret});
        let answer = self.http.post(format!("{}/_config/webhooks/purser", self.localstripe)).json(&hook).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// The person types a card number into the processor's page. Answers where it sends them.
    pub async fn checkout(&self, page: &str, number: &str) -> Value {
        self.http.post(page).form(&[("number", number)]).send().await.unwrap().json().await.unwrap()
    }

    /// The person answers their bank. Answers where it sends them.
    pub async fn bank(&self, page: &str, yes: bool) -> String {
        let answer: Value = self.http.post(page).form(&[("yes", yes.to_string())]).send().await.unwrap().json().await.unwrap();
        answer["back"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The next so many requests take effect, and their answers are lost.
    pub async fn lose(&self, count: u32) {
        self.http.post(format!("{}_lose", self.url)).body(count.to_string()).send().await.unwrap();
    }

    /// From now on the account has shared payment tokens.
    pub async fn has_tokens(&self) {
        self.http.post(format!("{}_tokens", self.url)).send().await.unwrap();
    }

    /// A seller takes money with its token, at the processor and past everybody else. Answers the token as its issuer sees it.
    pub async fn take(&self, token: &str, minor: i64) -> Result<Value, Value> {
        let form = [("token", token.to_owned()), ("amount", minor.to_string())];
        let answer = self.http.post(format!("{}_take", self.url)).form(&form).send().await.unwrap();
        let taken = answer.status().is_success();
        let told = answer.json().await.unwrap();
        if taken { Ok(told) } else { Err(told) }
    }

    /// Every request that the orchestrator made.
    pub async fn asked(&self) -> Vec<Value> {
        self.http.get(format!("{}_asked", self.url)).send().await.unwrap().json().await.unwrap()
    }

    /// How often a path was posted to.
    pub async fn posts(&self, path: &str) -> usize {
        self.asked().await.iter().filter(|one| one["method"] == "POST" && one["path"] == path).count()
    }

    /// A payment as the processor's own client reads it.
    pub async fn read(&self, capture: &str) -> Value {
        serde_json::from_str(&self.sdk(&["read", capture], "").await).unwrap()
    }

    /// The header of a message as the processor's own client signs it, now or at a moment.
    pub async fn sign(&self, secret: &str, body: &str, seconds: Option<i64>) -> String {
        let seconds = seconds.map(|s| s.to_string()).unwrap_or_default();
        self.sdk(&["sign", secret, &seconds], body).await.trim().to_owned()
    }

    async fn sdk(&self, arguments: &[&str], input: &str) -> String {
        let mut command = tokio::process::Command::new(&self.node);
        command.arg(self.folder.path().join("stripe_reads.mjs")).args(arguments).env("LOCALSTRIPE", &self.localstripe);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A folder of packages, or nothing, said loudly.
fn packages(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_dir());
    if found.is_none() {
        missing(variable);
    }
    found
}

/// The numbers that processors publish for tests. They are in tests only.
pub const NUMBERS: [&str; 9] = [
    "4242424242424242",
    "4000000000000002",
    "4000000000000341",
    "4000000000009995",
    "4000000000000069",
    "4000002500003155",
    "4000002760003184",
    "4000000000000259",
    "4000000000005126",
];

/// No file below the folder holds one of the numbers, whole or as people write it.
pub fn no_card_number(folder: &Path) {
    let files = processes::files_below(folder);
    assert!(!files.is_empty(), "there is nothing to look through");
    for (path, bytes) in files {
        let text = String::from_utf8_lossy(&bytes);
        for number in NUMBERS {
            let spaced = number.as_bytes().chunks(4).map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>();
            for written in [number.to_owned(), spaced.join(" "), spaced.join("-")] {
                assert!(!text.contains(&written), "`{}` holds a card number", path.display());
            }
        }
    }
}
