//! The table of `docs/sdk.md`: the official clients in JavaScript and Python, unmodified, behind a proxy that is as bad as a network can
//! be: the answer to every call that changes something is lost the first time, after it was carried out, so that each such call arrives
//! twice. `PURSER_BLESS=1` writes the file anew, otherwise a difference fails.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::cloud::{Cloud, need, run, said};
use crate::outcome::{unfit, verdicts};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sdk.md");
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wrangler");
const BODY_BYTES: usize = 32 << 20;

const HEAD: &str = r#"# What the official SDKs do here

The unmodified `cloudflare` packages, npm 7.3.0 and PyPI 5.9.0, with the same three values as wrangler ([where they come from](wrangler.md)). They read
the token from `CLOUDFLARE_API_TOKEN` by themselves; their name for slipway's address is `CLOUDFLARE_BASE_URL`, and the account goes into each call:

```
purser run -- sh -c 'CLOUDFLARE_BASE_URL="$CLOUDFLARE_API_BASE_URL" exec node deploy.mjs'
```

In code: `new Cloudflare({ baseURL: process.env.CLOUDFLARE_API_BASE_URL })`, `Cloudflare(base_url=os.environ["CLOUDFLARE_API_BASE_URL"])`.

This table is written by the test that runs it ([tests/tests/wrangler/sdk.rs](../tests/tests/wrangler/sdk.rs)). Between client and slipway stands a proxy that loses the first
answer to every call that changes something, after it was carried out: *works* means that it works although each such call arrives twice.

| resource | npm 7.3.0 | PyPI 5.9.0 |
|---|---|---|
"#;

#[derive(Deserialize)]
struct Line {
    row: String,
    result: String,
}

/// The proxy's memory: what it has lost an answer of.
struct Bad {
    to: Url,
    client: reqwest::Client,
    lost: Mutex<HashSet<Vec<u8>>>,
}

async fn lose(State(bad): State<Arc<Bad>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_BYTES).await.unwrap();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut call = bad.client.request(parts.method.clone(), bad.to.join(path).unwrap());
    for (name, value) in parts.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection")) {
        call = call.header(name, value);
    }
    // a form has another boundary in every attempt, so it is told by its path
    let form = bytes.starts_with(b"--");
    let key = [parts.method.as_str().as_bytes(), path.as_bytes(), if form { b"" } else { &bytes }].concat();
    let answer = call.body(bytes).send().await.unwrap();
    if !parts.method.is_safe() && bad.lost.lock().unwrap().insert(key) {
        return (StatusCode::BAD_GATEWAY, "the answer was lost").into_response();
    }
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !matches!(name.as_str(), "transfer-encoding" | "connection")) {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

async fn proxy(to: &Url) -> SocketAddr {
    let bad = Bad { to: to.clone(), client: reqwest::Client::builder().no_proxy().build().unwrap(), lost: Mutex::default() };
    let router = Router::new().fallback(lose).with_state(Arc::new(bad));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_in_the_documents_is_what_both_sdks_meet() {
    let Some(node) = need("PURSER_NODE") else { return };
    let Some(modules) = need("PURSER_CLOUDFLARE_SDK") else { return };
    let Some(python) = need("PURSER_CLOUDFLARE_PYTHONPATH") else { return };
    let Some(cloud) = Cloud::start().await else { return };
    let at = proxy(&cloud.api).await;
    let mut results: Vec<BTreeMap<String, String>> = Vec::new();
    let mut order: Vec<String> = Vec::new();
    for (program, file, name) in [(node.as_path(), "drive.mjs", "sdk-js"), (Path::new("python3"), "drive.py", "sdk-py")] {
        let customer = cloud.customer(name, &format!("{name}.test")).await;
        let mut variables = customer.variables.clone();
        variables.extend([
            ("CLOUDFLARE_BASE_URL".to_owned(), format!("http://{at}/client/v4")),
            ("DOMAIN".to_owned(), customer.domain.clone()),
            ("SDK_MODULES".to_owned(), modules.display().to_string()),
            ("PYTHONPATH".to_owned(), python.display().to_string()),
        ]);
        let script = format!("{HERE}/{file}");
        let output = run(program, cloud.folder.path(), cloud.folder.path(), &[&script], &variables, "").await;
        let text = said(&output);
        let lines: Vec<Line> = String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(output.status.success() && !lines.is_empty(), "{file} did not run:\n{text}");
        eprintln!("{text}");
        for line in &lines {
            if !order.contains(&line.row) {
                order.push(line.row.clone());
            }
        }
        results.push(lines.into_iter().map(|line| (line.row, line.result)).collect());
    }
    let mut text = HEAD.to_owned();
    for row in &order {
        let cell = |of: &BTreeMap<String, String>| of.get(row).map_or_else(|| "—".to_owned(), |text| crate::outcome::plain(text));
        writeln!(text, "| {row} | {} | {} |", cell(&results[0]), cell(&results[1])).unwrap();
    }
    let unfit = unfit(&text);
    assert!(unfit.is_empty(), "not everything works or is refused with 10021:\n{unfit:#?}");
    if std::env::var_os("PURSER_BLESS").is_some() {
        std::fs::write(FILE, &text).unwrap();
    } else {
        let there = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(verdicts(&there) == verdicts(&text), "docs/sdk.md differs from the truth; PURSER_BLESS=1 writes it\n{text}");
    }
}
