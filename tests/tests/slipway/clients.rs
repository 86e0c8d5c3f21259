//! What the official clients rely on beyond single calls: repetitions, and tails.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::support::{Workers, World};

const PATIENCE: Duration = Duration::from_secs(30);

async fn customer(world: &World, name: &str) -> Workers {
    let customer = world.customer(name).await;
    world.workers(&customer, &format!("agt_{name}")).await
}

/// A call as the official clients send it, counting their attempts.
async fn attempt(world: &World, token: &str, path: &str, count: u32, body: &Value) -> Value {
    let body = body.to_string();
    let request = Request::post(format!("/client/v4{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .header("x-stainless-retry-count", count)
        .body(Body::from(body))
        .unwrap();
    let response = world.app.clone().oneshot(request).await.unwrap();
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

/// A token that a token makes, with everything that it holds.
async fn child(world: &World, token: &str, account: &str) -> (String, String) {
    let (_, groups) = world.api(token, Method::GET, "/user/tokens/permission_groups", None).await;
    let groups: Vec<Value> = groups["result"].as_array().unwrap().iter().map(|group| json!({"id": group["id"]})).collect();
    let resources = json!({format!("com.cloudflare.api.account.{account}"): "*"});
    let policy = json!({"effect": "allow", "permission_groups": groups, "resources": resources});
    let (status, made) = world.api(token, Method::POST, "/user/tokens", Some(json!({"name": "child", "policies": [policy]}))).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let text = |name: &str| made["result"][name].as_str().unwrap().to_owned();
    (text("id"), text("value"))
}

#[tokio::test]
async fn a_call_that_arrives_twice_is_carried_out_once_and_answered_only_to_its_token() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    let (_, other) = child(&world, &w.token, &w.account).await;

    let (namespaces, wanted) = (format!("/accounts/{}/storage/kv/namespaces", w.account), json!({"title": "twice"}));
    let first = attempt(&world, &w.token, &namespaces, 0, &wanted).await;
    assert_eq!(first["success"], true, "{first}");
    assert_eq!(attempt(&world, &w.token, &namespaces, 1, &wanted).await, first);
    assert_eq!(attempt(&world, &w.token, &namespaces, 2, &wanted).await, first);
    let meant = attempt(&world, &w.token, &namespaces, 0, &wanted).await;
    assert_eq!(meant["errors"][0]["code"], 10_014, "who asks twice means it twice: {meant}");
    let changed = attempt(&world, &w.token, &namespaces, 1, &json!({"title": "once"})).await;
    assert_ne!(changed["result"]["id"], first["result"]["id"], "another body is another call");

    let wanted = json!({"name": "secret", "policies": []});
    let first = attempt(&world, &w.token, "/user/tokens", 0, &wanted).await;
    let value = first["result"]["value"].as_str().unwrap();
    assert_eq!(attempt(&world, &w.token, "/user/tokens", 1, &wanted).await["result"]["value"], value);
    let others = attempt(&world, &other, "/user/tokens", 1, &wanted).await;
    assert!(others["success"] == true && others["result"]["value"] != value, "a secret went to another caller");
    let nobody = attempt(&world, "slip_nobody", "/user/tokens", 1, &wanted).await;
    assert_eq!(nobody["errors"][0]["code"], 10_000, "{nobody}");
}

/// What a WebSocket says until it has said all of these, or ends.
async fn said(stream: &mut TcpStream, all: &[&str]) -> String {
    let mut said = Vec::new();
    let read = async {
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&said).into_owned();
            if !all.is_empty() && all.iter().all(|one| text.contains(one)) {
                return text;
            }
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return text,
                Ok(count) => said.extend_from_slice(&piece[..count]),
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the socket neither says it nor ends")
}

async fn open(world: &World, url: &str) -> TcpStream {
    let path = url.split_once(&world.config.listen_api.to_string()).unwrap().1;
    let mut stream = TcpStream::connect(world.config.listen_api).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: trace-v1\r\n\r\n",
        world.config.listen_api
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_tail_shows_logs_and_exceptions_and_ends_with_the_token_that_made_it() {
    let Some(world) = World::start().await else { return };
    let w = customer(&world, "ada").await;
    let code = "export default { fetch() { console.log('seen', { n: 1 }); throw new RangeError('it went wrong') } }";
    assert_eq!(world.upload(&w, "looked-at", code).await.0, StatusCode::OK);
    let script = format!("/accounts/{}/workers/scripts/looked-at", w.account);
    let enabled = Some(json!({"enabled": true}));
    assert_eq!(world.api(&w.token, Method::POST, &format!("{script}/subdomain"), enabled).await.0, StatusCode::OK);
    let (_, worker) = world.api(&w.token, Method::GET, &format!("/accounts/{}/workers/workers/looked-at", w.account), None).await;
    let host = worker["result"]["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();
    let (id, reader) = child(&world, &w.token, &w.account).await;

    let filters = json!({"filters": [{"outcome": ["exception"]}]});
    let (status, made) = world.api(&reader, Method::POST, &format!("{script}/tails"), Some(filters)).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let url = made["result"]["url"].as_str().unwrap();
    let mut tail = open(&world, url).await;
    let head = said(&mut tail, &["\r\n\r\n"]).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.to_lowercase().contains("sec-websocket-protocol: trace-v1"), "{head}");
    // wrangler's first frame has no mask
    let frame = [&[0x81, 15][..], b"{\"debug\":false}"].concat();
    tail.write_all(&frame).await.unwrap();
    let mut second = open(&world, url).await;
    assert!(said(&mut second, &["\r\n\r\n"]).await.starts_with("HTTP/1.1 409"), "two read one tail");

    world.visit(&host).await;
    let event = said(&mut tail, &["seen", "it went wrong"]).await;
    for part in ["\"outcome\":\"exception\"", "\"scriptName\":\"looked-at\"", "\"scriptVersion\"", "RangeError", "\"n\":1"] {
        assert!(event.contains(part), "{part} is not in {event}");
    }

    let (status, _) = world.api(&w.token, Method::DELETE, &format!("/user/tokens/{id}"), None).await;
    assert_eq!(status, StatusCode::OK);
    said(&mut tail, &[]).await;
    let mut again = open(&world, url).await;
    assert!(said(&mut again, &["\r\n\r\n"]).await.starts_with("HTTP/1.1 404"), "a tail outlives its token");
}
