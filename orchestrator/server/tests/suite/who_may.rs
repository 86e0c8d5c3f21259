//! Who may call what: every route of the API as everybody, against a golden file. A route or a rule that changes shows as a
//! changed line; `UPDATE_GOLDEN=1 cargo test -p purser-server --test suite who_may` writes the file anew, for a person to read.

use std::fmt::Write as _;

use crate::world::provider::Provider;
use crate::world::scene::{REQUEST, Standing};
use crate::world::{Agent, World};
use http::StatusCode;
use purser_authority::Caller;
use purser_db::{DbError, params};
use purser_server::api::ROUTES;
use purser_values::Sha256Digest;
use serde_json::{Value, json};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/who-may.txt");

/// Everybody, as the columns of the table.
const CALLERS: [&str; 10] =
    ["anonymous", "stranger", "its agent", "auditor", "owner", "agent", "sub-agent", "frozen", "elsewhere", "provider"];

/// Those of them that are agents.
const AGENTS: [&str; 5] = ["its agent", "agent", "sub-agent", "frozen", "elsewhere"];

/// How somebody shows who they are.
enum Who {
    Nobody,
    /// By a token, bound to a key.
    Token(Agent, String),
    /// By a signature.
    Provider(Provider),
}

/// One organisation with one of everything, and who calls.
struct Scene {
    world: World,
    all: Standing,
    who: Who,
}

async fn scene(caller: &str) -> Scene {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    let all = world.standing(&agent, &tokens, &mut ada).await;
    let who = match caller {
        "anonymous" => Who::Nobody,
        "stranger" => {
            let mut eve = world.person("eve@example.test").await;
            with_token(world.terminal(&mut eve).await)
        }
        "its agent" => {
            let mut eve = world.person("eve@example.test").await;
            granted(world.granted(&mut eve).await)
        }
        "auditor" => with_token(auditor(&world, &agent, &tokens).await),
        "owner" => with_token(world.terminal(&mut ada).await),
        "agent" => granted((agent, tokens)),
        "sub-agent" => {
            // as much as the agent above may give away
            let helper = world.agent();
            let (status, own) = agent.let_in(&tokens, &helper, r#"[{"type":"purser_grant","delegate":true}]"#).await;
            assert_eq!(status, StatusCode::OK, "{own}");
            granted((helper, own))
        }
        "frozen" => {
            let page = ada.get("/agents").await;
            let (_, fields) = page.form(1);
            let frozen = ada.post(&format!("/agents/{}/freeze", all.agent), &fields).await;
            assert_eq!(frozen.status, StatusCode::SEE_OTHER, "{}", frozen.body);
            granted((agent, tokens))
        }
        "elsewhere" => granted(world.granted_in(&mut ada, "blog").await),
        "provider" => Who::Provider(world.provider("slipway").await),
        other => panic!("who is {other}"),
    };
    Scene { world, all, who }
}

fn with_token((agent, token): (Agent, String)) -> Who {
    Who::Token(agent, token)
}

fn granted((agent, tokens): (Agent, Value)) -> Who {
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    Who::Token(agent, token)
}

/// A member of the organisation who is made its auditor after signing in at a terminal.
async fn auditor(world: &World, agent: &Agent, tokens: &Value) -> (Agent, String) {
    let owner = world.caller(agent, tokens).await;
    let Caller::Agent { organisation, .. } = owner else { panic!("an agent calls") };
    let id = purser_values::id::PersonId::mint(&world.env);
    let join = move |tx: &mut purser_db::Tx<'_>| {
        tx.execute("insert into person (id, email, created_at) values ($1, $2, 0)", params![id, "bob@example.test"])?;
        tx.execute(
            "insert into membership (organisation, person, role, created_at) values ($1, $2, 'member', 0)",
            params![organisation, id],
        )
    };
    world.front.core.db.write::<_, DbError, _>(join).await.unwrap();
    let mut bob = world.person("bob@example.test").await;
    let terminal = world.terminal(&mut bob).await;
    let demote = |tx: &mut purser_db::Tx<'_>| tx.execute("update membership set role = 'auditor' where role = 'member'", params![]);
    assert_eq!(world.front.core.db.write::<_, DbError, _>(demote).await.unwrap(), 1);
    terminal
}

fn body(route: &str, all: &Standing) -> (&'static str, String) {
    let json = |value: Value| ("application/json", value.to_string());
    let place = json!({ "project": "shop", "environment": "development" });
    match route {
        "/v1/projects" => json(json!({ "name": "shop" })),
        "/v1/accounts" => json(json!({ "provider": "slipway" })),
        "/v1/resources" => {
            json(json!({ "project": "shop", "environment": "development", "service": "slipway/workers:paid", "configuration": {} }))
        }
        "/v1/workload_trusts" => json(json!({
            "grant": all.grant, "name": "CI", "issuer": "https://ci.example", "audience": "purser",
            "subject": "repo:acme/shop", "authorization_details": [{ "type": "purser_grant" }], "life_s": 600,
        })),
        "/v1/ceilings" => json(json!({ "scope": "organisation", "period": "day", "amount_minor": 100_000 })),
        "/v1/ceilings/zone" => json(json!({ "zone": "UTC" })),
        "/v1/rates" => json(json!({
            "from": "EUR", "to": "USD", "rate": "1.1", "deviation_bp": 200, "source": "a test", "valid_until": "2027-06-01T00:00:00Z",
        })),
        "/v1/budgets" => json(json!({ "scope": "organisation", "amount_minor": 100_000 })),
        "/v1/credits" => json(json!({ "provider": "slipway", "programme": "start-up", "evidence": "we are young" })),
        "/v1/webhooks" => json(json!({ "url": "https://hooks.example/purser" })),
        "/v1/clients" => json(json!({ "redirect_uris": ["https://app.test/cb"] })),
        "/v1/approvals" => json(json!({
            "request": { "project": "shop", "environment": "development", "service": "slipway/workers:paid", "configuration": {} },
            "reason": "it is needed",
        })),
        "/v1/approvals/{id}/decide" => json(json!({ "approve": true, "digest": Sha256Digest::of(REQUEST.as_bytes()) })),
        "/v1/resources/{id}/refund_request" => json(json!({ "reason": "it was a mistake" })),
        "/v1/variables/export" => json(place),
        "/v1/organisation" | "/v1/organisations" => json(json!({ "name": "Acme" })),
        "/v1/organisation/invitations" => json(json!({ "email": "eli@example.test", "role": "member" })),
        "/v1/organisation/members/{id}/role" => json(json!({ "role": "auditor" })),
        "/v1/deployments" => {
            let metadata = json!({ "project": "shop", "environment": "development", "name": "site", "assets_only": true });
            let part = |name: &str, file: &str, text: &str| {
                format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
            };
            let parts = part("metadata", "", &metadata.to_string()) + &part("assets/index.html", "; filename=\"index.html\"", "hello");
            ("multipart/form-data; boundary=b", format!("{parts}--b--\r\n"))
        }
        _ => json(json!({})),
    }
}

async fn call(scene: &Scene, method: &str, route: &str) -> StatusCode {
    let all = &scene.all;
    let id = match route {
        r if r.starts_with("/v1/agents/") => &all.agent,
        r if r.starts_with("/v1/sagas/") => &all.saga,
        r if r.starts_with("/v1/approvals/") => &all.approval,
        r if r.starts_with("/v1/organisation/members/") => &all.member,
        r if r.starts_with("/v1/organisation/invitations/") => &all.invitation,
        r if r.starts_with("/v1/clients/") => &all.client,
        r if r.starts_with("/v1/workload_trusts/") => &all.trust,
        r if r.starts_with("/v1/budgets/") => &all.budget,
        r if r.starts_with("/v1/webhooks/") => &all.webhook,
        r if r.starts_with("/v1/credits/") => &all.credit,
        _ => &all.resource,
    };
    let path = route.replace("{id}", id).replace("{name}", "shop");
    let query = match route {
        "/v1/variables" => "?project=shop".to_owned(),
        "/v1/spend/report" => "?by=day".to_owned(),
        "/v1/trace" => format!("?of={}", all.resource),
        _ => String::new(),
    };
    let (content, body) = body(route, all);
    let body = if method == "GET" { String::new() } else { body };
    let path = format!("{path}{query}");
    match &scene.who {
        Who::Nobody => scene.world.api(None, method, &path, content, body).await.0,
        Who::Token(agent, token) => scene.world.api(Some((agent, token)), method, &path, content, body).await.0,
        Who::Provider(provider) => provider.call(method, &path, content, body).await,
    }
}

/// What everybody is answered on every route, in the order of [`ROUTES`].
async fn answers(caller: &str) -> Vec<StatusCode> {
    let scene = scene(caller).await;
    let mut statuses = vec![StatusCode::OK; ROUTES.len()];
    // who has left is nobody any more, so leaving comes last
    let mut order: Vec<usize> = (0..ROUTES.len()).collect();
    order.sort_by_key(|at| ROUTES[*at].1.ends_with("/leave"));
    for at in order {
        let (method, route) = ROUTES[at];
        statuses[at] = call(&scene, &method.to_uppercase(), route).await;
    }
    statuses
}

/// Routes that set limits, policy, approvers, terms, payment or who else may act: whatever has one of these words in it, also what
/// is added later.
const PEOPLE_ONLY: [&str; 13] = [
    "cap",
    "limit",
    "polic",
    "approver",
    "/decide",
    "terms",
    "payment",
    "organisation",
    "member",
    "invitation",
    "/v1/clients",
    "trust",
    "webhook",
];

#[tokio::test]
async fn everybody_may_call_what_the_golden_table_says() {
    let mut columns = Vec::new();
    for caller in CALLERS {
        columns.push(answers(caller).await);
    }
    agents_reach_nothing_that_is_for_people(&columns);
    what_the_routes_name_is_there(&columns);
    let mut table = format!("{:<46}", "");
    for caller in CALLERS {
        write!(table, " {caller:>9}").unwrap();
    }
    for (at, (method, route)) in ROUTES.iter().enumerate() {
        write!(table, "\n{:<46}", format!("{:<4} {route}", method.to_uppercase())).unwrap();
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

/// INVARIANT (agent-cannot-widen): whatever its grant says, and whoever let it in.
fn agents_reach_nothing_that_is_for_people(columns: &[Vec<StatusCode>]) {
    let mut looked = 0;
    for (caller, column) in CALLERS.iter().zip(columns).filter(|(caller, _)| AGENTS.contains(caller)) {
        for ((_, route), status) in ROUTES.iter().zip(column).filter(|((_, route), _)| PEOPLE_ONLY.iter().any(|word| route.contains(word)))
        {
            let refused = matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
            assert!(refused, "{caller} reaches {route}: {status}");
            looked += 1;
        }
    }
    assert!(looked >= AGENTS.len() * 20, "only {looked} answers were looked at");
}

/// A refusal proves nothing where whoever may do it is refused too.
fn what_the_routes_name_is_there(columns: &[Vec<StatusCode>]) {
    let owner = &columns[CALLERS.iter().position(|caller| *caller == "owner").unwrap()];
    for ((method, route), status) in ROUTES.iter().zip(owner).filter(|((_, route), _)| route.starts_with("/v1/") && route.contains("{id}"))
    {
        assert_ne!(*status, StatusCode::NOT_FOUND, "{method} {route} is called with the id of something else");
    }
}

#[tokio::test]
async fn an_agent_reads_the_events_about_itself_without_its_persons_address_and_no_other_agents() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (one, tokens) = world.granted(&mut ada).await;
    let (two, others) = world.granted_in(&mut ada, "blog").await;
    let (one_id, two_id) = (tokens["agent_id"].as_str().unwrap(), others["agent_id"].as_str().unwrap());
    let token = |tokens: &Value| tokens["access_token"].as_str().unwrap().to_owned();
    let (one, two) = ((one, token(&tokens)), (two, token(&others)));
    // The other agent names this one in an attempt that is refused and recorded.
    let path = format!("/v1/agents/{one_id}/freeze");
    let refused = world.api(Some((&two.0, &two.1)), "POST", &path, "application/json", "{}".to_owned()).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN, "{}", refused.1);

    let (status, mine) = world.api(Some((&one.0, &one.1)), "GET", "/v1/events", "", String::new()).await;
    assert_eq!(status, StatusCode::OK, "{mine}");
    let text = mine.to_string();
    assert!(text.contains("token_issue") && text.contains("grant_decide"), "{text}");
    assert!(!text.contains("ada@example.test") && !text.contains(two_id), "{text}");

    let terminal = world.terminal(&mut ada).await;
    let (_, all) = world.api(Some((&terminal.0, &terminal.1)), "GET", "/v1/events", "", String::new()).await;
    assert!(all.to_string().contains(two_id) && all.to_string().contains("ada@example.test"), "a person sees all: {all}");
}
