//! A provider that shares no secret with the orchestrator and knows it by the document at its address (5.6 of the reference). The
//! statements are checked by npm's jose, which others wrote.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use purser_crypto::encoding::b64url_decode;
use purser_tests::binaries::named;
use purser_tests::{Ask, Choice, processes};
use purser_values::Secret;
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::stage::{Stage, tokens};

const STATE: &str = "state-of-the-providers-own-02";

/// What is needed to ask jose, or nothing, said loudly.
struct Referee {
    node: PathBuf,
    folder: tempfile::TempDir,
}

impl Referee {
    fn find() -> Option<Self> {
        let modules = std::env::var_os("PURSER_REFEREES").map(PathBuf::from).filter(|path| path.is_dir());
        if modules.is_none() {
            eprintln!("NOT TESTED: PURSER_REFEREES is not set; run `cargo xtask test`");
        }
        let (node, folder) = (named("PURSER_NODE", || None)?, tempfile::tempdir().unwrap());
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("referees/client_assertion.mjs"), folder.path().join("check.mjs")).unwrap();
        symlink(modules?, folder.path().join("node_modules")).unwrap();
        Some(Self { node, folder })
    }

    /// What the requests prove to a provider with this token endpoint: their client's document, and their statements.
    fn check(&self, audience: &str, requests: &[Value]) -> Result<Value, String> {
        let mut command = Command::new(&self.node);
        command.arg(self.folder.path().join("check.mjs")).arg(audience);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(json!(requests).to_string().as_bytes()).unwrap();
        let said = child.wait_with_output().unwrap();
        if said.status.success() {
            Ok(serde_json::from_slice(&said.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&said.stderr).into_owned())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_shares_no_secret_with_us_knows_us_by_our_document_and_a_statement_that_counts_once() {
    let Some(referee) = Referee::find() else { return };
    let mut stages = Vec::new();
    let alone = Alone::with_strangers(async |orchestrator| {
        stages.push(Stage::start("stage", orchestrator, true).await);
        stages.iter().map(|stage| (stage.name, stage.address)).collect()
    })
    .await;
    let Some(alone) = alone else { return };
    let stage = stages.remove(0);
    let (mut ada, agent) = (alone.person("ada"), alone.agent("stranger"));
    processes::until("the catalogue", Duration::from_secs(20), async || {
        agent.run(&["catalog"]).await.stdout.contains("stage/greeting").then_some(())
    })
    .await;
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "stranger"]).await;

    // It fetches our document first, and then wants the person.
    let (times, page) = (AtomicU32::new(0), stage.page(STATE));
    stage.says("account_requests", move |asked| match times.fetch_add(1, Ordering::SeqCst) {
        0 => (202, json!({"type": "registering", "retry_after": 1})),
        _ => (200, json!({"id": asked["id"], "type": "requires_auth", "requires_auth": {"url": page}})),
    });
    // its tokens run out at once, so that they are refreshed
    stage.says("token", |_| (200, tokens("acct_ada", 1)));
    let envelope = agent.run(&["add", "stage/greeting", "--name", "first"]).await;
    assert_eq!((envelope.exit, envelope.code()), (8, "account_link_required"), "{}", envelope.stdout);
    let back = format!("/link/callback/stage?code=the-code&state={STATE}&iss={}", stage.issuer());
    assert_eq!(ada.open(&back).await.status, 200);
    processes::until("the first", Duration::from_secs(20), async || {
        let status = agent.must(&["status"]).await;
        (status["resources"][0]["state"] == "live").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(agent.run(&["add", "stage/greeting", "--name", "second"]).await.ok());

    let (asked, redeemed) = (stage.asked("account_requests"), stage.asked("token"));
    for request in &asked {
        let statement = request["identity_assertion"].as_str().unwrap().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&b64url_decode(statement).unwrap()).unwrap();
        assert_eq!(request["orchestrator"]["stripe"]["account"], claims["sub"], "two names of one organisation");
        assert!(!request.to_string().contains("org_"), "an id of ours leaves the house: {request}");
    }
    assert!(!stage.met_a_secret(), "a body was signed with a secret that nobody shares");
    assert_eq!(asked.len(), 2, "{asked:?}");
    let kinds: Vec<_> = redeemed.iter().map(|form| form["grant_type"].as_str().unwrap()).collect();
    assert!(kinds.starts_with(&["authorization_code", "refresh_token"]), "{kinds:?}");
    let verifier = Secret::new(redeemed[0]["code_verifier"].as_str().unwrap().to_owned());
    assert_eq!(asked[1]["code_challenge"], purser_wire::pkce::challenge(&verifier));

    let all = [asked, redeemed].concat();
    let audience = stage.base_url.join("oauth/token").unwrap();
    let proven = referee.check(audience.as_str(), &all).unwrap();
    let proven = proven.as_array().unwrap();
    let id = format!("{}/.well-known/oauth-client/stage", alone.url);
    for one in proven {
        assert_eq!((&one["client_id"], &one["redirect_uris"]), (&json!(id), &json!([format!("{}/link/callback/stage", alone.url)])));
    }
    let ids: BTreeSet<_> = proven.iter().map(|one| one["jti"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), proven.len()), (all.len(), all.len()), "a statement was sent twice");
    // The referee takes no statement that is for somebody else, or was changed.
    assert!(referee.check("https://elsewhere.test/token", &all[..1]).unwrap_err().contains("aud"));
    let mut changed = all[0].clone();
    let statement = changed["client_assertion"].as_str().unwrap().to_owned();
    changed["client_assertion"] = json!(format!("{}{}", statement.rsplit_once('.').unwrap().0, ".AAAA"));
    assert!(referee.check(audience.as_str(), &[changed]).is_err());
    assert!(!alone.log().contains(&statement[..40]), "a statement is in the log");
}
