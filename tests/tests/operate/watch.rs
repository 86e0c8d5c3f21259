//! Probes, numbers and the log.

use std::net::TcpListener;
use std::time::Duration;

use purser_tests::{browser, processes};
use serde_json::Value;

use super::installation::{Installation, get};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_lives_that_it_is_ready_and_what_it_does_without_naming_anybody() {
    let Some(installation) = Installation::start().await else { return };
    installation.owner("ada").await;
    assert_eq!(installation.get("/healthz").await.0, 200);
    let (status, ready) = installation.get("/readyz").await;
    assert_eq!(status, 200);
    for check in ["database", "migrations", "keys"] {
        assert_eq!(ready["checks"][check], "ok", "{ready}");
    }
    installation.get("/v1/whoami").await;
    installation.get("/nowhere/at/all").await;
    let text = browser::client().get(format!("{}/metrics", installation.metrics)).send().await.unwrap().text().await.unwrap();
    for line in [
        "purser_http_requests_total{method=\"GET\",route=\"/v1/whoami\",status=\"401\"} 1",
        "purser_http_request_duration_seconds_bucket{",
        "purser_refusals_total{code=\"not_signed_in\"} 1",
        "purser_db_commit_duration_seconds_count",
        "purser_audit_head",
        "purser_draining 0",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    assert!(!text.contains('@') && !text.contains("nowhere") && !text.contains("org_") && !text.contains("per_"), "{text}");
    let head: f64 = text.lines().find(|l| l.starts_with("purser_audit_head ")).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    assert!(head >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_and_carries_the_id_that_the_proxy_gave_the_request() {
    let Some(mut installation) = Installation::start().await else { return };
    let client = browser::client();
    let ask = async |id: Option<&str>| {
        let request = client.get(format!("{}/v1/whoami", installation.url));
        let request = id.into_iter().fold(request, |request, id| request.header("x-request-id", id));
        let answer = request.send().await.unwrap();
        let header = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["request_id"], header.as_str());
        header
    };
    assert_eq!(ask(Some("from-the-proxy-1")).await, "from-the-proxy-1");
    let (forged, own) = (ask(Some("a b c")).await, ask(None).await);
    assert!(forged.starts_with("req_") && own.starts_with("req_") && forged != own);
    for id in ["from-the-proxy-1", &own] {
        // Lines are gathered for a moment before they are written.
        processes::until(id, PATIENCE, async || {
            let log = installation.log();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.any(|line| line["span"]["request_id"] == id && line["code"] == "not_signed_in").then_some(())
        })
        .await;
    }
    // The numbers' own listener has the probes too, and nothing else.
    assert_eq!(get(&format!("{}/readyz", installation.metrics)).await.0, 200);
    assert_eq!(get(&format!("{}/v1/whoami", installation.metrics)).await.0, 404);
    // From the first line to the last, also of one that cannot start, there is no other form.
    installation.stop();
    let held = TcpListener::bind(("127.0.0.1", installation.url.trim_start_matches("http://localhost:").parse::<u16>().unwrap())).unwrap();
    installation.try_again();
    drop(held);
    let lines = objects(&installation.log());
    let said = |message: &str| lines.iter().any(|line| line["message"] == message && line["timestamp"].is_string());
    assert!(said("ready") && said("Stopped."), "{lines:?}");
    let last = lines.last().unwrap();
    assert!(last["level"] == "ERROR" && last["code"] == "SERVE_FAILED" && last["hint"].is_string(), "{last}");
}

fn objects(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("`{line}` is no JSON"))).collect()
}
