//! `deploy` and `delete`.

use std::fs;

use serde_json::json;

use crate::lane::{DATE, Lane, holds};
use crate::outcome::{Done, Ended};

/// `(module (func (export "f") (result i32) i32.const 42))`
const WASM: &[u8] = &[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11];

pub async fn modules(at: &Lane<'_>) -> Done {
    let project = at.project(
        json!({"main": "index.js"}),
        &[
            ("index.js", "import { word } from './word.js'; export default { fetch() { return new Response(word) } }"),
            ("word.js", "export const word = 'imported'"),
        ],
    );
    project.says("deploy", "Current Version ID").await?;
    project.answers("/", "imported").await
}

pub async fn again(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch() { return new Response('one') } }");
    project.run("deploy").await?;
    project.answers("/", "one").await?;
    project.write("index.js", "export default { fetch() { return new Response('two') } }");
    project.run("deploy --message \"the second\"").await?;
    project.answers("/", "two").await?;
    project.says("deployments list", "the second").await.map(drop)
}

pub async fn modules_of_all_kinds(at: &Lane<'_>) -> Done {
    let code = "import text from './a.txt'; import data from './b.bin'; import wasm from './c.wasm';
        export default { async fetch() {
            const { exports } = await WebAssembly.instantiate(wasm);
            return new Response([text, new Uint8Array(data).length, exports.f()].join(' '));
        } }";
    let project = at.project(json!({"main": "index.js"}), &[("index.js", code), ("a.txt", "words"), ("b.bin", "12345")]);
    fs::write(project.at.join("c.wasm"), WASM).unwrap();
    project.run("deploy").await?;
    project.answers("/", "words 5 42").await
}

const LISTENER: &str = "addEventListener('fetch', event => event.respondWith(new Response(ANSWER)))";

pub async fn service_worker(at: &Lane<'_>) -> Done {
    let project = at.project(json!({"main": "index.js", "vars": {"ANSWER": "listened"}}), &[("index.js", LISTENER)]);
    project.run("deploy").await?;
    project.answers("/", "listened").await?;
    project.write("index.js", &LISTENER.replace("ANSWER", "ANSWER + '!'"));
    project.run("deploy").await?;
    project.answers("/", "listened!").await
}

pub async fn service_worker_parts(at: &Lane<'_>) -> Done {
    let config = json!({
        "main": "index.js", "wasm_modules": {"CODE": "c.wasm"}, "text_blobs": {"TEXT": "a.txt"}, "data_blobs": {"DATA": "b.bin"},
    });
    let code = "addEventListener('fetch', event => event.respondWith(answer()));
        async function answer() {
            const instance = await WebAssembly.instantiate(CODE);
            return new Response([TEXT, DATA.byteLength, instance.exports.f()].join(' '));
        }";
    let project = at.project(config, &[("index.js", code), ("a.txt", "words"), ("b.bin", "12345")]);
    fs::write(project.at.join("c.wasm"), WASM).unwrap();
    project.run("deploy").await?;
    project.answers("/", "words 5 42").await
}

pub async fn python(at: &Lane<'_>) -> Done {
    let config = json!({"main": "index.py", "compatibility_flags": ["python_workers"]});
    let code = "from workers import Response\n\ndef on_fetch(request):\n    return Response('snake')\n";
    let project = at.project(config, &[("index.py", code)]);
    project.run("deploy").await?;
    project.answers("/", "snake").await
}

pub async fn vars(at: &Lane<'_>) -> Done {
    let code = "export default { fetch(request, env) { return new Response(env.TEXT + env.JSON.a[1]) } }";
    let config = json!({"main": "index.js", "vars": {"TEXT": "t", "JSON": {"a": [1, 2]}}});
    let project = at.project(config, &[("index.js", code)]);
    project.run("deploy").await?;
    project.answers("/", "t2").await
}

pub async fn keep_vars(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch(request, env) { return new Response([env.A, env.B].join()) } }");
    project.run("deploy --var A:one").await?;
    project.answers("/", "one,").await?;
    project.run("deploy --keep-vars --var B:two").await?;
    project.answers("/", "one,two").await?;
    project.run("deploy").await?;
    project.answers("/", ",").await
}

/// An environment is a Worker of its own, `NAME-ENVIRONMENT`.
pub async fn environment(at: &Lane<'_>) -> Done {
    let config = json!({"main": "index.js", "vars": {"A": "top"}, "env": {"staging": {"vars": {"A": "staging"}}}});
    let project = at.project(config, &[("index.js", "export default { fetch(r, env) { return new Response(env.A) } }")]);
    project.run("deploy --env \"\"").await?;
    project.run("deploy --env staging").await?;
    project.answers("/", "top").await?;
    let host = project.host().await?.replacen(&at.name, &format!("{}-staging", at.name), 1);
    let (_, text) = at.cloud.visit(&host, "/").await;
    project.run("delete --force --env staging").await?;
    holds(&text, "staging")
}

pub async fn node(at: &Lane<'_>) -> Done {
    let code = "import { createHash } from 'node:crypto'; import { Buffer } from 'node:buffer';
        export default { fetch() { return new Response(createHash('sha256').update(Buffer.from('a')).digest('hex').slice(0, 8)) } }";
    let project = at.project(json!({"main": "index.js", "compatibility_flags": ["nodejs_compat"]}), &[("index.js", code)]);
    project.run("deploy").await?;
    project.answers("/", "ca978112").await
}

/// What does not start is refused, and what was live stays live.
pub async fn broken(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch() { return new Response('sound') } }");
    project.run("deploy").await?;
    project.write("index.js", "throw new Error('at the start'); export default {}");
    project.refused("deploy", 10_021).await?;
    project.answers("/", "sound").await
}

pub async fn dry(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch() { return new Response('x') } }");
    project.run("deploy --dry-run --outdir out").await?;
    holds(&project.read("out/index.js")?, "new Response")
}

pub async fn delete(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch() { return new Response('here') } }");
    project.run("deploy").await?;
    let host = project.host().await?;
    project.answers("/", "here").await?;
    project.run("delete").await?;
    match at.cloud.visit(&host, "/").await {
        (404, _) => Ok(()),
        (status, text) => Err(Ended::failed(format!("a deleted Worker answers {status} {text}"))),
    }
}

pub async fn delete_bound(at: &Lane<'_>) -> Done {
    let project = at.worker("export default { fetch() { return new Response('x') } }");
    project.run("deploy").await?;
    let caller = format!("{}-caller", at.name);
    let config =
        json!({"name": caller, "main": "index.js", "compatibility_date": DATE, "services": [{"binding": "OTHER", "service": at.name}]});
    project.write("caller.json", &config.to_string());
    project.run("deploy --config caller.json").await?;
    let refused = project.refused("delete", 10_064).await;
    let forced = project.run("delete --force").await;
    project.run("delete --force --config caller.json").await?;
    refused.and(forced).map(drop)
}
