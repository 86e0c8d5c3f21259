//! Who is answered what where neither the API's table nor that of the pages looks: OAuth and OpenID Connect, what is well known, the
//! sandbox's own pages, what the operator's machines ask. Every such route that is mounted, as everybody, against a golden file;
//! `UPDATE_GOLDEN=1 cargo test -p purser-server --test suite who_asks` writes it anew, for a person to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::world::client::{Client, query};
use crate::world::{Agent, World};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use purser_http::routes::{listed, mounted};
use purser_server::{api, console};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/who-asks.txt");

/// Everybody, as the columns of the table: nobody; an agent and a terminal of the owner's, each by its token and a proof; the owner's
/// session; another client; the client that the requests are about, by its secret; and whoever has the token of its registration.
const CALLERS: [&str; 7] = ["anonymous", "agent", "terminal", "session", "stranger", "client", "manager"];

/// A route as method and path.
type Route = (String, String);

struct Scene {
    world: World,
    surface: Router,
    agent: (Agent, String),
    terminal: (Agent, String),
    cookies: BTreeMap<String, String>,
    client: Client,
    stranger: Client,
    /// The client's own.
    token: String,
    /// Where the owner chooses a card.
    reference: String,
}

async fn scene() -> Scene {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let terminal = world.terminal(&mut ada).await;
    let confidential = json!({
        "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    });
    let (client, stranger) = (world.client(confidential.clone()).await, world.client(confidential).await);
    let basic = basic(&client);
    let (status, own) = world.form("/oauth/token", &[("authorization", &basic)], &[("grant_type", "client_credentials")]).await;
    assert_eq!(status, StatusCode::OK, "{own}");
    let page = ada.get("/card").await;
    let choices = ada.submit(&page, page.body.matches("<form").count() - 1, &[], None).await.location().to_owned();
    let reference = choices.strip_prefix("/sandbox/cards/").unwrap_or_else(|| panic!("no card to choose: {choices}")).to_owned();
    Scene {
        surface: world.surface(),
        agent: (agent, tokens["access_token"].as_str().unwrap().to_owned()),
        terminal,
        cookies: ada.cookies.clone(),
        client,
        stranger,
        token: own["access_token"].as_str().unwrap().to_owned(),
        reference,
        world,
    }
}

fn basic(client: &Client) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", client.id, client.secret.as_ref().unwrap())))
}

impl Scene {
    /// A request that the client could make, whoever makes it.
    fn request(&self, method: &str, route: &str) -> (String, &'static str, String) {
        let path = route.replace("{client_id}", &self.client.id).replace("{name}", "acme");
        let path = path.replace("{reference}", &self.reference).replace("{charge}", "chg_01jd0000000000000000000000");
        let challenge = self.client.challenge();
        let asks = query(&self.client.asks(&challenge, &[]));
        let form = match route {
            "/oauth/authorize" if method == "get" => return (format!("{path}?{asks}"), "", String::new()),
            "/oauth/register" | "/oauth/register/{client_id}" if method != "get" => {
                let metadata =
                    json!({ "client_id": self.client.id, "redirect_uris": [crate::world::client::CALLBACK], "client_name": "App" });
                return (path, "application/json", metadata.to_string());
            }
            _ if method == "get" => return (path, "", String::new()),
            "/oauth/authorize" | "/oauth/par" => asks,
            "/oauth/token" => query(&[("grant_type", "client_credentials")]),
            "/oauth/device_authorization" => query(&[("client_name", "Builder")]),
            "/oauth/introspect" | "/oauth/revoke" => query(&[("token", &self.token)]),
            route if route.starts_with("/sandbox/") => query(&[("csrf", "x"), ("card", "4242")]),
            _ => query(&[("csrf", "x"), ("logout_token", "x.y.z")]),
        };
        (path, "application/x-www-form-urlencoded", form)
    }

    /// The answer, and whether it says that the token counts.
    async fn call(&self, caller: &str, (method, route): &Route) -> (StatusCode, bool) {
        let (path, kind, body) = self.request(method, route);
        let named = method.to_uppercase();
        let mut request = Request::builder().method(named.as_str()).uri(&path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let bare = path.split('?').next().unwrap();
        request = match caller {
            "agent" | "terminal" => {
                let (agent, token) = if caller == "agent" { &self.agent } else { &self.terminal };
                let proof = agent.proof(&named, &self.world.front.realm.url(bare), Some(token));
                request.header("authorization", format!("DPoP {token}")).header("dpop", proof)
            }
            "session" => {
                let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
                request.header("cookie", cookies.join("; "))
            }
            "stranger" => request.header("authorization", basic(&self.stranger)),
            "client" => request.header("authorization", basic(&self.client)),
            "manager" => {
                let token = self.client.information["registration_access_token"].as_str().unwrap();
                request.header("authorization", format!("Bearer {token}"))
            }
            _ => request,
        };
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([198, 51, 100, 9], 4711))));
        let answer = self.surface.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap_or_default();
        (status, body["active"] == true)
    }
}

/// What changes things comes after what looks, and what takes the client away last.
fn rank((method, route): &Route) -> usize {
    match (method.as_str(), route.as_str()) {
        ("delete", _) => 3,
        ("put", _) | (_, "/oauth/revoke") => 2,
        ("post", _) => 1,
        _ => 0,
    }
}

#[tokio::test]
async fn everybody_is_answered_what_the_golden_table_says_and_only_a_client_learns_of_its_token_or_changes_itself() {
    let scene = scene().await;
    let all = mounted(&scene.surface);
    let looked_at_elsewhere = listed(&[api::ROUTES, console::ROUTES]);
    // a table is what is mounted, and nothing that only looks like it
    let absent: Vec<&Route> = looked_at_elsewhere.difference(&all).collect();
    assert!(absent.is_empty(), "in a table and not mounted: {absent:?}");
    let routes: Vec<Route> = all.difference(&looked_at_elsewhere).cloned().collect();
    for there in ["/oauth/token", "/.well-known/jwks.json", "/sandbox/cards/{reference}", "/metrics"] {
        assert!(routes.iter().any(|(_, path)| path == there), "`{there}` is not mounted: {routes:?}");
    }
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|at| rank(&routes[*at]));
    let mut columns = vec![vec![String::new(); routes.len()]; CALLERS.len()];
    let mut nobody = vec![StatusCode::OK; routes.len()];
    for (caller, name) in CALLERS.iter().enumerate() {
        for at in &order {
            let (status, active) = scene.call(name, &routes[*at]).await;
            let (method, path) = &routes[*at];
            columns[caller][*at] = format!("{}{}", status.as_u16(), if active { "+" } else { "" });
            assert!(!status.is_server_error(), "{name} breaks {method} {path}: {status}");
            assert!(!active || *name == "client", "{name} learns of the client's token at {path}");
            match *name {
                "anonymous" => nobody[*at] = status,
                // an agent is no client, no person and no manager: it is answered as nobody, or refused
                "agent" => assert!(!status.is_success() || nobody[*at].is_success(), "an agent reaches {method} {path}: {status}"),
                _ => {}
            }
            let own = path == "/oauth/register/{client_id}";
            assert!(!own || *name == "manager" || !status.is_success(), "{name} manages the client: {method} {status}");
        }
    }
    let mut table = format!("{:<52}", "");
    for caller in CALLERS {
        write!(table, " {caller:>9}").unwrap();
    }
    for (at, (method, route)) in routes.iter().enumerate() {
        write!(table, "\n{:<52}", format!("{:<6} {route}", method.to_uppercase())).unwrap();
        for column in &columns {
            write!(table, " {:>9}", column[at]).unwrap();
        }
    }
    table.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        table == golden,
        "who is answered what has changed; read it, and if it is meant, set UPDATE_GOLDEN=1\n\nnow:\n{table}\nbefore:\n{golden}"
    );
}
