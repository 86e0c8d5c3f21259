//! The edge before programs that judge or strain one: a scanner of TLS, a load generator for HTTP/2, a slow client.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use purser_tests::binaries::missing;
use serde_json::json;
use tokio::process::Command;

use super::support::World;

const DOMAIN: &str = "judged-harbour.test";
/// How long a visitor may wait while somebody attacks.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_finds_modern_tls_only() {
    let (Some(sslscan), Some(world)) = (peer("sslscan"), world().await) else { return };
    let address = world.edge_https.to_string();
    let said = run(&sslscan, &["--no-colour", &format!("--sni-name={DOMAIN}"), &address]).await;
    let protocols: Vec<(&str, bool)> = said
        .lines()
        .filter_map(|line| {
            let (name, state) = line.split_once("  ").filter(|(name, _)| name.starts_with("SSLv") || name.starts_with("TLSv"))?;
            matches!(state.trim(), "enabled" | "disabled").then(|| (name, state.trim() == "enabled"))
        })
        .collect();
    let enabled: Vec<&str> = protocols.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    assert_eq!(enabled, ["TLSv1.2", "TLSv1.3"], "{said}");
    for weak in ["RC4", "3DES", "DES-CBC", "NULL", "EXPORT", "anon", "-CBC-", "-SHA ", "vulnerable to heartbleed\n"] {
        let found = said.lines().filter(|line| line.contains("Accepted") || line.contains("Preferred")).any(|line| line.contains(weak));
        assert!(!found, "`{weak}`: {said}");
    }
    assert!(said.contains("not vulnerable to heartbleed") && !said.contains("Secure session renegotiation supported\n"), "{said}");
}

/// What a second scanner may say, with its reasons.
const EXPLAINED: &str = include_str!("testssl.txt");
/// It makes a few hundred handshakes, each with a program of its own.
const SCANNED_WITHIN: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread")]
async fn a_second_scanner_finds_no_weakness_that_is_not_explained() {
    let (Some(testssl), Some(world)) = (peer("testssl"), world().await) else { return };
    let found = world.folder.path().join("testssl.json");
    let mut command = Command::new(&testssl);
    command.args(["--quiet", "--warnings", "batch", "--nodns", "none", "--color", "0", "--openssl-timeout", "20", "--ip", "127.0.0.1"]);
    // all but what other clients would choose, and each cipher by itself
    command.args(["-p", "-s", "-f", "-S", "-P", "-h", "-U"]);
    command.arg("--jsonfile").arg(&found).arg(format!("https://{DOMAIN}:{}/", world.edge_https.port()));
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let said = tokio::time::timeout(SCANNED_WITHIN, ended).await.expect("it hangs").unwrap();
    let text = std::fs::read_to_string(&found).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&said.stdout)));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let of = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    for seen in ["TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "BEAST"] {
        assert!(findings.iter().any(|one| of(one, "id") == seen), "`{seen}` was not looked at: {text}");
    }
    let explained: Vec<&str> = EXPLAINED.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let weak = ["LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"];
    let new: Vec<String> = findings
        .iter()
        .filter(|one| weak.contains(&of(one, "severity").as_str()) && !explained.contains(&of(one, "id").as_str()))
        .map(ToString::to_string)
        .collect();
    assert!(new.is_empty(), "{new:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_requests_over_http_2_are_all_answered() {
    let (Some(h2load), Some(world)) = (peer("h2load"), world().await) else { return };
    let (url, to) = (format!("https://{DOMAIN}:{}/", world.edge_https.port()), format!("--connect-to={}", world.edge_https));
    let said = run(&h2load, &["-n", "2000", "-c", "8", "-m", "32", &to, &url]).await;
    assert!(said.contains("2000 done") && said.contains("0 errored, 0 timeout"), "{said}");
    // a plan without a price has its rate: what is above it is told so, and nothing breaks
    let codes = said.lines().find_map(|line| line.strip_prefix("status codes: ")).unwrap_or_else(|| panic!("{said}"));
    let of = |class: &str| codes.split(", ").find_map(|one| one.strip_suffix(class)?.trim().parse::<u64>().ok()).unwrap();
    assert!(of("2xx") >= 100 && of("2xx") + of("4xx") == 2000 && of("3xx") + of("5xx") == 0, "{said}");
    assert!(said.contains("Application protocol: h2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_leave_others_served() {
    let (Some(slow), Some(world)) = (peer("slowhttptest"), world().await) else { return };
    let url = format!("http://{DOMAIN}.localhost:{}/", world.edge_http.port());
    // slow headers, slow bodies, slow readers
    for attack in [["-H"].as_slice(), &["-B", "-t", "POST"], &["-X", "-w", "16", "-y", "32", "-n", "1", "-z", "8"]] {
        let mut command = Command::new(&slow);
        command.args(attack).args(["-c", "600", "-r", "300", "-i", "5", "-l", "6", "-x", "24", "-u", &url]);
        let mut attacker = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let (mut visits, mut slowest) = (0, Duration::ZERO);
        // it gives up when every connection of its is closed; others are served while it tries, and after
        while visits < 20 || (visits < 60 && attacker.try_wait().unwrap().is_none()) {
            let begun = Instant::now();
            let (status, body) = tokio::time::timeout(SERVED_WITHIN * 5, world.visit(DOMAIN)).await.expect("a visitor waits for ever");
            assert_eq!((status, body.as_str()), (200, "hello"), "{attack:?}");
            slowest = slowest.max(begun.elapsed());
            visits += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(attacker);
        assert!(slowest < SERVED_WITHIN, "{attack:?}: {visits} visits, the slowest in {slowest:?}");
    }
}

fn peer(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PURSER_EDGE_PEERS").map(|folder| Path::new(&folder).join(name));
    if found.is_none() {
        missing("PURSER_EDGE_PEERS");
    }
    found
}

/// A site on a domain of its own.
async fn world() -> Option<World> {
    let world = World::start().await?;
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_a").await;
    world.domain(&customer, DOMAIN, "agt_a").await;
    let (status, said) = world.upload(&workers, "shop", "export default { fetch() { return new Response('hello') } }").await;
    assert!(status.is_success(), "{said}");
    let path = format!("/accounts/{}/workers/scripts/shop/domains/records", workers.account);
    let (status, said) = world.api(&workers.token, Method::PUT, &path, Some(json!({"origins": [{"hostname": DOMAIN}]}))).await;
    assert!(status.is_success(), "{said}");
    Some(world)
}

async fn run(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await.expect("a judge hangs").unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
