//! Key-value namespaces.

use serde_json::{Value, json};

use super::cloud::{Cloud, project};
use super::{Desk, wranglers};

const WORKER: &str = r#"
export default {
  async fetch(request, env) {
    const kv = env.KV, path = new URL(request.url).pathname;
    try {
      if (path === "/write") {
        await kv.put("a/ä b", "one", { metadata: { n: 1 } });
        await kv.put("big", new Uint8Array(2_000_000).fill(7));
        await kv.put("stream", new Response("streamed").body);
        await kv.put("soon", "x", { expirationTtl: 3600 });
        return Response.json("written");
      }
      const { value, metadata } = await kv.getWithMetadata("a/ä b");
      const big = new Uint8Array(await kv.get("big", "arrayBuffer"));
      const list = await kv.list({ prefix: "a/" });
      const first = await kv.list({ limit: 1 });
      const second = await kv.list({ limit: 1, cursor: first.cursor });
      const many = await kv.get(["a/ä b", "none"]);
      let refusal = "";
      try { await kv.put("k", "v", { expirationTtl: 5 }); } catch (e) { refusal = e.message; }
      await kv.delete("stream");
      return Response.json({
        value, metadata, big: [big.length, big[1_999_999]], list: list.keys, complete: list.list_complete,
        pages: [first.keys[0].name, second.keys[0].name], many: [...many], none: await kv.get("none"),
        gone: await kv.get("stream"), refusal: refusal.includes("400"), byClient: await kv.get("client"),
      });
    } catch (e) { return Response.json({ error: String(e) }, { status: 500 }); }
  }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn wrangler_and_workers_share_a_namespace() {
    let Some(cloud) = Cloud::start().await else { return };
    for (name, wrangler) in wranglers() {
        let domain = format!("kv-{name}.test");
        let customer = cloud.customer(&format!("kv{name}"), &domain).await;
        let at = project(cloud.folder.path(), name, &json!({"name": "kv", "compatibility_date": "2026-04-01"}), &[]);
        let desk = Desk { cloud: &cloud, customer: &customer, wrangler: &wrangler, at };
        desk.wrangler(&["kv", "namespace", "create", "things"]).await;
        assert!(desk.refused(&["kv", "namespace", "create", "things"]).await.contains("already exists"));
        let listed: Vec<Value> = serde_json::from_str(&desk.wrangler(&["kv", "namespace", "list"]).await).unwrap();
        let id = listed[0]["id"].as_str().unwrap();
        let on = ["--namespace-id", id, "--remote"];
        let kv = async |rest: &[&str]| desk.wrangler(&[&["kv"][..], rest, &on[..]].concat()).await;

        let config = json!({
            "name": "kv", "main": "index.js", "compatibility_date": "2026-04-01", "workers_dev": true,
            "routes": [{"pattern": domain, "custom_domain": true}], "kv_namespaces": [{"binding": "KV", "id": id}],
        });
        project(cloud.folder.path(), name, &config, &[("index.js", WORKER.as_bytes())]);
        desk.wrangler(&["deploy"]).await;
        kv(&["key", "put", "client", "from wrangler"]).await;
        assert_eq!(desk.asked("/write").await, "written");
        let answer = desk.asked("/read").await;
        assert_eq!(
            answer,
            json!({
                "value": "one", "metadata": {"n": 1}, "big": [2_000_000, 7], "list": [{"name": "a/ä b", "metadata": {"n": 1}}],
                "complete": true, "pages": ["a/ä b", "big"], "many": [["a/ä b", "one"], ["none", null]], "none": null, "gone": null,
                "refusal": true, "byClient": "from wrangler",
            })
        );

        assert_eq!(kv(&["key", "get", "a/ä b", "--text"]).await.trim_end(), "one");
        kv(&["key", "put", "m", "v", "--metadata", "{\"a\":[1]}", "--ttl", "120"]).await;
        let keys: Vec<Value> = serde_json::from_str(&kv(&["key", "list", "--prefix", "m"]).await).unwrap();
        assert_eq!((&keys[0]["name"], &keys[0]["metadata"]), (&json!("m"), &json!({"a": [1]})));
        assert!(keys[0]["expiration"].is_number());
        let pairs: Vec<Value> = (0..1_100).map(|i| json!({"key": format!("bulk/{i:04}"), "value": format!("v{i}")})).collect();
        std::fs::write(desk.at.join("pairs.json"), serde_json::to_string(&pairs).unwrap()).unwrap();
        std::fs::write(desk.at.join("some.json"), "[\"bulk/0001\", \"none\"]").unwrap();
        kv(&["bulk", "put", "pairs.json"]).await;
        let keys: Vec<Value> = serde_json::from_str(&kv(&["key", "list", "--prefix", "bulk/"]).await).unwrap();
        assert_eq!(keys.len(), 1_100, "a list of two pages");
        let said = kv(&["bulk", "get", "some.json"]).await;
        assert!(said.contains("v1"), "{said}");
        kv(&["bulk", "delete", "some.json", "--force"]).await;
        kv(&["key", "delete", "m"]).await;
        assert!(desk.refused(&["kv", "key", "get", "m", "--namespace-id", id, "--remote"]).await.contains("404"));
        desk.wrangler(&["delete", "--force"]).await;
        desk.wrangler(&["kv", "namespace", "delete", "--namespace-id", id, "-y"]).await;
        assert_eq!(desk.wrangler(&["kv", "namespace", "list"]).await.trim(), "[]");
    }
}
