//! Requests that take their time: what is stopped, or who else is served, between the first line and the last byte.

use crate::support::{DATE, ESM, Workers, World, multipart};
use http::{Method, StatusCode};
use purser_wire::resource::AgentRef;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request whose last bytes are not sent yet.
struct Held {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Held {
    async fn send(world: &World, token: Option<&str>, method: &str, path: &str, (kind, body): (String, Vec<u8>)) -> Self {
        let address = (world.config.listen_api.ip(), world.config.listen_api.port());
        let mut stream = TcpStream::connect(address).await.unwrap();
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} /client/v4{path} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let (now, rest) = body.split_at(body.len() - 10);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(now).await.unwrap();
        Self { stream, rest: rest.to_vec() }
    }

    async fn finish(mut self) -> (u16, Value) {
        self.stream.write_all(&self.rest).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

fn code(text: &str) -> (String, Vec<u8>) {
    let metadata = json!({"main_module": "index.js", "compatibility_date": DATE, "bindings": []}).to_string();
    let code = format!("export default {{ fetch() {{ return new Response('{text}') }} }}");
    multipart(&[("metadata", None, metadata.as_bytes()), ("index.js", Some(ESM), code.as_bytes())])
}

fn body(value: &Value) -> (String, Vec<u8>) {
    ("application/json".to_owned(), value.to_string().into_bytes())
}

/// A Worker that answers `one` below the common domain, and its host name.
async fn site(world: &World, workers: &Workers) -> String {
    world.upload(workers, "site", "export default { fetch() { return new Response('one') } }").await;
    let path = |rest: &str| format!("/accounts/{}/workers/{rest}", workers.account);
    world.api(&workers.token, Method::POST, &path("scripts/site/subdomain"), Some(json!({"enabled": true}))).await;
    let (_, worker) = world.api(&workers.token, Method::GET, &path("workers/site"), None).await;
    worker["result"]["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned()
}

#[tokio::test]
async fn a_token_that_is_stopped_before_the_last_byte_changes_nothing() {
    let Some(world) = World::start().await else { return };
    let ada = world.customer("ada").await;
    let w = world.workers(&ada, "agt_ada").await;
    let host = site(&world, &w).await;
    let at = |rest: &str| format!("/accounts/{}/workers/{rest}", w.account);
    let (_, versions) = world.api(&w.token, Method::GET, &at("scripts/site/deployments"), None).await;
    let version = versions["result"]["deployments"][0]["versions"][0]["version_id"].clone();

    let hash = "0123456789abcdef0123456789abcdef";
    let manifest = json!({"manifest": {"/a.txt": {"hash": hash, "size": 3}}});
    let (_, session) = world.api(&w.token, Method::POST, &at("scripts/site/assets-upload-session"), Some(manifest.clone())).await;
    let session = session["result"]["jwt"].as_str().unwrap();
    let secret = json!({"name": "K", "text": "v", "type": "secret_text"});
    let deployment = json!({"strategy": "percentage", "versions": [{"version_id": version, "percentage": 100}], "annotations": {"a": "b"}});
    let token = Some(w.token.as_str());
    let mut held = Vec::new();
    for (token, method, path, body) in [
        (token, "PUT", at("scripts/other"), code("new")),
        (token, "POST", at("scripts/site/deployments"), body(&deployment)),
        (token, "PUT", at("scripts/site/secrets"), body(&secret)),
        (token, "PATCH", at("scripts/site/secrets-bulk"), body(&json!({"secrets": {"K": secret}}))),
        (token, "PATCH", at("scripts/site/script-settings"), body(&json!({"tags": ["t"], "logpush": true}))),
        (token, "POST", at("scripts/site/subdomain"), body(&json!({"enabled": false}))),
        (token, "PUT", at("subdomain"), body(&json!({"subdomain": "mine-all-mine"}))),
        (token, "POST", at("scripts/site/assets-upload-session"), body(&manifest)),
        (Some(session), "POST", at("assets/upload"), multipart(&[(hash, Some("text/plain"), b"abc")])),
    ] {
        held.push((path.clone(), Held::send(&world, token, method, &path, body).await));
    }
    let agent = AgentRef { id: "agt_ada".parse().unwrap(), jkt: None, grant: None };
    world.client.credentials_disable(&ada.access, &agent, None).await.unwrap();
    for (path, request) in held {
        let (status, answer) = request.finish().await;
        assert_eq!((status, &answer["success"]), (403, &json!(false)), "{path}: {answer}");
    }
    assert_eq!(world.visit(&host).await, (200, "one".to_owned()));
    world.client.credentials_enable(&ada.access, &agent, None).await.unwrap();
    let (status, scripts) = world.api(&w.token, Method::GET, &at("scripts"), None).await;
    assert_eq!((status, scripts["result"].as_array().unwrap().len()), (StatusCode::OK, 1), "{scripts}");
}

#[tokio::test]
async fn slow_uploads_of_nobody_and_of_one_account_keep_no_other_from_deploying() {
    let Some(world) = World::start().await else { return };
    let (ada, eve) = (world.customer("ada").await, world.customer("eve").await);
    let (a, e) = (world.workers(&ada, "agt_ada").await, world.workers(&eve, "agt_eve").await);
    let mut held = Vec::new();
    for path in ["assets/upload", "scripts/x"] {
        let path = format!("/accounts/{}/workers/{path}", e.account);
        let method = if path.ends_with("x") { "PUT" } else { "POST" };
        for _ in 0..4 {
            held.push(Held::send(&world, None, method, &path, code("x")).await);
            held.push(Held::send(&world, Some("slp_nothing"), method, &path, code("x")).await);
        }
    }
    for _ in 0..4 {
        let path = format!("/accounts/{}/workers/scripts/slow", e.account);
        held.push(Held::send(&world, Some(&e.token), "PUT", &path, code("x")).await);
    }
    let upload = world.upload(&a, "site", "export default { fetch() { return new Response('one') } }");
    let (status, answer) = tokio::time::timeout(std::time::Duration::from_secs(20), upload).await.expect("an upload waits for others");
    assert_eq!(status, StatusCode::OK, "{answer}");
}
