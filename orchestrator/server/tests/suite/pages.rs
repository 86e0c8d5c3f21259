//! The pages as somebody without a session sees them, an agent above all: every page and form of the console, against a golden file.
//! `UPDATE_GOLDEN=1 cargo test -p purser-server --test suite pages` writes the file anew, for a person to read.

use std::fmt::Write as _;

use crate::world::scene::{REQUEST, Standing};
use crate::world::{Agent, Answer, Browser, World};
use http::{HeaderValue, StatusCode};
use purser_db::DbError;
use purser_server::console::ROUTES;
use purser_values::Sha256Digest;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/who-sees.txt");

/// Who asks: nobody; an agent by its token and a proof, by its token alone, with its token as the cookie of a session; and the owner,
/// whose forms come without their token.
const CALLERS: [&str; 5] = ["anonymous", "agent", "bearer", "cookie", "owner"];

/// What is there for somebody who is not signed in. Whatever is not listed is refused or leads to the sign-in.
const OPEN: [(&str, &str); 4] = [("get", "/sign-in"), ("get", "/sign-in/code"), ("get", "/style.css"), ("get", "/passkey.js")];

struct Scene {
    world: World,
    ada: Browser,
    agent: Agent,
    token: String,
    all: Standing,
}

async fn scene() -> Scene {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    let all = world.standing(&agent, &tokens, &mut ada).await;
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    Scene { world, ada, agent, token, all }
}

impl Scene {
    /// The browser of a caller, for one request.
    fn browser(&self, caller: &str, method: &str, path: &str) -> Browser {
        if caller == "owner" {
            return self.ada.clone();
        }
        let mut browser = self.world.browser();
        let (scheme, token) = (if caller == "bearer" { "Bearer" } else { "DPoP" }, &self.token);
        if caller != "anonymous" {
            browser.headers.insert("authorization", HeaderValue::from_str(&format!("{scheme} {token}")).unwrap());
        }
        if caller == "agent" {
            let url = self.world.front.realm.url(path);
            let proof = self.agent.proof(&method.to_uppercase(), &url, Some(token));
            browser.headers.insert("dpop", HeaderValue::from_str(&proof).unwrap());
        }
        if caller == "cookie" {
            browser.cookies = self.ada.cookies.keys().map(|name| (name.clone(), token.clone())).collect();
        }
        browser
    }

    fn path(&self, route: &str) -> String {
        let all = &self.all;
        let terms = Sha256Digest::of(b"be good, version 1").to_string();
        let id = match route {
            r if r.starts_with("/agents/") => &all.agent,
            r if r.starts_with("/grants/") => &all.grant,
            r if r.starts_with("/approvals/") => &all.approval,
            r if r.starts_with("/workloads/") => &all.trust,
            r if r.starts_with("/limits/budgets/") => &all.budget,
            r if r.starts_with("/webhooks/") => &all.webhook,
            r if r.starts_with("/operator/credits/") => &all.credit,
            r if r.starts_with("/organisation/members/") => &all.member,
            r if r.starts_with("/organisation/invitations/") => &all.invitation,
            _ => &all.resource,
        };
        route.replace("{id}", id).replace("{sha256}", &terms).replace("{name}", "acme").replace("{provider}", "slipway")
    }

    /// What a form of any page could want, but for its token.
    fn fields(&self) -> Vec<(String, String)> {
        let all = &self.all;
        let digest = Sha256Digest::of(REQUEST.as_bytes()).to_string();
        let fields = [
            ("csrf", "x"),
            ("agent", all.agent.as_str()),
            ("grant", &all.grant),
            ("digest", &digest),
            ("provider", "slipway"),
            ("scope", "organisation"),
            ("amount", "999.00"),
            ("currency", "USD"),
            ("card", "4242"),
            ("email", "eve@example.test"),
            ("role", "owner"),
            ("name", "Eve"),
            ("decision", "accept"),
        ];
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    async fn call(&self, caller: &str, (method, route): (&str, &str)) -> Answer {
        let path = self.path(route);
        let mut browser = self.browser(caller, method, &path);
        if method == "get" { browser.get(&path).await } else { browser.post(&path, &self.fields()).await }
    }

    /// Everything that was done by anybody.
    async fn done(&self) -> usize {
        let count = |tx: &mut purser_db::Tx<'_>| {
            let rows = tx.query("select body from audit_event", purser_db::params![])?;
            let bodies = rows.iter().map(|row| row.get::<String>("body")).collect::<Result<Vec<_>, DbError>>()?;
            Ok::<usize, DbError>(bodies.iter().map(|body| body.matches("\"outcome\":\"done\"").count()).sum())
        };
        self.world.front.core.db.read::<_, DbError, _>(count).await.unwrap()
    }
}

fn to_sign_in(answer: &Answer) -> bool {
    answer.status == StatusCode::SEE_OTHER && answer.location().starts_with("/sign-in")
}

fn refused(answer: &Answer) -> bool {
    to_sign_in(answer) || answer.status.is_client_error()
}

#[tokio::test]
async fn the_pages_know_sessions_of_persons_and_an_agents_token_opens_none_of_them() {
    let scene = scene().await;
    let before = scene.done().await;
    let mut table = format!("{:<46}", "");
    for caller in CALLERS {
        write!(table, " {caller:>9}").unwrap();
    }
    for row in ROUTES {
        write!(table, "\n{:<46}", format!("{:<4} {}", row.0.to_uppercase(), row.1)).unwrap();
        let mut nobody = None;
        for caller in CALLERS {
            let answer = scene.call(caller, *row).await;
            write!(table, " {:>9}", answer.status.as_u16()).unwrap();
            let seen = (answer.status, to_sign_in(&answer));
            match caller {
                "anonymous" => assert!(refused(&answer) || OPEN.contains(row), "{row:?} is there for everybody: {}", answer.status),
                "owner" if row.0 == "post" => {
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{row:?} took a form that is not ours: {}", answer.body);
                }
                "owner" => assert!(!to_sign_in(&answer), "{row:?} knows no session"),
                _ => assert_eq!(nobody, Some(seen), "{row:?} takes a token of an agent ({caller})"),
            }
            nobody.get_or_insert(seen);
        }
    }
    table.push('\n');
    assert_eq!(scene.done().await, before, "something was done");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        table == golden,
        "who sees what has changed; read it, and if it is meant, set UPDATE_GOLDEN=1\n\nnow:\n{table}\nbefore:\n{golden}"
    );
}
