//! Who may call what of slipway: every route that is mounted, as everybody, against a golden file. A route or a rule that changes
//! shows as a changed line; `UPDATE_GOLDEN=1` writes the file anew, for a person to read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Method, Request, StatusCode};
use purser_http::routes::mounted;
use purser_values::{Env, Sha256Digest};
use purser_wire::resource::AgentRef;
use purser_wire::signature::{hmac, v2};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{DATE, ESM, SECRET, Workers, World, multipart};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slipway/who-may.txt");

/// Everybody, as the columns of the table: nobody; a token that nobody was given; an agent of another account; an agent of this account whose
/// credentials were disabled; the owner's session in a browser; the agent of the account; whoever can sign as the orchestrator, without and
/// with the account's access token. The last two come last, for they change things.
const CALLERS: [&str; 8] = ["anonymous", "forged", "stranger", "stopped", "session", "signature", "agent", "both"];

/// What is there for everybody.
const OPEN: [&str; 11] = [
    "/abuse",
    "/",
    "/style.css",
    "/terms/terms-1.0.txt",
    "/health",
    "/sign-in",
    "/sign-in/code",
    "/.well-known/agentic-provider.json",
    "/.well-known/oauth-authorization-server",
    "/rdap/help",
    "/rdap/entity/{handle}",
];

/// A route as method and path.
type Route = (String, String);

/// An account with a Worker and a domain, and who calls.
struct Scene {
    world: World,
    own: Workers,
    zone: String,
    record: String,
    version: String,
    deployment: String,
    subscription: String,
    /// Ids of what Workers keep, by the names in routes.
    stores: Vec<(&'static str, String)>,
    /// A token that the agent's token made.
    token: String,
    membership: String,
    access: String,
    stranger: String,
    stopped: String,
    cookies: String,
}

async fn scene() -> Option<Scene> {
    let world = World::start().await?;
    let (ada, eve) = (world.customer("ada").await, world.customer("eve").await);
    let (own, other) = (world.workers(&ada, "agt_ada").await, world.workers(&eve, "agt_eve").await);
    let stopped = world.workers(&ada, "agt_stopped").await;
    world
        .client
        .credentials_disable(&ada.access, &AgentRef { id: "agt_stopped".parse().unwrap(), jkt: None, grant: None }, None)
        .await
        .unwrap();
    world.domain(&ada, "hers.test", "agt_ada").await;
    let code = "export default { fetch() { return new Response('hers') } }";
    assert_eq!(world.upload(&own, "hers", code).await.0, StatusCode::OK);
    let get = async |path: &str| world.api(&own.token, Method::GET, path, None).await.1["result"].clone();
    let (account, script) = (format!("/accounts/{}", own.account), format!("/accounts/{}/workers/scripts/hers", own.account));
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned();
    let zone = text(&get("/zones").await[0]["id"]);
    let record = json!({"name": "api", "type": "A", "content": "192.0.2.1"});
    let (_, record) = world.api(&own.token, Method::POST, &format!("/zones/{zone}/dns_records"), Some(record)).await;
    let record = text(&record["result"]["id"]);
    let version = text(&get(&format!("{script}/versions")).await["items"][0]["id"]);
    let deployment = text(&get(&format!("{script}/deployments")).await["deployments"][0]["id"]);
    let subscription = text(&get(&format!("{account}/subscriptions")).await[0]["id"]);
    let stores = stores(&world, &own).await;
    let (_, made) = world.api(&own.token, Method::POST, "/user/tokens", Some(json!({"name": "made", "policies": []}))).await;
    let (token, membership) = (text(&made["result"]["id"]), text(&get("/memberships").await[0]["id"]));
    let mut person = world.person("ada");
    let page = person.open("/connections").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let (access, cookies) = (ada.access.expose().clone(), person.browser.cookies());
    Some(Scene {
        world,
        zone,
        record,
        version,
        deployment,
        subscription,
        stores,
        token,
        membership,
        access,
        stranger: other.token,
        stopped: stopped.token,
        cookies,
        own,
    })
}

/// One of each thing that Workers keep.
async fn stores(world: &World, own: &Workers) -> Vec<(&'static str, String)> {
    let made = async |path: &str, body: Value, id: &str| {
        let (status, answer) = world.api(&own.token, Method::POST, &format!("/accounts/{}{path}", own.account), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer["result"][id].as_str().unwrap().to_owned()
    };
    let queue = made("/queues", json!({"queue_name": "hers"}), "queue_id").await;
    let consumer = made(&format!("/queues/{queue}/consumers"), json!({"type": "http_pull"}), "consumer_id").await;
    let bucket = made("/r2/buckets", json!({"name": "hers"}), "name").await;
    vec![
        ("{namespace}", made("/storage/kv/namespaces", json!({"title": "hers"}), "id").await),
        ("{database}", made("/d1/database", json!({"name": "hers"}), "uuid").await),
        ("{bucket}", bucket),
        ("{queue}", queue),
        ("{consumer}", consumer),
        ("{*key}", "key".to_owned()),
        ("{token}", "x".to_owned()),
        ("{tail}", "x".to_owned()),
    ]
}

fn body(method: &str, route: &str) -> (String, Vec<u8>) {
    let upload = (method == "put" && route.ends_with("/scripts/{script}")) || (method == "post" && route.ends_with("/versions"));
    if method == "post" && route.ends_with("/dns_records/import") {
        return multipart(&[("file", None, b"mail 300 IN A 192.0.2.3")]);
    }
    if upload {
        let metadata = json!({"main_module": "index.js", "compatibility_date": DATE});
        let code = "export default { fetch() { return new Response('changed') } }";
        return multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
    }
    let agent = json!({"agent": {"id": "agt_ada"}});
    let body = match route {
        r if r.ends_with("/tokens") || r.ends_with("/tokens/{token}") => json!({"name": "made", "policies": []}),
        r if r.ends_with("/secrets") => json!({"name": "KEY", "text": "value", "type": "secret_text"}),
        r if r.ends_with("/subdomain") => json!({"enabled": true}),
        r if r.contains("/credentials/") => agent,
        r if r.ends_with("/dns_records") => json!({"name": "www", "type": "A", "content": "192.0.2.1"}),
        r if r.ends_with("/dns_records/{record}") => json!({"name": "api", "type": "A", "content": "192.0.2.2"}),
        r if r.ends_with("/domain-check") => json!({"domains": ["free.test"]}),
        r if r.ends_with("/domain-transfer-check") => json!({"domains": [{"domain_name": "free.test"}]}),
        r if r.ends_with("/registrations") => json!({"domain_name": "hers.test"}),
        r if r.ends_with("/registrations/{domain}") => json!({"auto_renew": false}),
        r if r.ends_with("/transfer-out") => json!({"agreed": false}),
        r if r.ends_with("/registrar/domains/{domain}") => json!({"locked": true}),
        r if r.ends_with("/namespaces") || r.ends_with("/{namespace}") => json!({"title": "more"}),
        r if r.ends_with("/bulk") || r.ends_with("/bulk/delete") => json!([]),
        r if r.ends_with("/bulk/get") => json!({"keys": ["key"]}),
        r if r.ends_with("/r2/buckets") || r.ends_with("/d1/database") => json!({"name": "more"}),
        r if r.ends_with("/queues") => json!({"queue_name": "more"}),
        r if r.ends_with("/messages") => json!({"body": 1}),
        r if r.ends_with("/messages/batch") => json!({"messages": [{"body": 1}]}),
        r if r.ends_with("/purge") => json!({"delete_messages_permanently": true}),
        r if r.ends_with("/{database}/query") || r.ends_with("/raw") => json!({"sql": "select 1"}),
        "/provisioning/quotes" => json!({"service_id": "workers:paid", "configuration": {}}),
        "/provisioning/resources" => json!({"service_id": "workers:free", "configuration": {}, "agent": agent["agent"]}),
        _ => json!({}),
    };
    let form = method == "post" && !route.starts_with("/client/") && !route.starts_with("/provisioning/");
    match (method, form) {
        ("get", _) => (String::new(), Vec::new()),
        (_, true) => ("application/x-www-form-urlencoded".to_owned(), b"grant_type=refresh_token&refresh_token=x".to_vec()),
        _ => ("application/json".to_owned(), body.to_string().into_bytes()),
    }
}

impl Scene {
    fn path(&self, route: &str) -> String {
        let id = if route.starts_with("/connections/") { "con_x" } else { &self.own.resource };
        let names = [
            ("{account}", self.own.account.as_str()),
            ("{zone}", &self.zone),
            ("{record}", &self.record),
            ("{version}", &self.version),
            ("{deployment}", &self.deployment),
            ("{subscription}", &self.subscription),
            ("{token}", &self.token),
            ("{membership}", &self.membership),
            ("{script}", "hers"),
            ("{secret}", "KEY"),
            ("{domain}", "hers.test"),
            ("{extension}", "test"),
            ("{handle}", "slipway"),
            ("{name}", "IN-1"),
            ("{*rest}", "nothing"),
            ("{id}", id),
        ];
        let stores = self.stores.iter().map(|(name, value)| (*name, value.as_str()));
        names.into_iter().chain(stores).fold(route.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    async fn call(&self, caller: &str, (method, route): &Route) -> StatusCode {
        let path = self.path(route);
        let named = if method == "any" { "GET".to_owned() } else { method.to_uppercase() };
        let (kind, body) = body(method, route);
        let mut request = Request::builder().method(named.as_str()).uri(&path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let token = match caller {
            // as one of slipway's looks, and made by nobody
            "forged" => {
                let (rest, last) = self.own.token.split_at(self.own.token.len() - 1);
                Some(format!("{rest}{}", if last == "x" { "y" } else { "x" }))
            }
            "stranger" => Some(self.stranger.clone()),
            "stopped" => Some(self.stopped.clone()),
            "agent" => Some(self.own.token.clone()),
            "both" => Some(self.access.clone()),
            _ => None,
        };
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if caller == "session" {
            request = request.header("cookie", &self.cookies).header("origin", self.world.config.public_url.as_str().trim_end_matches('/'));
        }
        if matches!(caller, "signature" | "both") {
            let (env, url) = (Env::system(), self.world.config.public_url.join(&path).unwrap());
            let signed = v2::Request { method: &named, url: url.as_str(), body: &body };
            let signature = v2::sign(&self.world.stub.attestor().key, signed, &env).unwrap();
            request = request.header(purser_wire::header::SIGNATURE_V2, signature);
            request = request.header(purser_wire::header::SIGNATURE, hmac::sign(&SECRET.to_owned().into(), &body, env.now()));
            request = request.header(purser_wire::header::API_VERSION, purser_wire::VERSION);
            request = request
                .header(purser_wire::header::IDEMPOTENCY_KEY, Sha256Digest::of(format!("{caller} {named} {path}").as_bytes()).to_string());
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([198, 51, 100, 7], 4711))));
        self.world.app.clone().oneshot(request).await.unwrap().status()
    }
}

/// Reading first, taking away last, and what ends everything after that.
fn rank((method, route): &Route) -> (usize, bool) {
    let last = ["/remove", "/account/freeze", "/account/thaw", "/sign-out", "/registrar/registrations/{domain}"]
        .iter()
        .any(|end| route.ends_with(end));
    (["any", "get", "put", "post", "patch", "delete"].iter().position(|m| m == method).unwrap(), last)
}

/// What nobody reaches but by what the part of slipway is for: a token of the account, a session of its owner, the orchestrator's hand.
fn may_succeed(caller: &str, (_, route): &Route) -> bool {
    if OPEN.contains(&route.as_str()) {
        return true;
    }
    if let Some(of_the_api) = route.strip_prefix("/client/v4") {
        // what names no account answers of the caller's own
        let own = !of_the_api.contains("{account}") && !of_the_api.contains("{zone}");
        // a token that was stopped is told so, and nothing else
        let told = caller == "stopped" && of_the_api == "/user/tokens/verify";
        return told || caller == "agent" || (caller == "stranger" && own);
    }
    let of_the_protocol = route.starts_with("/provisioning/") || route == "/oauth/token";
    match caller {
        "signature" | "both" => of_the_protocol,
        "session" => !of_the_protocol,
        _ => false,
    }
}

#[tokio::test]
async fn everybody_may_call_what_the_golden_table_says_and_a_token_reaches_nothing_of_another_account() {
    let Some(scene) = scene().await else { return };
    let routes: Vec<Route> = mounted(&scene.world.app).into_iter().collect();
    assert!(routes.len() > 80 && routes.iter().any(|(_, path)| path == "/provisioning/resources/{id}"), "{routes:?}");
    let parts: BTreeSet<bool> = routes.iter().map(|(_, path)| path.starts_with("/client/v4/")).collect();
    assert_eq!(parts.len(), 2, "the API is mounted beside the rest");
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|at| rank(&routes[*at]));
    let mut columns = vec![vec![StatusCode::OK; routes.len()]; CALLERS.len()];
    for (caller, name) in CALLERS.iter().enumerate() {
        for at in &order {
            let status = scene.call(name, &routes[*at]).await;
            columns[caller][*at] = status;
            assert!(!status.is_success() || may_succeed(name, &routes[*at]), "{name} reaches {:?}: {status}", routes[*at]);
        }
    }
    let of = |name: &str| &columns[CALLERS.iter().position(|caller| *caller == name).unwrap()];
    let api = routes.iter().zip(of("agent")).filter(|((_, path), _)| path.starts_with("/client/v4/"));
    let (all, reached) = api.fold((0, 0), |(all, reached), (_, status)| (all + 1, reached + usize::from(status.is_success())));
    assert!(reached * 3 >= all * 2, "the agent itself reaches only {reached} of {all}: a refusal then proves nothing");

    let mut table = format!("{:<96}", "");
    for caller in CALLERS {
        write!(table, " {caller:>9}").unwrap();
    }
    for (at, (method, route)) in routes.iter().enumerate() {
        write!(table, "\n{:<96}", format!("{:<6} {route}", method.to_uppercase())).unwrap();
        for column in &columns {
            write!(table, " {:>9}", column[at].as_u16()).unwrap();
        }
    }
    table.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        table == golden,
        "who may call what has changed; read it, and if it is meant, set UPDATE_GOLDEN=1\n\nnow:\n{table}\nbefore:\n{golden}"
    );
}
