//! Others who act within an agent's grant: a helper that the agent lets in, and a build that its issuer vouches for.

use std::fs;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_tests::system::Half;
use purser_tests::{Agent, Choice, Person, World, processes};
use purser_values::Env;
use serde_json::{Value, json};

const SUBJECT: &str = "repo:acme/shop:ref:refs/heads/main";

/// A grant that may be passed on, of USD 50 a month.
async fn delegating(agent: &Agent, person: &mut Person) {
    let login = agent.must(&["login", "--name", "the builder", "--project", "shop", "--cap", "50", "--delegate"]);
    let accepting = async {
        let url = processes::until("the URL for the person", Duration::from_secs(30), async || {
            let asked: Value = serde_json::from_str(&fs::read_to_string(agent.home.join("login.json")).ok()?).ok()?;
            asked["verification_uri_complete"].as_str().map(str::to_owned)
        })
        .await;
        person.accept(&url, &Choice::USUAL).await
    };
    let (granted, _) = tokio::join!(login, accepting);
    assert_eq!(granted["decision"], "approved", "{granted}");
    agent.must(&["init", "shop"]).await;
}

async fn ready() -> Option<World> {
    let world = World::start().await?;
    let nobody = world.agent("nobody");
    processes::until("the catalogue", Duration::from_secs(20), async || {
        nobody.run(&["catalog"]).await.stdout.contains("slipway/workers").then_some(())
    })
    .await;
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_acts_within_less_than_the_grant_and_the_trace_leads_through_both_agents_to_the_person() {
    let Some(world) = ready().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    delegating(&agent, &mut ada).await;
    for wide in [["--cap", "51"], ["--project", "blog"], ["--expires-in", "99999999"]] {
        let home = world.path("wide");
        let refused = agent.refused(&[&["agent", "spawn", "wide", "--home", home.to_str().unwrap()], &wide[..]].concat()).await;
        assert_eq!(refused, "wider_than_parent", "{wide:?}");
    }
    let home = world.path("helper");
    let spawned = agent.must(&["agent", "spawn", "tester", "--home", home.to_str().unwrap(), "--cap", "1"]).await;
    let helper = Agent::at(&world.system.binaries.purser, &agent.url, &home, "shop");
    assert_eq!(spawned["agent"]["id"], helper.id());
    assert_ne!(helper.id(), agent.id());
    let who = helper.must(&["whoami"]).await;
    assert_eq!(who["grant"]["cap_per_provider_month"]["amount_minor"], 100, "{who}");
    assert_eq!(who["person"]["email"], "ada@example.test");

    helper.must(&["init", "shop"]).await;
    helper.must(&["add", "slipway/workers:free"]).await;
    assert_eq!(helper.refused(&["add", "slipway/workers:paid", "--name", "dear"]).await, "cap_reached");
    let below = world.path("below");
    assert_eq!(helper.refused(&["agent", "spawn", "below", "--home", below.to_str().unwrap()]).await, "not_granted");

    let status = agent.must(&["status"]).await;
    let resource = status["resources"][0]["id"].as_str().unwrap_or_else(|| panic!("{status}"));
    let trace = agent.must(&["trace", resource]).await;
    assert_eq!(trace["agent"]["id"], helper.id(), "{trace}");
    let text = trace.to_string();
    for (what, id) in [("the helper", helper.id()), ("the agent above", agent.id()), ("the grant above", granted(&agent))] {
        assert!(text.contains(&id), "{what} is not in the trace: {trace}");
    }

    // whoever stops the agent stops its helper
    let page = ada.open("/agents").await;
    ada.browser.press(&page.form(&format!("/agents/{}/freeze", agent.id())), "").await;
    assert_eq!(helper.refused(&["status"]).await, "agent_frozen");
}

fn granted(agent: &Agent) -> String {
    agent.session()["grant_id"].as_str().unwrap().to_owned()
}

/// Another company's issuer on this machine: it answers with its keys, and signs what it is told to.
struct Issuer {
    url: String,
    key: SigningKey,
}

impl Issuer {
    async fn start() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (metadata, keys) = (json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }), json!({ "keys": [key.public()] }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { Json(metadata) }))
            .route("/keys", get(move || async move { Json(keys) }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, key }
    }

    fn token(&self, subject: &str) -> String {
        let now = Env::system().now().as_secs();
        let jti = b64url(&Env::system().bytes::<16>());
        let claims = json!({ "iss": self.url, "sub": subject, "aud": "purser", "iat": now, "exp": now + 300, "jti": jti });
        self.key.sign("JWT", &claims).unwrap()
    }
}

/// The operator allows the orchestrator to fetch from the issuer, and it starts again.
async fn allow(world: &World, issuer: &Issuer) {
    let file = world.system.dir.join("orchestrator.toml");
    let config = fs::read_to_string(&file).unwrap();
    let origin = issuer.url.strip_prefix("http://").unwrap();
    let allowed = config.replacen("fetch_allow = [", &format!("fetch_allow = [\"{origin}\", "), 1);
    assert_ne!(config, allowed, "no list of what may be fetched: {config}");
    fs::write(&file, allowed).unwrap();
    let before = world.system.half(Half::Orchestrator).expect("the orchestrator runs");
    assert!(world.system.kill(Half::Orchestrator));
    processes::until("the orchestrator again", Duration::from_secs(30), async || {
        world.system.half(Half::Orchestrator).filter(|now| now.pid != before.pid)
    })
    .await;
    world.system.await_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_acts_by_the_token_of_its_issuer_within_the_grant_that_a_person_named_on_a_page() {
    let Some(world) = ready().await else { return };
    let issuer = Issuer::start().await;
    allow(&world, &issuer).await;
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    delegating(&agent, &mut ada).await;

    let mut form = ada.open("/workloads").await.form("/workloads");
    for (name, value) in [("name", "CI of the shop"), ("issuer", &issuer.url), ("subject", SUBJECT), ("cap", "10")] {
        form.type_in(name, value);
    }
    let page = ada.browser.press(&form, "").await;
    let trust = page.body.split("id=\"wlt_").nth(1).map(|rest| format!("wlt_{}", rest.split('"').next().unwrap_or_default()));
    let trust = trust.unwrap_or_else(|| panic!("the trust is not on the page: {}", page.text()));

    let (build, file) = (world.agent("build"), world.path("token"));
    let arguments = ["login", "--workload-token-file", file.to_str().unwrap(), "--workload-trust", &trust];
    for (subject, code) in [("repo:acme/other:ref:refs/heads/main", "workload_subject_refused"), ("", "workload_subject_refused")] {
        fs::write(&file, issuer.token(subject)).unwrap();
        assert_eq!(build.refused(&arguments).await, code, "{subject}");
    }
    fs::write(&file, issuer.token(SUBJECT)).unwrap();
    let let_in = build.must(&arguments).await;
    let who = build.must(&["whoami"]).await;
    assert_eq!(who["grant"]["cap_per_provider_month"]["amount_minor"], 1_000, "{who}");
    assert_eq!(who["agent"]["id"], let_in["agent"]["id"]);
    build.must(&["init", "shop"]).await;
    build.must(&["add", "slipway/workers:free"]).await;
    // the same token again, in another build
    assert_eq!(world.agent("thief").refused(&arguments).await, "workload_token_replayed");

    let page = ada.open("/workloads").await;
    ada.browser.press(&page.form(&format!("/workloads/{trust}/remove")), "").await;
    fs::write(&file, issuer.token(SUBJECT)).unwrap();
    assert_eq!(world.agent("late").refused(&arguments).await, "workload_trust_unknown");
}
