//! Queues: from a Worker through slipway to another Worker, with tries and a dead-letter queue.

use std::time::{Duration, Instant};

use serde_json::json;

use super::cloud::{Cloud, project};
use super::{Desk, wranglers};

/// Sends what it is asked to, and notes in KV what it was given.
const WORKER: &str = r#"
export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/send") {
      await env.Q.send({ n: 1 });
      await env.Q.sendBatch([{ body: "text", contentType: "text" }, { body: new Uint8Array([1, 2]), contentType: "bytes" }, { body: { bad: true } }]);
      return Response.json("sent");
    }
    const got = await env.KV.list({ prefix: "got/" });
    return Response.json(got.keys.map((key) => key.name.slice(4)).sort());
  },
  async queue(batch, env) {
    for (const message of batch.messages) {
      const body = message.body instanceof Uint8Array ? [...message.body] : message.body;
      if (body?.bad && batch.queue === "jobs") { message.retry(); continue; }
      await env.KV.put(`got/${batch.queue}/${JSON.stringify(body)}/${message.attempts}`, "");
    }
  },
};"#;

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_their_worker_and_what_fails_too_often_the_dead_letter_queue() {
    let Some(cloud) = Cloud::start().await else { return };
    for (name, wrangler) in wranglers() {
        let domain = format!("queue-{name}.test");
        let customer = cloud.customer(&format!("queue{name}"), &domain).await;
        let nothing = project(cloud.folder.path(), &format!("queue-{name}-nothing"), &json!({}), &[]);
        let before = Desk { at: nothing, cloud: &cloud, customer: &customer, wrangler: &wrangler };
        before.wrangler(&["queues", "create", "jobs"]).await;
        before.wrangler(&["queues", "create", "dead"]).await;
        let said = before.wrangler(&["kv", "namespace", "create", "notes"]).await;
        let id = said.split('"').find(|part| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit())).unwrap().to_owned();
        let consumer = |queue: &str, dead: serde_json::Value| {
            let mut row = json!({"queue": queue, "max_batch_timeout": 0, "max_retries": 1});
            row.as_object_mut().unwrap().extend(dead.as_object().unwrap().clone());
            row
        };
        let config = json!({
            "name": "queued", "main": "index.js", "compatibility_date": "2026-04-01", "workers_dev": true,
            "routes": [{"pattern": domain, "custom_domain": true}], "kv_namespaces": [{"binding": "KV", "id": id}],
            "queues": {
                "producers": [{"binding": "Q", "queue": "jobs"}],
                "consumers": [consumer("jobs", json!({"dead_letter_queue": "dead"})), consumer("dead", json!({}))],
            },
        });
        let at = project(cloud.folder.path(), &format!("queue-{name}"), &config, &[("index.js", WORKER.as_bytes())]);
        let desk = Desk { at, ..before };
        desk.wrangler(&["deploy"]).await;
        assert!(desk.wrangler(&["queues", "list"]).await.contains("jobs"));
        assert_eq!(desk.asked("/send").await, "sent");
        let expected = json!(["dead/{\"bad\":true}/1", "jobs/\"text\"/1", "jobs/[1,2]/1", "jobs/{\"n\":1}/1"]);
        let begun = Instant::now();
        loop {
            let got = desk.asked("/got").await;
            if got == expected {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "got {got}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
