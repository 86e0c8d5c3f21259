//! The device flow of registered clients (RFC 8628): signing on from a device without a browser.

use crate::world::client::Client;
use crate::world::{Answer, Browser, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use purser_authority::action::ClientRegister;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_crypto::jose;
use purser_identity::SignUp;
use purser_identity::client::{RawMetadata, RegisterError, Registration, Trust, client_register};
use purser_identity::limits::CLIENTS_PER_PEER_HOUR;
use purser_identity::token::IdClaims;
use purser_provisioning::perform;
use serde_json::{Value, json};

const START: &str = "/oauth/device_authorization";
const TOKEN: &str = "/oauth/token";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn device(world: &World, method: &str) -> Client {
    let metadata = json!({ "token_endpoint_auth_method": method, "grant_types": [DEVICE, "refresh_token"], "redirect_uris": [] });
    world.client(metadata).await
}

async fn start(world: &World, client: &Client, scope: &str) -> Value {
    let (status, asked) = world.form(START, &[], &[("client_id", &client.id), ("scope", scope)]).await;
    assert_eq!(status, StatusCode::OK, "{asked}");
    asked
}

async fn poll(world: &World, client: &Client, asked: &Value) -> (StatusCode, Value) {
    let code = asked["device_code"].as_str().unwrap();
    world.form(TOKEN, &[], &[("grant_type", DEVICE), ("client_id", &client.id), ("device_code", code)]).await
}

async fn page(person: &mut Browser, asked: &Value) -> Answer {
    let shown = person.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    shown
}

async fn answer(person: &mut Browser, asked: &Value, decision: &str) {
    let shown = page(person, asked).await;
    let done = person.submit(&shown, 1, &[], Some(("decision", decision))).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
}

fn refused(found: &(StatusCode, Value), status: StatusCode, error: &str, why: &str) {
    assert_eq!((found.0, found.1["error"].as_str()), (status, Some(error)), "{why}: {}", found.1);
}

#[tokio::test]
async fn a_client_on_a_device_signs_a_person_on() {
    let world = World::new().await;
    let client = device(&world, "none").await;
    let asked = start(&world, &client, "openid email treasure offline_access").await;
    let user_code = asked["user_code"].as_str().unwrap();
    assert_eq!(asked["verification_uri"], "http://localhost:4000/device");
    assert_eq!(asked["verification_uri_complete"], format!("http://localhost:4000/device?user_code={user_code}"));
    assert!(asked["expires_in"].as_i64().unwrap() > 60 && asked["interval"].is_i64(), "{asked}");

    let mut ada = world.person("ada@example.test").await;
    let shown = page(&mut ada, &asked).await;
    for text in ["<q>App</q>", "not verified", user_code, "your e-mail address", "while you are away", "value=\"accept\"", "value=\"deny\""]
    {
        assert!(shown.body.contains(text), "`{text}` is not on {}", shown.body);
    }
    answer(&mut ada, &asked, "accept").await;
    let (status, tokens) = poll(&world, &client, &asked).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!((tokens["token_type"].as_str(), tokens["scope"].as_str()), (Some("Bearer"), Some("openid email offline_access")));
    let id = tokens["id_token"].as_str().unwrap();
    let kid = jose::decode_unverified::<Value>(id, "JWT").unwrap().kid.unwrap();
    let id = jose::verify::<IdClaims>(id, "JWT", &world.front.realm.keys.find(&kid).unwrap()).unwrap().claims;
    assert_eq!((id.aud.as_str(), id.nonce.as_deref()), (client.id.as_str(), None));
    let (_, who) = world.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!((&who["sub"], &who["email"]), (&json!(id.sub), &json!("ada@example.test")));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let again = world.form(TOKEN, &[], &[("grant_type", "refresh_token"), ("client_id", &client.id), ("refresh_token", refresh)]).await;
    assert_eq!(again.0, StatusCode::OK, "{}", again.1);
    // A device code works once, and a decision is made once.
    refused(&poll(&world, &client, &asked).await, StatusCode::BAD_REQUEST, "invalid_grant", "a second use");
    assert_eq!(ada.submit(&shown, 1, &[], Some(("decision", "deny"))).await.status, StatusCode::CONFLICT);
    // Nothing is remembered: the next device is asked about anew.
    let next = start(&world, &client, "openid").await;
    page(&mut ada, &next).await;
    answer(&mut ada, &next, "accept").await;
    let (_, less) = poll(&world, &client, &next).await;
    assert!(less["id_token"].is_string() && less.get("refresh_token").is_none(), "{less}");
    let bare = start(&world, &client, "treasure").await;
    answer(&mut ada, &bare, "accept").await;
    let (status, bare) = poll(&world, &client, &bare).await;
    assert!(status == StatusCode::OK && bare.get("id_token").is_none() && bare.get("refresh_token").is_none(), "{bare}");
}

#[tokio::test]
async fn a_poll_is_held_and_answered_by_the_decision_and_a_second_one_is_told_to_slow_down() {
    let world = World::new().await;
    let client = device(&world, "none").await;
    let mut ada = world.person("ada@example.test").await;
    let asked = start(&world, &client, "openid").await;
    let decide = async {
        tokio::task::yield_now().await;
        // The first poll is held by now, or this one is held and the other is told.
        let second = tokio::time::timeout(std::time::Duration::from_millis(500), poll(&world, &client, &asked)).await;
        refused(&second.expect("not held"), StatusCode::BAD_REQUEST, "slow_down", "a second poll");
        answer(&mut ada, &asked, "deny").await;
    };
    let (first, ()) = tokio::join!(poll(&world, &client, &asked), decide);
    refused(&first, StatusCode::BAD_REQUEST, "access_denied", "a no");
}

#[tokio::test]
async fn without_a_decision_a_poll_is_pending_and_in_the_end_the_code_has_run_out() {
    let world = World::new().await;
    let client = device(&world, "none").await;
    let asked = start(&world, &client, "openid").await;
    refused(&poll(&world, &client, &asked).await, StatusCode::BAD_REQUEST, "authorization_pending", "nobody answered");
    world.clock.advance_secs(3_600);
    refused(&poll(&world, &client, &asked).await, StatusCode::BAD_REQUEST, "expired_token", "too late");
    let mut ada = world.person("ada@example.test").await;
    let late = ada.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_decision_counts_for_the_client_the_key_and_the_session_that_it_was_made_with() {
    let world = World::new().await;
    let (client, other) = (device(&world, "none").await, device(&world, "none").await);
    let mut ada = world.person("ada@example.test").await;
    let asked = start(&world, &client, "openid offline_access").await;
    answer(&mut ada, &asked, "accept").await;
    refused(&poll(&world, &other, &asked).await, StatusCode::BAD_REQUEST, "invalid_grant", "another client's code");
    let code = asked["device_code"].as_str().unwrap();
    refused(
        &world.form(TOKEN, &[], &[("grant_type", DEVICE), ("device_code", code)]).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "no client",
    );
    let agent = world.agent();
    assert_eq!(agent.poll(&asked).await.1["error"], "invalid_client", "an agent's proof is no client");
    // A proof at the token endpoint binds the tokens.
    let proof = world.proof_of(&client, "POST", TOKEN, None);
    let fields = [("grant_type", DEVICE), ("client_id", client.id.as_str()), ("device_code", code)];
    let (status, tokens) = world.form(TOKEN, &[("dpop", &proof)], &fields).await;
    assert_eq!((status, tokens["token_type"].as_str()), (StatusCode::OK, Some("DPoP")), "{tokens}");
    assert_eq!(world.userinfo(tokens["access_token"].as_str().unwrap()).await.0, StatusCode::UNAUTHORIZED);

    // A proof when it asks binds the code.
    let proof = world.proof_of(&client, "POST", START, None);
    let (_, bound) = world.form(START, &[("dpop", &proof)], &[("client_id", &client.id), ("scope", "openid")]).await;
    answer(&mut ada, &bound, "accept").await;
    refused(&poll(&world, &client, &bound).await, StatusCode::BAD_REQUEST, "invalid_grant", "no proof for a bound code");
    let fields = [fields[0], fields[1], ("device_code", bound["device_code"].as_str().unwrap())];
    let proof = world.proof_of(&other, "POST", TOKEN, None);
    refused(&world.form(TOKEN, &[("dpop", &proof)], &fields).await, StatusCode::BAD_REQUEST, "invalid_grant", "another key");
    let proof = world.proof_of(&client, "POST", TOKEN, None);
    assert_eq!(world.form(TOKEN, &[("dpop", &proof)], &fields).await.0, StatusCode::OK);

    // Whoever signs out before the device fetches has taken the yes back.
    let last = start(&world, &client, "openid offline_access").await;
    answer(&mut ada, &last, "accept").await;
    let home = ada.get("/").await;
    let out = ada.submit(&home, 0, &[], None).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER, "{}", out.body);
    refused(&poll(&world, &client, &last).await, StatusCode::BAD_REQUEST, "access_denied", "signed out");
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_why_in_the_words_of_the_rfc() {
    let world = World::new().await;
    let scope = ("scope", "openid");
    let bad = StatusCode::BAD_REQUEST;
    refused(&world.form(START, &[], &[scope]).await, bad, "invalid_request", "neither a client nor a proof");
    refused(
        &world.form(START, &[], &[scope, ("client_id", "nobody")]).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "an unknown client",
    );
    let web = world.client(json!({})).await;
    refused(&world.form(START, &[], &[scope, ("client_id", &web.id)]).await, bad, "unauthorized_client", "not registered for it");
    let poll_of = |id: &str, code: &'static str| {
        let (world, id) = (&world, id.to_owned());
        async move { world.form(TOKEN, &[], &[("grant_type", DEVICE), ("client_id", &id), ("device_code", code)]).await }
    };
    refused(&poll_of(&web.id, "unknown").await, bad, "unauthorized_client", "not registered for it, at the token endpoint");
    let client = device(&world, "none").await;
    refused(&poll_of(&client.id, "unknown").await, bad, "invalid_grant", "an unknown code");
    refused(&poll_of(&client.id, "").await, bad, "invalid_request", "no code");
    let narrow = world.client(json!({ "grant_types": [DEVICE], "redirect_uris": [], "scope": "openid" })).await;
    let wide = [("client_id", narrow.id.as_str()), ("scope", "openid email")];
    refused(&world.form(START, &[], &wide).await, bad, "invalid_scope", "more than it registered for");
    let away = [("client_id", client.id.as_str()), scope, ("resource", "https://evil.test")];
    refused(&world.form(START, &[], &away).await, bad, "invalid_target", "an unknown resource");

    let confidential = device(&world, "client_secret_basic").await;
    let (id, secret) = (confidential.id.as_str(), confidential.secret.as_deref().unwrap());
    let bare = [scope, ("client_id", id)];
    refused(&world.form(START, &[], &bare).await, StatusCode::UNAUTHORIZED, "invalid_client", "a secret is due");
    let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let (status, asked) = world.form(START, &[("authorization", &authorization)], &[scope]).await;
    assert_eq!(status, StatusCode::OK, "{asked}");
    refused(
        &poll(&world, &confidential, &asked).await,
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "a secret is due at the token endpoint",
    );
    answer(&mut world.person("ada@example.test").await, &asked, "accept").await;
    let fields = [("grant_type", DEVICE), ("device_code", asked["device_code"].as_str().unwrap())];
    assert_eq!(world.form(TOKEN, &[("authorization", &authorization)], &fields).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_agents_flow_is_what_it_was() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    assert_eq!(tokens["token_type"], "DPoP");
    let asked = agent.ask(&[("kind", "person")]).await;
    // A client cannot fetch what was decided for an agent.
    let client = device(&world, "none").await;
    answer(&mut ada, &asked, "accept").await;
    refused(&poll(&world, &client, &asked).await, StatusCode::BAD_REQUEST, "invalid_grant", "an agent's code");
    assert_eq!(agent.poll(&asked).await.0, StatusCode::OK);
}

/// A client that registered itself from this address.
async fn registered(world: &World, peer: &str) -> Result<String, RegisterError> {
    let raw: RawMetadata =
        serde_json::from_value(json!({ "client_name": "TV", "grant_types": [DEVICE], "token_endpoint_auth_method": "none" })).unwrap();
    let metadata = raw.well_formed(Trust::Open, false).unwrap();
    let (realm, registration) = (world.front.realm.clone(), Registration { metadata, trust: Trust::Open, peer: peer.to_owned() });
    let made = perform(&world.front.core, Attempt::new("client_register", &Caller::Anonymous, "TV"), move |tx| {
        let permit = authorise::<ClientRegister>(&Caller::Anonymous, &Facts::new(realm.env.now(), "TV"))?;
        client_register(tx, &realm, permit, &registration)
    });
    Ok(made.await?.client.id.to_string())
}

#[tokio::test]
async fn in_production_the_person_types_the_code() {
    let world = World::with("https://purser.test", false, SignUp::Open).await;
    let client = registered(&world, "203.0.113.5").await.unwrap();
    let (status, asked) = world.form(START, &[], &[("client_id", &client), ("scope", "openid")]).await;
    assert_eq!(status, StatusCode::OK, "{asked}");
    let mut ada = world.person("ada@example.test").await;
    let shown = page(&mut ada, &asked).await;
    let user_code = asked["user_code"].as_str().unwrap();
    assert!(!shown.body.contains(user_code) && shown.body.contains("<q>TV</q>"), "{}", shown.body);
    let wrong = ada.submit(&shown, 1, &[("user_code", "BCDF-BCDF")], Some(("decision", "accept"))).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let right = ada.submit(&shown, 1, &[("user_code", user_code)], Some(("decision", "accept"))).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "{}", right.body);
}

#[tokio::test]
async fn one_address_registers_so_many_clients_an_hour_and_this_machine_more() {
    let world = World::new().await;
    for n in 0..CLIENTS_PER_PEER_HOUR {
        registered(&world, "203.0.113.5").await.unwrap();
        registered(&world, ["127.0.0.1", "::1", "::ffff:127.0.0.1"][n as usize % 3]).await.unwrap();
        registered(&world, "127.0.0.1").await.unwrap();
    }
    registered(&world, "127.0.0.1").await.unwrap();
    assert!(matches!(registered(&world, "203.0.113.5").await, Err(RegisterError::TooMany)));
}
