//! Clients that are named by a URL, and keys at a URL: everything that a stranger's server can answer, and logout notices to one.

use std::sync::{Arc, Mutex};

use crate::world::World;
use crate::world::client::{Back, CALLBACK, query};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{self, Algorithm, SigningKey};
use purser_http::{Fetcher, Origin};
use purser_identity::SignUp;
use purser_server::oidc::{Clients, Registration, Rules};
use serde_json::{Value, json};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A stranger's web server: it says what the test tells it to, and remembers what it was sent.
#[derive(Clone, Default)]
struct Stranger {
    says: Arc<Mutex<std::collections::HashMap<String, Value>>>,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Stranger {
    /// Starts it on a free port of this machine.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stranger = self.clone();
        let router = Router::new().fallback(move |request: Request| {
            let stranger = stranger.clone();
            async move { stranger.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        base
    }

    async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        self.heard.lock().unwrap().push((path.clone(), String::from_utf8_lossy(&body).into_owned()));
        match path.as_str() {
            "/moved" => return Redirect::to("/client").into_response(),
            "/huge" => return ([(header::CONTENT_TYPE, "application/json")], "[".repeat(100_000)).into_response(),
            "/html" => return ([(header::CONTENT_TYPE, "text/html")], "{}").into_response(),
            _ => {}
        }
        match self.says.lock().unwrap().get(&path) {
            Some(value) => axum::Json(value.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn say(&self, path: &str, value: Value) {
        self.says.lock().unwrap().insert(path.to_owned(), value);
    }

    fn heard(&self, path: &str) -> Vec<String> {
        self.heard.lock().unwrap().iter().filter(|(p, _)| p == path).map(|(_, body)| body.clone()).collect()
    }
}

/// A sandbox whose operator lets this origin be fetched.
async fn world(base: &str) -> World {
    let allowed: Origin = base.strip_prefix("http://").unwrap().parse().unwrap();
    let fetcher = Fetcher::new(vec![allowed]).unwrap();
    let rules = Rules { registration: Registration::Open, resources: vec![], sandbox: true };
    World::with_clients("http://localhost:4000", true, SignUp::Open, Clients::new(fetcher.clone(), rules, vec![]), fetcher).await
}

fn asks<'a>(id: &'a str, challenge: &'a str) -> String {
    query(&[
        ("client_id", id),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "s"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ])
}

#[tokio::test]
async fn a_client_is_known_by_the_document_at_its_url() {
    let stranger = Stranger::default();
    let base = stranger.start().await;
    let world = world(&base).await;
    let id = format!("{base}/client");
    stranger.say("/client", json!({ "client_id": id, "client_name": "Far App", "redirect_uris": [CALLBACK] }));
    let verifier = b64url(&world.env.bytes::<32>());
    let challenge = b64url(purser_values::Sha256Digest::of(verifier.as_bytes()).as_bytes());
    let mut ada = world.person("ada@example.test").await;
    let to_page = ada.get(&format!("/oauth/authorize?{}", asks(&id, &challenge))).await;
    let page = ada.get(to_page.location()).await;
    assert!(page.body.contains("<q>Far App</q>") && page.body.contains(&id) && page.body.contains("not verified"), "{}", page.body);
    let back = Back::of(&ada.submit(&page, 1, &[], Some(("decision", "accept"))).await);
    let redeem = [
        ("grant_type", "authorization_code"),
        ("client_id", id.as_str()),
        ("code", back.get("code")),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    let (status, tokens) = world.form("/oauth/token", &[], &redeem).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(stranger.heard("/client").len(), 1, "the document is kept for a while");
}

#[tokio::test]
async fn a_document_that_is_not_the_clients_own_makes_no_client() {
    let stranger = Stranger::default();
    let base = stranger.start().await;
    let world = world(&base).await;
    let good = |path: &str| json!({ "client_id": format!("{base}{path}"), "redirect_uris": [CALLBACK] });
    stranger.say("/client", good("/client"));
    stranger.say("/other", good("/client"));
    let with = |path: &str, name: &str, value: Value| {
        let mut document = good(path);
        document[name] = value;
        stranger.say(path, document);
    };
    with("/secret", "client_secret", json!("hunter2"));
    with("/shared", "token_endpoint_auth_method", json!("client_secret_basic"));
    with("/evil", "redirect_uris", json!(["http://evil.example/cb"]));
    with("/alone", "grant_types", json!(["client_credentials"]));
    stranger.say("/list", json!(["x"]));
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let mut browser = world.browser();
    for path in
        ["/other", "/secret", "/shared", "/evil", "/alone", "/list", "/absent", "/moved", "/huge", "/html", "/client?x=1", "/a/../client"]
    {
        let answer = browser.get(&format!("/oauth/authorize?{}", asks(&format!("{base}{path}"), challenge))).await;
        assert!(answer.status.is_client_error() && !answer.headers.contains_key(header::LOCATION), "{path}: {}", answer.status);
    }
    assert!(stranger.heard("/client").is_empty(), "no redirect is followed");
    browser.get(&format!("/oauth/authorize?{}", asks(&format!("{base}/absent"), challenge))).await;
    assert_eq!(stranger.heard("/absent").len(), 1, "a failure stands for a moment too");
    // A URL that is not the operator's: private addresses and plain http are not even knocked at.
    let inside = Stranger::default();
    let elsewhere = inside.start().await;
    inside.say("/client", json!({ "client_id": format!("{elsewhere}/client"), "redirect_uris": [CALLBACK] }));
    let port = elsewhere.rsplit(':').next().unwrap();
    for id in [
        format!("{elsewhere}/client"),
        format!("https://127.0.0.1:{port}/client"),
        format!("https://localhost:{port}/client"),
        format!("https://[::1]:{port}/client"),
        format!("https://[::ffff:127.0.0.1]:{port}/client"),
        format!("https://2130706433:{port}/client"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/client".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let answer = browser.get(&format!("/oauth/authorize?{}", asks(&id, challenge))).await;
        assert!(answer.status.is_client_error(), "{id}: {}", answer.status);
    }
    assert!(inside.heard.lock().unwrap().is_empty(), "nothing on this machine was fetched");
}

#[tokio::test]
async fn keys_at_a_url_are_kept_and_looked_at_again_for_a_new_one() {
    let stranger = Stranger::default();
    let base = stranger.start().await;
    let world = world(&base).await;
    let (old, new) = (SigningKey::generate(Algorithm::Es256).unwrap(), SigningKey::generate(Algorithm::EdDsa).unwrap());
    stranger.say("/jwks", json!({ "keys": [old.public()] }));
    let metadata = json!({
        "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"], "redirect_uris": [], "jwks_uri": format!("{base}/jwks"),
    });
    let client = world.client(metadata).await;
    let present = |key: &SigningKey| {
        let now = world.env.now().as_secs();
        let claims = json!({ "iss": client.id, "sub": client.id, "aud": "http://localhost:4000", "exp": now + 60, "jti": b64url(&world.env.bytes::<16>()) });
        let assertion = key.sign("JWT", &claims).unwrap();
        let world = &world;
        async move {
            let fields =
                [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
            world.form("/oauth/token", &[], &fields).await.0
        }
    };
    assert_eq!((present(&old).await, present(&old).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(stranger.heard("/jwks").len(), 1);
    stranger.say("/jwks", json!({ "keys": [old.public(), new.public()] }));
    assert_eq!(present(&new).await, StatusCode::UNAUTHORIZED, "the set was looked at a moment ago");
    world.clock.advance_secs(11);
    assert_eq!(present(&new).await, StatusCode::OK);
    assert_eq!(stranger.heard("/jwks").len(), 2);
    let nobody = SigningKey::generate(Algorithm::Es256).unwrap();
    for _ in 0..5 {
        assert_eq!(present(&nobody).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(stranger.heard("/jwks").len(), 2, "unknown keys do not have us knock without end");
}

#[tokio::test]
async fn a_person_signs_out_on_a_page_and_the_clients_are_told() {
    let stranger = Stranger::default();
    let base = stranger.start().await;
    let world = world(&base).await;
    stranger.say("/logout", json!({}));
    let client = world
        .client(json!({ "backchannel_logout_uri": format!("{base}/logout"), "post_logout_redirect_uris": ["https://app.example/bye"] }))
        .await;
    let other = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let (_, first) = world.redeem(&client, ada.allows(&client, &[]).await.get("code")).await;
    let (_, away) = world.redeem(&other, ada.allows(&other, &[("scope", "openid offline_access")]).await.get("code")).await;
    let hint = first["id_token"].as_str().unwrap();
    let bye = [("id_token_hint", hint), ("post_logout_redirect_uri", "https://app.example/bye"), ("state", "x y")];
    for (name, value) in [
        ("post_logout_redirect_uri", "https://evil.example/"),
        ("post_logout_redirect_uri", "https://app.example/bye/"),
        ("id_token_hint", "eyJ.eyJ.x"),
        ("client_id", other.id.as_str()),
    ] {
        let mut fields = bye.to_vec();
        fields.retain(|(n, _)| *n != name);
        fields.push((name, value));
        let answer = ada.get(&format!("/oauth/logout?{}", query(&fields))).await;
        assert_eq!((answer.status, answer.headers.contains_key(header::LOCATION)), (StatusCode::BAD_REQUEST, false), "{name}={value}");
    }
    let nameless = ada.get(&format!("/oauth/logout?{}", query(&bye[1..2]))).await;
    assert_eq!(nameless.status, StatusCode::BAD_REQUEST);
    // A link alone signs nobody out; a form of another site becomes that link.
    let posted = world.request("POST", "/oauth/logout", &[("content-type", "application/x-www-form-urlencoded")], query(&bye)).await;
    let page = ada.get(posted.location()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(world.userinfo(first["access_token"].as_str().unwrap()).await.0, StatusCode::OK);
    let back = Back::of(&ada.submit(&page, 1, &[], None).await);
    assert_eq!((back.to.as_str(), back.get("state")), ("https://app.example/bye", "x y"));
    assert!(ada.get("/agents").await.location().starts_with("/sign-in"));
    assert_eq!(world.userinfo(first["access_token"].as_str().unwrap()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(world.userinfo(away["access_token"].as_str().unwrap()).await.0, StatusCode::OK, "allowed to go on while the person is away");

    world.run_jobs().await;
    let told = stranger.heard("/logout");
    assert_eq!(told.len(), 1);
    let token = told[0].strip_prefix("logout_token=").unwrap();
    let keys = &world.front.realm.keys;
    let kid = jose::decode_unverified::<Value>(token, "logout+jwt").unwrap().kid.unwrap();
    let said = jose::verify::<Value>(token, "logout+jwt", &keys.find(&kid).unwrap()).unwrap().claims;
    assert_eq!((&said["aud"], &said["iss"]), (&json!(client.id), &json!("http://localhost:4000")));
    assert!(said["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object() && said.get("nonce").is_none(), "{said}");
    assert!(
        said["sid"].as_str().unwrap().starts_with("sgn_") && said["jti"].is_string() && said["sub"].as_str().unwrap().starts_with("per_")
    );
    let again = ada.get(&format!("/oauth/logout?{}", query(&bye))).await;
    assert_eq!(Back::of(&again).to, "https://app.example/bye", "nobody is signed in: there is nothing to ask");
}

#[tokio::test]
async fn whoever_signs_in_anew_stays_signed_on_and_somebody_else_in_the_same_browser_does_not() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let (_, tokens) = world.redeem(&client, ada.allows(&client, &[]).await.get("code")).await;
    let access = tokens["access_token"].as_str().unwrap();
    ada.sign_in_at(&world, "/sign-in?again=1", "ada@example.test").await;
    assert_eq!(world.userinfo(access).await.0, StatusCode::OK);
    ada.sign_in_at(&world, "/sign-in?again=1", "eve@example.test").await;
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED);
}
