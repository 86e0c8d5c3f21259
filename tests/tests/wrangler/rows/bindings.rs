//! Bindings by kind: those that are here, and those that are refused with a sentence.

use serde_json::{Value, json};

use crate::lane::{DATE, Lane, holds};
use crate::outcome::Done;

const PLAIN: &str = "export class Flow {} export default { fetch() { return new Response('deployed') } }";

pub async fn service(at: &Lane<'_>) -> Done {
    let other = format!("{}-other", at.name);
    let project = at.project(
        json!({"main": "index.js", "services": [{"binding": "OTHER", "service": other}, {"binding": "NAMED", "service": other, "entrypoint": "Named"}]}),
        &[
            ("index.js", "export default { async fetch(r, env) { return new Response(await (await env.OTHER.fetch(r)).text() + await env.NAMED.add(1, 2)) } }"),
            ("other.js", "import { WorkerEntrypoint } from 'cloudflare:workers'; export class Named extends WorkerEntrypoint { add(a, b) { return a + b } }
                export default { fetch() { return new Response('other ') } }"),
            ("other.json", &json!({"name": other, "main": "other.js", "compatibility_date": DATE}).to_string()),
        ],
    );
    project.run("deploy --config other.json").await?;
    project.run("deploy").await?;
    let done = project.answers("/", "other 3").await;
    project.run("delete --force --config other.json").await?;
    done
}

pub async fn version_metadata(at: &Lane<'_>) -> Done {
    let code = "export default { fetch(r, env) { return new Response(env.VERSION.tag + ' ' + env.VERSION.id.length) } }";
    let project = at.project(json!({"main": "index.js", "version_metadata": {"binding": "VERSION"}}), &[("index.js", code)]);
    project.run("deploy --tag first").await?;
    project.answers("/", "first 36").await
}

pub async fn rate_limit(at: &Lane<'_>) -> Done {
    let code = "export default { async fetch(r, env) {
        let yes = 0; for (let i = 0; i < 5; i++) yes += (await env.LIMIT.limit({ key: 'k' })).success ? 1 : 0;
        return new Response(String(yes)) } }";
    let limit = json!([{"name": "LIMIT", "namespace_id": "1001", "simple": {"limit": 3, "period": 60}}]);
    let project = at.project(json!({"main": "index.js", "ratelimits": limit}), &[("index.js", code)]);
    project.run("deploy").await?;
    project.answers("/", "3").await
}

pub async fn provisioned(at: &Lane<'_>) -> Done {
    let code = "export default { async fetch(r, env) { await env.KV.put('k', 'v');
        return new Response([await env.KV.get('k'), (await env.DB.prepare('select 1 as n').first()).n, await env.B.head('none')].join()) } }";
    let config = json!({"main": "index.js", "kv_namespaces": [{"binding": "KV"}], "d1_databases": [{"binding": "DB"}], "r2_buckets": [{"binding": "B"}]});
    let project = at.project(config, &[("index.js", code)]);
    let told = project.run("deploy --x-provision --x-auto-create").await?;
    holds(&told, "Deployed")?;
    project.answers("/", "v,1,").await
}

macro_rules! kinds {
    ($($name:ident $config:tt;)*) => {
        $(pub async fn $name(at: &Lane<'_>) -> Done {
            with(at, json!($config)).await
        })*
    };
}

async fn with(at: &Lane<'_>, config: Value) -> Done {
    let mut whole = json!({"main": "index.js"});
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let project = at.project(whole, &[("index.js", PLAIN)]);
    project.run("deploy").await?;
    project.answers("/", "deployed").await
}

kinds! {
    ai {"ai": {"binding": "AI"}};
    analytics {"analytics_engine_datasets": [{"binding": "AE", "dataset": "d"}]};
    browser {"browser": {"binding": "BROWSER"}};
    dispatch {"dispatch_namespaces": [{"binding": "D", "namespace": "n"}]};
    hyperdrive {"hyperdrive": [{"binding": "H", "id": "0123456789abcdef0123456789abcdef"}]};
    images {"images": {"binding": "IMAGES"}};
    mtls {"mtls_certificates": [{"binding": "M", "certificate_id": "00000000-0000-0000-0000-000000000000"}]};
    pipelines {"pipelines": [{"binding": "P", "pipeline": "p"}]};
    secrets_store {"secrets_store_secrets": [{"binding": "S", "store_id": "0123456789abcdef0123456789abcdef", "secret_name": "s"}]};
    send_email {"send_email": [{"name": "E"}]};
    vectorize {"vectorize": [{"binding": "V", "index_name": "i"}]};
    worker_loader {"worker_loaders": [{"binding": "L"}]};
    workflows {"workflows": [{"binding": "W", "name": "w", "class_name": "Flow"}]};
}
