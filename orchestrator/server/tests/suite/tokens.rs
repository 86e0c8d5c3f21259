//! Introspection, revocation and nonces: who learns what of a token, who ends it, and when the end counts.

use crate::world::client::Client;
use crate::world::{Agent, World};
use http::StatusCode;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_identity::{NonceRule, SignUp};
use purser_server::oidc::{Clients, ConfiguredClient, Registration, Rules};
use purser_values::Secret;
use serde_json::{Value, json};

const OFFLINE: &[(&str, &str)] = &[("scope", "openid email offline_access")];

/// A client with the tokens of a sign-on.
async fn signed_on(world: &World) -> (Client, Value) {
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let code = ada.allows(&client, OFFLINE).await.get("code").to_owned();
    let (status, tokens) = world.redeem(&client, &code).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    (client, tokens)
}

async fn introspect(world: &World, client: &Client, token: &str) -> Value {
    let mut fields = vec![("token", token), ("client_id", client.id.as_str())];
    fields.extend(client.secret.as_deref().map(|secret| ("client_secret", secret)));
    let (status, body) = world.form("/oauth/introspect", &[], &fields).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

#[tokio::test]
async fn a_client_learns_of_its_own_tokens_and_a_stranger_only_that_there_is_nothing() {
    let world = World::new().await;
    let (client, tokens) = signed_on(&world).await;
    let stranger = world.client(json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    for name in ["access_token", "refresh_token"] {
        let own = introspect(&world, &client, text(&tokens, name)).await;
        assert_eq!((&own["active"], &own["client_id"]), (&json!(true), &json!(client.id)), "{own}");
        assert!(own["sub"].as_str().unwrap().starts_with("per_") && own["exp"].is_i64(), "{own}");
        assert_eq!(introspect(&world, &stranger, text(&tokens, name)).await, json!({ "active": false }));
    }
    for nothing in ["nonsense", "pur_or_AAAA", text(&tokens, "id_token")] {
        assert_eq!(introspect(&world, &client, nothing).await, json!({ "active": false }), "{nothing}");
    }
    world.clock.advance_secs(601);
    assert_eq!(introspect(&world, &client, text(&tokens, "access_token")).await, json!({ "active": false }));
    // an agent came by no client, so no client learns of it
    let mut bob = world.person("bob@example.test").await;
    let (_, agents) = world.granted(&mut bob).await;
    assert_eq!(introspect(&world, &client, text(&agents, "access_token")).await, json!({ "active": false }));
    let (status, body) = world.form("/oauth/introspect", &[], &[("client_id", &client.id)]).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    assert_ne!(world.form("/oauth/introspect", &[], &[("token", "x")]).await.0, StatusCode::OK);
}

/// A sandbox in which the operator lets a resource server introspect, and that server.
async fn with_a_gate() -> (World, Client) {
    let secret = "a secret of the operator's";
    let configured = json!({
        "id": "gate", "secret_file": "/s", "token_endpoint_auth_method": "client_secret_post", "grant_types": ["client_credentials"],
        "scope": "introspect",
    });
    let configured: ConfiguredClient = serde_json::from_value(configured).unwrap();
    let gate = configured.client(true, |_| Ok(Secret::new(secret.to_owned()))).unwrap();
    let fetcher = purser_http::Fetcher::new(vec![]).unwrap();
    let rules = Rules { registration: Registration::Open, resources: vec![], sandbox: true };
    let clients = Clients::new(fetcher.clone(), rules, vec![gate]);
    let world = World::with_clients("http://localhost:4000", true, SignUp::Open, clients, fetcher).await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let gate = Client { id: "gate".to_owned(), secret: Some(secret.to_owned()), information: Value::Null, key, verifier: String::new() };
    (world, gate)
}

#[tokio::test]
async fn a_resource_server_of_the_operators_sees_an_agents_token_as_long_as_it_counts() {
    let (world, gate) = with_a_gate().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    let helper = world.agent();
    let (status, below) = agent.let_in(&tokens, &helper, r#"[{"type":"purser_grant"}]"#).await;
    assert_eq!(status, StatusCode::OK, "{below}");
    let active = async || {
        let mut found = Vec::new();
        for token in [text(&tokens, "access_token"), text(&tokens, "refresh_token"), text(&below, "access_token")] {
            let answer = introspect(&world, &gate, token).await;
            let on = answer["active"].as_bool().unwrap();
            assert!(on || answer == json!({ "active": false }), "what does not count is told of: {answer}");
            found.push(on);
        }
        found
    };
    let seen = introspect(&world, &gate, text(&tokens, "access_token")).await;
    assert_eq!((&seen["active"], &seen["token_type"]), (&json!(true), &json!("DPoP")), "{seen}");
    assert_eq!((&seen["act"]["sub"], &seen["cnf"]["jkt"]), (&tokens["agent_id"], &json!(agent.key.public().thumbprint())), "{seen}");
    assert_eq!(seen["authorization_details"][0]["type"], "purser_grant", "{seen}");
    let chain = introspect(&world, &gate, text(&below, "access_token")).await;
    assert_eq!(chain["act"]["act"]["sub"], tokens["agent_id"], "{chain}");
    assert_eq!(active().await, [true, true, true]);

    let path = format!("/agents/{}", text(&tokens, "agent_id"));
    let page = ada.get("/agents").await;
    let press = async |ada: &mut crate::world::Browser, to: String| {
        let answer = ada.post(&to, &page.form(1).1).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{to}: {}", answer.body);
    };
    press(&mut ada, format!("{path}/freeze")).await;
    assert_eq!(active().await, [false, false, false], "frozen, with what it let in");
    press(&mut ada, format!("{path}/thaw")).await;
    assert_eq!(active().await, [true, true, true], "thawed");
    press(&mut ada, format!("/grants/{}/revoke", text(&tokens, "grant_id"))).await;
    assert_eq!(active().await, [false, false, false], "its grant revoked");

    // The scope is the operator's to give, and the secret the client's to show.
    let (agent, tokens) = world.granted_in(&mut ada, "blog").await;
    let stranger = world.client(json!({ "token_endpoint_auth_method": "client_secret_post", "scope": "introspect" })).await;
    assert_eq!(introspect(&world, &stranger, text(&tokens, "access_token")).await, json!({ "active": false }));
    let lies = [("token", text(&tokens, "access_token")), ("client_id", "gate"), ("client_secret", "another")];
    assert_eq!(world.form("/oauth/introspect", &[], &lies).await.0, StatusCode::UNAUTHORIZED);
    let one = async |name: &str| introspect(&world, &gate, text(&tokens, name)).await["active"] == true;
    assert!(one("access_token").await && one("refresh_token").await);
    world.clock.advance_secs(tokens["expires_in"].as_i64().unwrap());
    assert!(!one("access_token").await && one("refresh_token").await, "the access token has run out, the grant has not");
    assert_eq!(agent.refresh(&tokens).await.0, StatusCode::OK);
    assert!(!one("refresh_token").await, "a used one");
}

#[tokio::test]
async fn a_revoked_token_is_dead_and_a_refresh_token_takes_all_that_came_with_it() {
    let world = World::new().await;
    let (client, tokens) = signed_on(&world).await;
    let stranger = world.client(json!({})).await;
    let revoke = async |client: &Client, token: &str| {
        let (status, body) = world.form("/oauth/revoke", &[], &[("token", token), ("client_id", &client.id)]).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    };
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    for token in [access, refresh, "nonsense"] {
        revoke(&stranger, token).await;
    }
    assert_eq!(world.userinfo(access).await.0, StatusCode::OK, "a stranger ended it");
    revoke(&client, access).await;
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(introspect(&world, &client, access).await["active"], false);
    let (status, next) =
        world.form("/oauth/token", &[], &[("grant_type", "refresh_token"), ("client_id", &client.id), ("refresh_token", refresh)]).await;
    assert_eq!(status, StatusCode::OK, "an access token ends alone: {next}");
    assert_eq!(introspect(&world, &client, refresh).await["active"], false, "a used refresh token is active");
    revoke(&client, text(&next, "refresh_token")).await;
    assert_eq!(world.userinfo(text(&next, "access_token")).await.0, StatusCode::UNAUTHORIZED);
    let fields = [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", text(&next, "refresh_token"))];
    assert_eq!(world.form("/oauth/token", &[], &fields).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn an_agent_ends_its_own_tokens_with_its_key_and_nobody_elses() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let thief = world.agent();
    let access = text(&tokens, "access_token");
    assert_eq!(thief.post("/oauth/revoke", &[("token", access)]).await.0, StatusCode::OK);
    assert!(world.call(&agent, access).await.is_ok(), "another key ended it");
    assert_eq!(agent.post("/oauth/revoke", &[("token", access)]).await.0, StatusCode::OK);
    assert!(world.call(&agent, access).await.is_err());
    let (status, next) = agent.refresh(&tokens).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(agent.post("/oauth/revoke", &[("token", text(&next, "refresh_token"))]).await.0, StatusCode::OK);
    assert!(world.call(&agent, text(&next, "access_token")).await.is_err(), "the family outlived its refresh token");
    let (terminal, token) = world.terminal(&mut ada).await;
    assert_eq!(terminal.post("/oauth/revoke", &[("token", &token)]).await.0, StatusCode::OK);
    assert!(world.call(&terminal, &token).await.is_err());
}

#[tokio::test]
async fn a_nonce_is_offered_with_every_answer_and_a_wrong_one_is_refused_with_a_new_one() {
    let world = World::new().await;
    let offered = world.request("POST", "/oauth/token", &[("content-type", "application/x-www-form-urlencoded")], String::new()).await;
    let nonce = offered.headers["dpop-nonce"].to_str().unwrap().to_owned();
    for (given, error) in [("made-up", "use_dpop_nonce"), (nonce.as_str(), "invalid_grant")] {
        assert_eq!(refresh_with(&world, Some(given)).await["error"], error, "{given}");
    }
    world.clock.advance_secs(300);
    assert_eq!(refresh_with(&world, Some(&nonce)).await["error"], "invalid_grant", "the window before still counts");
    world.clock.advance_secs(300);
    assert_eq!(refresh_with(&world, Some(&nonce)).await["error"], "use_dpop_nonce", "an old nonce was taken");
    assert_eq!(refresh_with(&world, None).await["error"], "invalid_grant", "a nonce is not demanded here");
}

#[tokio::test]
async fn where_the_operator_demands_nonces_no_proof_counts_without() {
    let mut world = World::with("http://localhost:4000", true, SignUp::Open).await;
    world.demand_nonces(NonceRule::Required);
    assert_eq!(refresh_with(&world, None).await["error"], "use_dpop_nonce");
    let nonce = purser_identity::token::nonce::now(&world.front.realm);
    assert_eq!(refresh_with(&world, Some(&nonce)).await["error"], "invalid_grant");
}

/// A refresh that gets as far as its token, which is none.
async fn refresh_with(world: &World, nonce: Option<&str>) -> Value {
    let agent: Agent = world.agent();
    let proof = agent.proof_with("POST", &world.front.realm.url("/oauth/token"), None, nonce);
    agent.post_with("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "pur_rt_x")], &[&proof]).await.1
}
