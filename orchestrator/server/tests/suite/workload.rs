//! A build proves who it is by its issuer's token: the right one acts for some minutes within a person's grant, every other one is
//! told which part does not fit.

use std::sync::{Arc, Mutex};

use crate::world::{Agent, World};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use purser_authority::Caller;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_crypto::mac;
use serde_json::{Value, json};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const SUBJECT: &str = "repo:acme/shop:ref:refs/heads/main";

/// Another company's issuer, on this machine.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(Vec::new()));
        let (metadata, set) = (json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }), keys.clone());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { Json(metadata) }))
            .route("/keys", get(move || async move { Json(json!({ "keys": *set.lock().unwrap() })) }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, keys }
    }

    fn key(&self) -> SigningKey {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        *self.keys.lock().unwrap() = vec![json!(key.public())];
        key
    }

    fn origin(&self) -> purser_http::fetch::Origin {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }
}

struct Scene {
    issuer: Issuer,
    key: SigningKey,
    world: World,
    trust: String,
    person: (Agent, String),
    grant: Value,
}

impl Scene {
    async fn new() -> Self {
        let issuer = Issuer::start().await;
        let (key, world) = (issuer.key(), World::fetching(vec![issuer.origin()]).await);
        let mut ada = world.person("ada@example.test").await;
        let laptop = world.agent();
        let asked = laptop.ask(&[("project", "shop"), ("providers", "slipway"), ("delegate", "1")]).await;
        let page = ada.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
        ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
        let (status, grant) = laptop.poll(&asked).await;
        assert_eq!(status, StatusCode::OK, "{grant}");
        let person = world.terminal(&mut ada).await;
        let mut scene = Self { issuer, key, world, trust: String::new(), person, grant };
        let (status, made) = scene.add(&[]).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        scene.trust = made["id"].as_str().unwrap().to_owned();
        scene
    }

    async fn add(&self, change: &[(&str, Value)]) -> (StatusCode, Value) {
        let mut body = json!({
            "grant": self.grant["grant_id"], "name": "CI of the shop", "issuer": self.issuer.url, "audience": "purser",
            "subject": "repo:acme/shop:ref:refs/heads/*", "claims": { "repository_id": "7" },
            "authorization_details": [{ "type": "purser_grant", "cap_minor": 1000 }], "life_s": 600,
        });
        for (name, value) in change {
            body[*name] = value.clone();
        }
        let (terminal, token) = &self.person;
        self.world.api(Some((terminal, token)), "POST", "/v1/workload_trusts", "application/json", body.to_string()).await
    }

    fn claims(&self, change: &[(&str, Value)]) -> Value {
        let now = self.world.env.now().as_secs();
        let mut claims = json!({
            "iss": self.issuer.url, "sub": SUBJECT, "aud": "purser", "iat": now, "exp": now + 300, "repository_id": "7",
            "jti": b64url(&self.world.env.bytes::<16>()),
        });
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        claims
    }

    fn token(&self, change: &[(&str, Value)]) -> String {
        self.key.sign("JWT", &self.claims(change)).unwrap()
    }

    async fn exchange(&self, build: &Agent, token: &str) -> (StatusCode, Value) {
        let fields =
            [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ID_TOKEN), ("workload_trust", &self.trust)];
        build.post("/oauth/token", &fields).await
    }
}

#[tokio::test]
async fn a_build_acts_for_some_minutes_within_the_grant_and_ends_with_it() {
    let scene = Scene::new().await;
    let build = scene.world.agent();
    let (status, own) = scene.exchange(&build, &scene.token(&[])).await;
    assert_eq!((status, &own["token_type"], own.get("refresh_token")), (StatusCode::OK, &json!("DPoP"), None), "{own}");
    assert_eq!(own["authorization_details"][0]["cap_per_provider_month"]["amount_minor"], 1000);
    let access = own["access_token"].as_str().unwrap();
    let context = scene.world.call(&build, access).await.unwrap();
    let Caller::Agent { chain, .. } = &context.caller else { panic!("an agent calls") };
    assert_eq!(chain[0].grant.to_string(), scene.grant["grant_id"].as_str().unwrap());
    assert!(context.grant.unwrap().expires_at.as_secs() - scene.world.env.now().as_secs() <= 600);

    let (terminal, token) = &scene.person;
    let path = format!("/v1/agents/{}/freeze", scene.grant["agent_id"].as_str().unwrap());
    let (status, body) = scene.world.api(Some((terminal, token)), "POST", &path, "application/json", "{}".to_owned()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(scene.world.call(&build, access).await.unwrap().frozen, "a freeze of the agent above left the build alone");
    let (_, body) = scene.exchange(&scene.world.agent(), &scene.token(&[])).await;
    assert_eq!(body["code"], "agent_frozen", "{body}");
    scene.world.clock.advance_secs(601);
    assert!(scene.world.call(&build, access).await.is_err());
}

#[tokio::test]
async fn every_other_workload_is_refused_by_what_does_not_fit() {
    let scene = Scene::new().await;
    let now = scene.world.env.now().as_secs();
    for (name, value, code) in [
        ("sub", json!("repo:acme/other:ref:refs/heads/main"), "workload_subject_refused"),
        ("sub", json!("repo:acme/shop:ref:refs/tags/v1"), "workload_subject_refused"),
        ("sub", json!("repo:acme/shop:ref:refs/heads/a/b"), "workload_subject_refused"),
        ("sub", json!("repo:acme/shop:pull_request"), "workload_subject_refused"),
        ("aud", json!("elsewhere"), "workload_audience_refused"),
        ("aud", json!(["purser", "elsewhere"]), "workload_audience_refused"),
        ("iss", json!("https://ci.example"), "workload_issuer_refused"),
        ("iss", json!(format!("{}/", scene.issuer.url)), "workload_issuer_refused"),
        ("repository_id", json!("8"), "workload_claim_refused"),
        ("repository_id", json!(null), "workload_claim_refused"),
        ("exp", json!(now), "workload_token_expired"),
        ("iat", json!(now + 61), "workload_token_early"),
        ("nbf", json!(now + 61), "workload_token_early"),
        ("exp", json!(now + 90_000), "workload_token_early"),
        ("exp", json!(null), "workload_token_invalid"),
    ] {
        let (status, body) = scene.exchange(&scene.world.agent(), &scene.token(&[(name, value.clone())])).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{name} = {value}: {body}");
    }
    let head = |alg: &str| b64url(json!({ "alg": alg, "kid": scene.key.public().kid }).to_string().as_bytes());
    let body = b64url(scene.claims(&[]).to_string().as_bytes());
    let text = format!("{}.{body}", head("HS256"));
    let mac = format!("{text}.{}", b64url(&mac::hmac_sha256(scene.key.public().public_bytes(), &[text.as_bytes()])));
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap().sign("JWT", &scene.claims(&[])).unwrap();
    for forged in [format!("{}.{body}.", head("none")), mac, stranger, "nonsense".to_owned()] {
        let (_, body) = scene.exchange(&scene.world.agent(), &forged).await;
        assert_eq!(body["code"], "workload_token_invalid", "{forged}: {body}");
    }
}

#[tokio::test]
async fn a_token_counts_once_a_new_key_is_found_and_a_removed_trust_is_none() {
    let mut scene = Scene::new().await;
    let token = scene.token(&[]);
    assert_eq!(scene.exchange(&scene.world.agent(), &token).await.0, StatusCode::OK);
    assert_eq!(scene.exchange(&scene.world.agent(), &token).await.1["code"], "workload_token_replayed");
    let old = scene.key.clone();
    scene.key = scene.issuer.key();
    assert_eq!(scene.exchange(&scene.world.agent(), &scene.token(&[])).await.1["code"], "workload_token_invalid", "looked again at once");
    scene.world.clock.advance_secs(10);
    assert_eq!(scene.exchange(&scene.world.agent(), &scene.token(&[])).await.0, StatusCode::OK, "the issuer's new key is not found");
    let with_old = old.sign("JWT", &scene.claims(&[])).unwrap();
    assert_eq!(
        scene.exchange(&scene.world.agent(), &with_old).await.1["code"],
        "workload_token_invalid",
        "a key that is gone still counts"
    );

    let (terminal, token) = &scene.person;
    let path = format!("/v1/workload_trusts/{}/remove", scene.trust);
    let removed = scene.world.api(Some((terminal, token)), "POST", &path, "application/json", "{}".to_owned()).await;
    assert_eq!(removed.0, StatusCode::NO_CONTENT, "{}", removed.1);
    assert_eq!(scene.exchange(&scene.world.agent(), &scene.token(&[])).await.1["code"], "workload_trust_unknown");
}

#[tokio::test]
async fn a_trust_is_set_up_by_a_person_who_is_there_and_never_wider_than_its_grant() {
    let scene = Scene::new().await;
    for (name, value, code) in [
        ("authorization_details", json!([{ "type": "purser_grant", "projects": "all" }]), "wider_than_parent"),
        ("authorization_details", json!([{ "type": "purser_grant", "export": true }]), "wider_than_parent"),
        ("authorization_details", json!([]), "workload_trust_invalid"),
        ("life_s", json!(901), "workload_trust_invalid"),
        ("issuer", json!("http://ci.example"), "workload_trust_invalid"),
        ("audience", json!(""), "workload_trust_invalid"),
    ] {
        let (status, body) = scene.add(&[(name, value.clone())]).await;
        assert!(status.is_client_error() && body["code"] == code, "{name} = {value}: {status} {body}");
    }
    for subject in ["*", "repo:acme/sh*"] {
        assert!(scene.add(&[("subject", json!(subject))]).await.0.is_client_error(), "{subject}");
    }
    // nobody lets a build act for somebody else
    let mut eve = scene.world.person("eve@example.test").await;
    let (terminal, token) = scene.world.terminal(&mut eve).await;
    let body = json!({
        "grant": scene.grant["grant_id"], "name": "Mine", "issuer": "https://ci.example", "audience": "purser", "subject": "repo:eve/x",
        "authorization_details": [{ "type": "purser_grant" }], "life_s": 600,
    });
    let path = "/v1/workload_trusts";
    let (status, body) = scene.world.api(Some((&terminal, &token)), "POST", path, "application/json", body.to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    // an agent never, whatever its grant says
    let build = scene.world.agent();
    let (_, own) = scene.exchange(&build, &scene.token(&[])).await;
    let refused = scene.world.api(Some((&build, own["access_token"].as_str().unwrap())), "POST", path, "application/json", "{}".to_owned());
    assert!(refused.await.0.is_client_error());
    scene.world.clock.advance_secs(301);
    let (status, body) = scene.add(&[]).await;
    assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!("step_up_required")), "{body}");
}
