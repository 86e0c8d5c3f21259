//! The conformance suite of the Model Context Protocol, its part for authorization servers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::bench::Bench;

const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_for_authorization_servers_passes_without_a_warning() {
    let Some(bench) = Bench::start().await else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = register(&bench, port).await;
    let results = bench.folder.path().join("results");
    let mut command = bench.command(SUITE);
    command.args(["authorization", "--url", bench.issuer(), "--client-id", &client, "--port", &port.to_string()]);
    command.arg("--output-dir").arg(&results).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::inherit());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let mut walked = false;
    let ended = tokio::time::timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push_str(&line);
            said.push('\n');
            // the suite prints an address for a person, and waits until a browser brings it the answer
            if !walked && line.starts_with(&format!("{}/", bench.issuer())) {
                walked = true;
                let answer = bench.node("walk.mjs", &[line.trim()]).await;
                reqwest::get(answer.trim()).await.unwrap();
            }
        }
        child.wait().await.unwrap()
    })
    .await;
    let status = ended.unwrap_or_else(|_| panic!("the suite never ended:\n{said}"));
    assert!(walked, "the suite never asked for a person:\n{said}");
    assert!(status.success(), "{status}:\n{said}");
    let checks = checks(&results);
    let bad: Vec<&Value> = checks.iter().filter(|check| check["status"] != "SUCCESS" && check["status"] != "INFO").collect();
    assert!(checks.len() >= 3 && bad.is_empty(), "{bad:#?}\n{said}");
    assert!(checks.iter().any(|check| check["id"] == "authorization-server-metadata-cimd"), "{checks:#?}");
}

async fn register(bench: &Bench, port: u16) -> String {
    let asked = json!({
        "client_name": "conformance", "application_type": "native", "token_endpoint_auth_method": "none",
        "redirect_uris": [format!("http://127.0.0.1:{port}/callback")], "grant_types": ["authorization_code"], "response_types": ["code"],
    });
    let metadata: Value =
        reqwest::get(format!("{}/.well-known/oauth-authorization-server", bench.issuer())).await.unwrap().json().await.unwrap();
    let endpoint = metadata["registration_endpoint"].as_str().expect("registration is open in the sandbox");
    let client: Value = reqwest::Client::new().post(endpoint).json(&asked).send().await.unwrap().json().await.unwrap();
    client["client_id"].as_str().unwrap_or_else(|| panic!("not registered: {client}")).to_owned()
}

/// Every check in the files that the suite wrote.
fn checks(folder: &std::path::Path) -> Vec<Value> {
    let files = purser_tests::processes::files_below(folder);
    let parsed = files.iter().filter_map(|(_, bytes)| serde_json::from_slice::<Value>(bytes).ok());
    parsed.flat_map(|value| value.as_array().cloned().or_else(|| value["checks"].as_array().cloned()).unwrap_or_default()).collect()
}
