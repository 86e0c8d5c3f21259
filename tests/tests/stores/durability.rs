//! Nothing that was acknowledged is missing after kill -9: writers to every store at once, and a slipway that is killed again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::cloud::Cloud;

/// Kills of one run.
const KILLS: usize = 12;

#[derive(Clone)]
struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Option<(u16, Vec<u8>)> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token).body(body);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.bytes().await.ok()?.to_vec()))
    }

    async fn json(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(method, path, body.to_string().into_bytes()).await.expect("an answer");
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_missing_after_a_kill() {
    let Some(mut cloud) = Cloud::start().await else { return };
    let customer = cloud.customer("durable", "durable.test").await;
    let account = customer.variable("CLOUDFLARE_ACCOUNT_ID");
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let api =
        Api { client, base: format!("{}client/v4/accounts/{account}", cloud.api), token: customer.variable("CLOUDFLARE_API_TOKEN").into() };
    let kv = api.json(Method::POST, "/storage/kv/namespaces", json!({"title": "t"})).await["result"]["id"].as_str().unwrap().to_owned();
    api.json(Method::POST, "/r2/buckets", json!({"name": "bucket"})).await;
    let d1 = api.json(Method::POST, "/d1/database", json!({"name": "db"})).await["result"]["uuid"].as_str().unwrap().to_owned();
    api.json(Method::POST, &format!("/d1/database/{d1}/query"), json!({"sql": "create table t (n integer primary key)"})).await;
    let queue = api.json(Method::POST, "/queues", json!({"queue_name": "q"})).await["result"]["queue_id"].as_str().unwrap().to_owned();

    // what was acknowledged of each store
    let kept: Arc<Mutex<BTreeMap<(&str, u64), usize>>> = Arc::default();
    let (over, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for store in ["kv", "r2", "d1", "queue"] {
        let (api, kept, over, next) = (api.clone(), kept.clone(), over.clone(), next.clone());
        let (kv, d1, queue) = (kv.clone(), d1.clone(), queue.clone());
        writers.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                // rows as well as objects
                let size = if n % 3 == 0 { 90_000 } else { 50 };
                let sent = match store {
                    "kv" => api.send(Method::PUT, &format!("/storage/kv/namespaces/{kv}/values/{n}"), vec![b'x'; size]).await,
                    "r2" => api.send(Method::PUT, &format!("/r2/buckets/bucket/objects/{n}"), vec![b'x'; size]).await,
                    "d1" => {
                        api.send(
                            Method::POST,
                            &format!("/d1/database/{d1}/query"),
                            json!({"sql": format!("insert into t values ({n})")}).to_string().into(),
                        )
                        .await
                    }
                    _ => api.send(Method::POST, &format!("/queues/{queue}/messages"), json!({"body": n}).to_string().into()).await,
                };
                match sent {
                    Some((200, _)) => drop(kept.lock().await.insert((store, n), size)),
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }));
    }
    for kill in 0..KILLS {
        let before = kept.lock().await.len();
        let begun = std::time::Instant::now();
        while kept.lock().await.len() < before + 20 && begun.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(5 + kill as u64)).await;
        }
        cloud.kill_and_restart().await;
    }
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }

    let kept = kept.lock().await;
    let of = |store: &str| kept.iter().filter(|((s, _), _)| *s == store).map(|((_, n), size)| (*n, *size)).collect::<Vec<_>>();
    for (n, size) in of("kv") {
        let (status, body) = api.send(Method::GET, &format!("/storage/kv/namespaces/{kv}/values/{n}"), Vec::new()).await.unwrap();
        assert_eq!((status, body.len()), (200, size), "KV lost {n}");
    }
    for (n, size) in of("r2") {
        let (status, body) = api.send(Method::GET, &format!("/r2/buckets/bucket/objects/{n}"), Vec::new()).await.unwrap();
        assert_eq!((status, body.len()), (200, size), "R2 lost {n}");
    }
    let rows = api.json(Method::POST, &format!("/d1/database/{d1}/raw"), json!({"sql": "select n from t"})).await;
    let rows: Vec<u64> = rows["result"][0]["results"]["rows"].as_array().unwrap().iter().map(|row| row[0].as_u64().unwrap()).collect();
    for (n, _) in of("d1") {
        assert!(rows.contains(&n), "D1 lost {n}");
    }
    api.json(Method::POST, &format!("/queues/{queue}/consumers"), json!({"type": "http_pull"})).await;
    let mut pulled = Vec::new();
    loop {
        let batch = api
            .json(Method::POST, &format!("/queues/{queue}/messages/pull"), json!({"batch_size": 100, "visibility_timeout_ms": 600_000}))
            .await;
        let messages = batch["result"]["messages"].as_array().unwrap().clone();
        if messages.is_empty() {
            break;
        }
        pulled.extend(messages.iter().map(|message| message["body"].as_str().unwrap().parse::<u64>().unwrap()));
    }
    for (n, _) in of("queue") {
        assert!(pulled.contains(&n), "the queue lost {n}");
    }
    eprintln!(
        "{} writes were acknowledged over {KILLS} kills: {} KV, {} R2, {} D1, {} queue",
        kept.len(),
        of("kv").len(),
        of("r2").len(),
        of("d1").len(),
        of("queue").len()
    );
    assert!(["kv", "r2", "d1", "queue"].iter().all(|store| of(store).len() > KILLS), "too little was written to mean anything");
}
