//! How clients prove themselves, and what they get without a person.

use crate::world::World;
use crate::world::client::{Client, query};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{self, Algorithm, SigningKey};
use purser_crypto::mac;
use serde_json::{Value, json};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TOKEN: &str = "/oauth/token";

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

async fn machine(world: &World, method: &str) -> Client {
    world.client(json!({ "token_endpoint_auth_method": method, "grant_types": ["client_credentials"], "redirect_uris": [] })).await
}

#[tokio::test]
async fn a_client_proves_itself_with_its_secret_in_the_header_or_in_the_body() {
    let world = World::new().await;
    let by_header = machine(&world, "client_secret_basic").await;
    let by_body = machine(&world, "client_secret_post").await;
    let (id, secret) = (by_header.id.as_str(), by_header.secret.as_deref().unwrap());
    let grant = ("grant_type", "client_credentials");
    let authorization = basic(id, secret);
    let (status, tokens) = world.form(TOKEN, &[("authorization", &authorization)], &[grant]).await;
    assert_eq!((status, tokens["token_type"].as_str()), (StatusCode::OK, Some("Bearer")), "{tokens}");
    let (own, own_secret) = (by_body.id.as_str(), by_body.secret.as_deref().unwrap());
    let ok = world.form(TOKEN, &[], &[grant, ("client_id", own), ("client_secret", own_secret)]).await;
    assert_eq!(ok.0, StatusCode::OK, "{}", ok.1);

    // The same secret in the other place is the same secret.
    let other = world.form(TOKEN, &[], &[grant, ("client_id", id), ("client_secret", secret)]).await;
    assert_eq!(other.0, StatusCode::OK, "{}", other.1);
    let other = world.form(TOKEN, &[("authorization", &basic(own, own_secret))], &[grant]).await;
    assert_eq!(other.0, StatusCode::OK, "{}", other.1);

    let wrong = basic(id, "pur_cs_wrong");
    for (why, headers, fields) in [
        ("a wrong secret", vec![("authorization", wrong.as_str())], vec![grant]),
        ("a wrong secret in the body", vec![], vec![grant, ("client_id", id), ("client_secret", "pur_cs_wrong")]),
        ("another client's secret", vec![], vec![grant, ("client_id", id), ("client_secret", own_secret)]),
        ("no proof", vec![], vec![grant, ("client_id", id)]),
        ("nobody", vec![], vec![grant]),
        ("an unknown client", vec![], vec![grant, ("client_id", "cli_nobody"), ("client_secret", secret)]),
    ] {
        let (status, body) = world.form(TOKEN, &headers, &fields).await;
        assert_eq!((status, body["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_client")), "{why}: {body}");
    }
    for (why, fields) in [
        ("two ways", vec![grant, ("client_secret", secret)]),
        ("two names", vec![grant, ("client_id", own)]),
        ("an assertion too", vec![grant, ("client_assertion", "x"), ("client_assertion_type", ASSERTION_TYPE)]),
    ] {
        let (status, body) = world.form(TOKEN, &[("authorization", &authorization)], &fields).await;
        assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")), "{why}: {body}");
    }
    let challenged = world
        .request("POST", TOKEN, &[("authorization", &wrong), ("content-type", "application/x-www-form-urlencoded")], query(&[grant]))
        .await;
    assert!(challenged.headers[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic"));
    assert_eq!(challenged.headers[header::CACHE_CONTROL], "no-store");
}

/// A client whose key we hold, and a maker of its assertions.
async fn keyed(world: &World, alg: Algorithm) -> (Client, SigningKey) {
    let key = SigningKey::generate(alg).unwrap();
    let metadata = json!({
        "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"], "redirect_uris": [],
        "jwks": { "keys": [key.public()] },
    });
    (world.client(metadata).await, key)
}

fn claims(world: &World, client: &Client) -> Value {
    let now = world.env.now().as_secs();
    json!({ "iss": client.id, "sub": client.id, "aud": "http://localhost:4000", "iat": now, "exp": now + 60, "jti": b64url(&world.env.bytes::<16>()) })
}

async fn present(world: &World, assertion: &str) -> (StatusCode, Value) {
    world
        .form(
            TOKEN,
            &[],
            &[("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)],
        )
        .await
}

#[tokio::test]
async fn a_signed_assertion_counts_once_and_no_forgery_counts_at_all() {
    let world = World::new().await;
    for alg in [Algorithm::Es256, Algorithm::EdDsa] {
        let (client, key) = keyed(&world, alg).await;
        let assertion = key.sign("JWT", &claims(&world, &client)).unwrap();
        assert_eq!(present(&world, &assertion).await.0, StatusCode::OK);
        let (status, body) = present(&world, &assertion).await;
        assert_eq!((status, body["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_client")), "a replay");

        let signed = |alg: &str| {
            let head = json!({ "alg": alg, "typ": "JWT", "kid": key.public().kid }).to_string();
            format!("{}.{}", b64url(head.as_bytes()), b64url(claims(&world, &client).to_string().as_bytes()))
        };
        let none = format!("{}.", signed("none"));
        let text = signed("HS256");
        let mac = format!("{text}.{}", b64url(&mac::hmac_sha256(key.public().public_bytes(), &[text.as_bytes()])));
        let stranger = SigningKey::generate(alg).unwrap().sign("JWT", &claims(&world, &client)).unwrap();
        let proof_as_assertion = key.sign("dpop+jwt", &claims(&world, &client)).unwrap();
        let mut elsewhere = claims(&world, &client);
        elsewhere["aud"] = json!(["http://localhost:4000", "https://other.example"]);
        let elsewhere = key.sign("JWT", &elsewhere).unwrap();
        for (why, forged) in
            [("none", none), ("a MAC", mac), ("another key", stranger), ("another type", proof_as_assertion), ("two audiences", elsewhere)]
        {
            assert_eq!(present(&world, &forged).await.0, StatusCode::UNAUTHORIZED, "{why}");
        }
    }
}

#[tokio::test]
async fn a_clients_own_token_is_nobodys_and_has_no_scope_that_was_not_registered() {
    let world = World::new().await;
    let client = machine(&world, "client_secret_post").await;
    let secret = client.secret.clone().unwrap();
    let own = [("grant_type", "client_credentials"), ("client_id", client.id.as_str()), ("client_secret", secret.as_str())];
    let (_, tokens) = world.form(TOKEN, &[], &own).await;
    let access = tokens["access_token"].as_str().unwrap();
    let keys = &world.front.realm.keys;
    let kid = jose::decode_unverified::<Value>(access, "at+jwt").unwrap().kid.unwrap();
    let said = jose::verify::<Value>(access, "at+jwt", &keys.find(&kid).unwrap()).unwrap().claims;
    assert_eq!((&said["sub"], &said["client_id"], &said["aud"]), (&json!(client.id), &json!(client.id), &json!("http://localhost:4000")));
    assert!(said.get("org").is_none() && said.get("act").is_none() && said.get("scope").is_none(), "{said}");
    for scope in ["openid", "introspect", "admin"] {
        let with = [own[0], own[1], own[2], ("scope", scope)];
        assert_eq!(world.form(TOKEN, &[], &with).await.1["error"], "invalid_scope", "{scope}");
    }
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED);
    let proof = world.proof_of(&client, "POST", TOKEN, None);
    let (_, bound) = world.form(TOKEN, &[("dpop", &proof)], &own).await;
    assert_eq!(bound["token_type"], "DPoP");
    assert_eq!(world.form(TOKEN, &[("dpop", &proof)], &own).await.1["error"], "invalid_dpop_proof", "a proof counts once");
    let mut agent = world.agent();
    agent.key = client.key.clone();
    let (status, _) = world.api(Some((&agent, bound["access_token"].as_str().unwrap())), "GET", "/v1/whoami", "", String::new()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let public = world.client(json!({})).await;
    let (_, body) = world.form(TOKEN, &[], &[own[0], ("client_id", &public.id)]).await;
    assert_eq!(body["error"], "unauthorized_client");
}

#[tokio::test]
async fn a_registration_is_its_own_clients_alone() {
    let world = World::new().await;
    let client = world.client(json!({ "token_endpoint_auth_method": "client_secret_basic" })).await;
    let other = world.client(json!({})).await;
    let path = client.information["registration_client_uri"].as_str().unwrap().strip_prefix("http://localhost:4000").unwrap().to_owned();
    let token = format!("Bearer {}", client.information["registration_access_token"].as_str().unwrap());
    let foreign = format!("Bearer {}", other.information["registration_access_token"].as_str().unwrap());
    for bad in [foreign.as_str(), "Bearer pur_cr_x", "Basic x"] {
        for method in ["GET", "DELETE"] {
            assert_eq!(world.request(method, &path, &[("authorization", bad)], String::new()).await.status, StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(world.request("GET", &path, &[], String::new()).await.status, StatusCode::UNAUTHORIZED);
    let read = world.request("GET", &path, &[("authorization", &token)], String::new()).await;
    let mut whole: Value = serde_json::from_str(&read.body).unwrap();
    assert_eq!((read.status, &whole["client_id"]), (StatusCode::OK, &json!(client.id)));
    assert!(whole.get("client_secret").is_none(), "a secret is shown once");
    whole["redirect_uris"] = json!(["https://app.example/new"]);
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let changed = world.request("PUT", &path, &headers, whole.to_string()).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    let mut ada = world.person("ada@example.test").await;
    assert_eq!(ada.authorize(&client, &[]).await.status, StatusCode::BAD_REQUEST, "the old address is none of its own now");
    for (name, value) in
        [("client_id", json!(other.id)), ("client_secret", json!("mine")), ("redirect_uris", json!(["http://evil.example/"]))]
    {
        let mut bad = whole.clone();
        bad[name] = value;
        assert!(world.request("PUT", &path, &headers, bad.to_string()).await.status.is_client_error(), "{name}");
    }
    assert_eq!(world.request("DELETE", &path, &[("authorization", &token)], String::new()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.request("GET", &path, &[("authorization", &token)], String::new()).await.status, StatusCode::UNAUTHORIZED);
    let secret = basic(&client.id, client.secret.as_deref().unwrap());
    let (status, _) =
        world.form(TOKEN, &[("authorization", &secret)], &[("grant_type", "refresh_token"), ("refresh_token", "pur_or_x")]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn strangers_register_nowhere_but_where_they_may_and_not_without_end() {
    let closed = World::with("https://purser.example", false, purser_identity::SignUp::Open).await;
    let (status, body) = closed.register(json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_token")));
    let metadata = closed.request("GET", "/.well-known/openid-configuration", &[], String::new()).await;
    assert!(!metadata.body.contains("registration_endpoint"));
    let world = World::new().await;
    for _ in 0..purser_identity::limits::CLIENTS_PER_PEER_HOUR {
        assert_eq!(world.register(json!({ "redirect_uris": ["https://app.example/cb"] })).await.0, StatusCode::CREATED);
    }
    assert_eq!(world.register(json!({ "redirect_uris": ["https://app.example/cb"] })).await.0, StatusCode::TOO_MANY_REQUESTS);
    for (bad, error) in [
        (json!({ "redirect_uris": ["http://app.example/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://app.example/cb"], "grant_types": ["implicit"] }), "invalid_client_metadata"),
        (json!([]), "invalid_client_metadata"),
    ] {
        assert_eq!(world.register(bad).await.1["error"], error);
    }
}

#[tokio::test]
async fn an_address_that_could_never_be_reached_is_refused_when_it_is_registered_and_named() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (terminal, token) = world.terminal(&mut ada).await;
    let kept = world.client(json!({})).await;
    let own = format!("/oauth/register/{}", kept.id);
    let bearer = format!("Bearer {}", kept.information["registration_access_token"].as_str().unwrap());
    let reached = [
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/x",
        "https://[::1]/x",
        "https://[fd00::7]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "https://localhost./x",
        "https://a.localhost:8443/x",
        "http://app.example/x",
        "http://127.0.0.1:9/x",
    ];
    for name in ["jwks_uri", "backchannel_logout_uri"] {
        for address in reached {
            let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
            metadata[name] = json!(address);
            let (status, said) = world.register(metadata.clone()).await;
            let by_person = world.api(Some((&terminal, &token)), "POST", "/v1/clients", "application/json", metadata.to_string()).await;
            metadata["client_id"] = json!(kept.id);
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let changed = world.request("PUT", &own, &headers, metadata.to_string()).await;
            let changed = (changed.status, serde_json::from_str::<Value>(&changed.body).unwrap());
            for (status, error, text) in [
                (status, &said["error"], &said["error_description"]),
                (changed.0, &changed.1["error"], &changed.1["error_description"]),
                (by_person.0, &by_person.1["code"], &by_person.1["detail"]),
            ] {
                assert_eq!((status, error.as_str()), (StatusCode::BAD_REQUEST, Some("invalid_client_metadata")), "{address}: {text}");
                let text = text.as_str().unwrap();
                assert!(text.contains(name) && text.contains("cannot be reached"), "{address}: {text}");
            }
        }
        let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        metadata[name] = json!("https://app.example/x");
        assert_eq!(world.register(metadata).await.0, StatusCode::CREATED);
    }
}
