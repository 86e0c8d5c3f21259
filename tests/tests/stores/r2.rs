//! Object buckets.

use serde_json::json;

use super::cloud::{Cloud, project};
use super::{Desk, wranglers};

const WORKER: &str = r#"
export default {
  async fetch(request, env) {
    const r2 = env.BUCKET;
    try {
      const put = await r2.put("dir/a", "hello world", {
        httpMetadata: { contentType: "text/plain", cacheControl: "max-age=5" }, customMetadata: { of: "Ada" },
        sha256: await crypto.subtle.digest("SHA-256", new TextEncoder().encode("hello world")),
      });
      const part = await r2.get("dir/a", { range: { offset: 6, length: 3 } });
      const suffix = await r2.get("dir/a", { range: { suffix: 2 } });
      const unless = await r2.get("dir/a", { onlyIf: { etagDoesNotMatch: put.etag } });
      const not = await r2.put("dir/a", "other", { onlyIf: { etagMatches: "x" } });
      const head = await r2.head("dir/a");
      await r2.put("dir/b", ""); await r2.put("c", new Uint8Array(300_000).fill(1));
      const empty = await (await r2.get("dir/b")).text();
      const all = await r2.list({ include: ["customMetadata"] });
      const dirs = await r2.list({ delimiter: "/" });
      const one = await r2.list({ limit: 1 });
      const next = await r2.list({ limit: 1, cursor: one.cursor });
      let wrong = "";
      try { await r2.put("bad", "x", { md5: new Uint8Array(16) }); } catch (e) { wrong = e.message; }
      const upload = await r2.createMultipartUpload("multi", { customMetadata: { big: "yes" } });
      const five = new Uint8Array(5 * 1024 * 1024).fill(5);
      const two = await upload.uploadPart(2, new Uint8Array([1, 2, 3]));
      const first = await env.BUCKET.resumeMultipartUpload("multi", upload.uploadId).uploadPart(1, five);
      const done = await upload.complete([first, two]);
      const tail = await r2.get("multi", { range: { offset: five.length - 1 } });
      const aborted = await r2.createMultipartUpload("gone");
      await aborted.uploadPart(1, "x"); await aborted.abort();
      await r2.delete(["c", "none"]);
      return Response.json({
        etag: put.etag, size: put.size, type: head.httpMetadata.contentType, custom: head.customMetadata, part: await part.text(),
        suffix: await suffix.text(), unless: "body" in unless && unless.body !== undefined, not, empty,
        all: all.objects.map((o) => [o.key, o.customMetadata]), dirs: [dirs.delimitedPrefixes, dirs.objects.map((o) => o.key)],
        pages: [one.truncated, one.objects[0].key, next.objects[0].key], wrong: wrong.includes("10037"),
        multi: [done.size, done.etag.endsWith("-2"), [...new Uint8Array(await tail.arrayBuffer())]],
        gone: await r2.get("gone"), deleted: await r2.head("c"), checksum: head.checksums.toJSON().sha256?.length,
      });
    } catch (e) { return Response.json({ error: String(e) }, { status: 500 }); }
  }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn wrangler_and_workers_share_a_bucket() {
    let Some(cloud) = Cloud::start().await else { return };
    for (name, wrangler) in wranglers() {
        let domain = format!("r2-{name}.test");
        let customer = cloud.customer(&format!("r2{name}"), &domain).await;
        let config = json!({
            "name": "r2", "main": "index.js", "compatibility_date": "2026-04-01", "workers_dev": true,
            "routes": [{"pattern": domain, "custom_domain": true}], "r2_buckets": [{"binding": "BUCKET", "bucket_name": "things"}],
        });
        let at = project(cloud.folder.path(), &format!("r2-{name}"), &config, &[("index.js", WORKER.as_bytes())]);
        let desk = Desk { cloud: &cloud, customer: &customer, wrangler: &wrangler, at };
        // where there is a configuration, this would be written into it
        let nothing = project(cloud.folder.path(), &format!("r2-{name}-nothing"), &json!({}), &[]);
        Desk { at: nothing, cloud: &cloud, customer: &customer, wrangler: &wrangler }.wrangler(&["r2", "bucket", "create", "things"]).await;
        assert!(desk.wrangler(&["r2", "bucket", "list"]).await.contains("things"));
        assert!(desk.wrangler(&["r2", "bucket", "info", "things"]).await.contains("things"));
        desk.wrangler(&["deploy"]).await;
        let answer = desk.asked("/").await;
        assert_eq!(
            answer,
            json!({
                "etag": "5eb63bbbe01eeed093cb22bb8f5acdc3", "size": 11, "type": "text/plain", "custom": {"of": "Ada"}, "part": "wor",
                "suffix": "ld", "unless": false, "not": null, "empty": "",
                "all": [["c", {}], ["dir/a", {"of": "Ada"}], ["dir/b", {}]], "dirs": [["dir/"], ["c"]],
                "pages": [true, "c", "dir/a"], "wrong": true, "multi": [5_242_883, true, [5, 1, 2, 3]], "gone": null, "deleted": null,
                "checksum": 64,
            })
        );

        let big = vec![9_u8; 3_000_000];
        std::fs::write(desk.at.join("file.bin"), &big).unwrap();
        desk.wrangler(&["r2", "object", "put", "things/up/file.bin", "--file", "file.bin", "--content-type", "image/png", "--remote"])
            .await;
        desk.wrangler(&["r2", "object", "get", "things/up/file.bin", "--file", "back.bin", "--remote"]).await;
        assert_eq!(std::fs::read(desk.at.join("back.bin")).unwrap(), big);
        assert!(desk.refused(&["r2", "bucket", "delete", "things"]).await.contains("not empty"));
        for key in ["up/file.bin", "dir/a", "dir/b", "multi"] {
            desk.wrangler(&["r2", "object", "delete", &format!("things/{key}"), "--remote"]).await;
        }
        desk.wrangler(&["delete", "--force"]).await;
        desk.wrangler(&["r2", "bucket", "delete", "things"]).await;
        assert!(!desk.wrangler(&["r2", "bucket", "list"]).await.contains("things"));
    }
}
