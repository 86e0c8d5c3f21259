//! What people try at the authorization endpoint and with codes, each refused by name.

use crate::world::World;
use crate::world::client::{Back, CALLBACK, Client, query};
use http::{StatusCode, header};
use purser_crypto::encoding::b64url;
use serde_json::json;

/// Sends a request and expects a page of ours that leads nowhere.
async fn refused_here(world: &World, client: &Client, change: &[(&str, &str)]) {
    let mut browser = world.browser();
    let answer = browser.authorize(client, change).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change:?}: {:?}", answer.headers.get(header::LOCATION));
    assert!(!answer.headers.contains_key(header::LOCATION), "{change:?}");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_was_not_registered() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    for uri in [
        "https://evil.example/cb",
        "https://app.example.evil.example/cb",
        "https://evil.example/app.example/cb",
        "https://app.example@evil.example/cb",
        "https://app.example:444/cb",
        "https://app.example/CB",
        "https://app.example/cb/",
        "https://app.example/cb/../steal",
        "https://app.example/cb%2f..%2fsteal",
        "https://app.example/cb?next=https://evil.example",
        "https://app.example/cb#frag",
        "https://app.example/cb;evil",
        "https://app.example\\@evil.example/cb",
        "https:app.example/cb",
        "http://app.example/cb",
        "//app.example/cb",
        "javascript:alert(1)//app.example/cb",
        "data:text/html,hi",
        " https://app.example/cb",
        "",
    ] {
        refused_here(&world, &client, &[("redirect_uri", uri)]).await;
    }
    let unknown = world.browser().authorize(&client, &[("client_id", "cli_nobody")]).await;
    assert_eq!((unknown.status, unknown.headers.contains_key(header::LOCATION)), (StatusCode::UNAUTHORIZED, false));
    let answer = world.browser().get("/oauth/authorize?response_type=code").await;
    assert_eq!((answer.status, answer.headers.contains_key(header::LOCATION)), (StatusCode::BAD_REQUEST, false));
    // A parameter that is there twice could be read two ways by two programs.
    let challenge = client.challenge();
    let mut fields = client.asks(&challenge, &[]);
    fields.push(("redirect_uri", "https://evil.example/cb"));
    let answer = world.browser().get(&format!("/oauth/authorize?{}", query(&fields))).await;
    assert_eq!((answer.status, answer.headers.contains_key(header::LOCATION)), (StatusCode::BAD_REQUEST, false));
}

#[tokio::test]
async fn a_program_on_the_persons_machine_may_listen_on_any_port_and_is_asked_for_each_time() {
    let world = World::new().await;
    let client = world.client(json!({ "redirect_uris": ["http://127.0.0.1/cb"] })).await;
    let mut ada = world.person("ada@example.test").await;
    let first = ada.allows(&client, &[("redirect_uri", "http://127.0.0.1:49152/cb")]).await;
    assert_eq!(first.to, "http://127.0.0.1:49152/cb");
    // Any program there could pass for the client, so the answer is not remembered.
    let again = ada.authorize(&client, &[("redirect_uri", "http://127.0.0.1:49153/cb")]).await;
    assert_eq!(ada.get(again.location()).await.status, StatusCode::OK);
    for other in ["http://127.0.0.1:49152/other", "http://localhost:49152/cb", "https://127.0.0.1:49152/cb", "http://127.0.0.2/cb"] {
        refused_here(&world, &client, &[("redirect_uri", other)]).await;
    }
}

#[tokio::test]
async fn what_weakens_a_request_goes_back_as_an_error_with_state_and_issuer() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    for (change, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("request", "eyJ.eyJ.x"), "request_not_supported"),
        (("resource", "https://evil.example"), "invalid_target"),
        (("prompt", "none login"), "invalid_request"),
        (("authorization_details", "[{\"type\":\"purser_grant\"}]"), "invalid_request"),
    ] {
        let back = Back::of(&ada.authorize(&client, &[change]).await);
        assert_eq!(
            (back.to.as_str(), back.get("error"), back.get("state"), back.get("iss")),
            (CALLBACK, error, "st4te", "http://localhost:4000"),
            "{change:?}"
        );
        assert!(!back.parameters.contains_key("code"));
    }
}

#[tokio::test]
async fn a_code_is_for_one_client_one_address_one_verifier_and_one_minute() {
    let world = World::new().await;
    let (client, other) = (world.client(json!({})).await, world.client(json!({})).await);
    let mut ada = world.person("ada@example.test").await;
    let code = ada.allows(&client, &[]).await.get("code").to_owned();
    let try_with = |change: (&'static str, String)| {
        let (world, client, code) = (&world, &client, code.clone());
        async move {
            let mut fields = client.redeem(&code);
            fields.retain(|(n, _)| *n != change.0);
            if !change.1.is_empty() {
                fields.push((change.0, &change.1));
            }
            world.form("/oauth/token", &[], &fields).await.1["error"].as_str().unwrap_or("taken").to_owned()
        }
    };
    assert_eq!(try_with(("client_id", other.id.clone())).await, "invalid_grant");
    assert_eq!(try_with(("redirect_uri", "https://app.example/other".to_owned())).await, "invalid_grant");
    assert_eq!(try_with(("redirect_uri", String::new())).await, "invalid_request");
    assert_eq!(try_with(("code_verifier", other.verifier.clone())).await, "invalid_grant");
    assert_eq!(try_with(("code_verifier", String::new())).await, "invalid_request");
    // The challenge that an onlooker has seen is not the verifier.
    assert_eq!(try_with(("code_verifier", client.challenge())).await, "invalid_grant");
    assert_eq!(try_with(("code_verifier", "short".to_owned())).await, "invalid_grant");
    assert_eq!(try_with(("code", "pur_ac_guess".to_owned())).await, "invalid_grant");
    assert_eq!(try_with(("client_id", String::new())).await, "invalid_client");
    assert_eq!(try_with(("resource", "https://evil.example".to_owned())).await, "invalid_target");
    assert_eq!(try_with(("grant_type", "password".to_owned())).await, "unsupported_grant_type");
    world.clock.advance_secs(61);
    assert_eq!(try_with(("x", String::new())).await, "invalid_grant", "after a minute");
}

#[tokio::test]
async fn the_second_use_of_a_code_ends_what_the_first_gave() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let code = ada.allows(&client, &[("scope", "openid offline_access")]).await.get("code").to_owned();
    let (status, tokens) = world.redeem(&client, &code).await;
    assert_eq!(status, StatusCode::OK);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(world.userinfo(access).await.0, StatusCode::OK);
    // A stranger who has only the code cannot end anything.
    let stranger = world.client(json!({})).await;
    assert_eq!(world.redeem(&stranger, &code).await.1["error"], "invalid_grant");
    assert_eq!(world.userinfo(access).await.0, StatusCode::OK);
    assert_eq!(world.redeem(&client, &code).await.1["error"], "invalid_grant");
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED);
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(world.form("/oauth/token", &[], &refresh).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn of_two_uses_of_a_code_at_once_none_gives_lasting_tokens() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let code = ada.allows(&client, &[]).await.get("code").to_owned();
    let (one, two) = tokio::join!(world.redeem(&client, &code), world.redeem(&client, &code));
    assert_eq!([one.0, two.0].iter().filter(|s| **s == StatusCode::OK).count(), 1, "{one:?} {two:?}");
    let tokens = if one.0 == StatusCode::OK { one.1 } else { two.1 };
    assert_eq!(world.userinfo(tokens["access_token"].as_str().unwrap()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_code_bound_to_a_key_is_worth_nothing_without_it() {
    let world = World::new().await;
    let (client, thief) = (world.client(json!({})).await, world.client(json!({})).await);
    let mut ada = world.person("ada@example.test").await;
    let jkt = client.key.public().thumbprint();
    let code = ada.allows(&client, &[("dpop_jkt", &jkt)]).await.get("code").to_owned();
    assert_eq!(world.redeem(&client, &code).await.1["error"], "invalid_grant");
    let other = world.proof_of(&thief, "POST", "/oauth/token", None);
    assert_eq!(world.form("/oauth/token", &[("dpop", &other)], &client.redeem(&code)).await.1["error"], "invalid_grant");
    let own = world.proof_of(&client, "POST", "/oauth/token", None);
    assert_eq!(world.form("/oauth/token", &[("dpop", &own)], &client.redeem(&code)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_request_belongs_to_the_browser_that_brought_it() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut eve = world.person("eve@example.test").await;
    let page = eve.authorize(&client, &[]).await.location().to_owned();
    // The attacker's half-done request does not go on in the victim's browser, with or without a request of their own.
    let mut ada = world.person("ada@example.test").await;
    assert_eq!(ada.get(&page).await.status, StatusCode::CONFLICT);
    ada.authorize(&client, &[]).await;
    assert_eq!(ada.get(&page).await.status, StatusCode::CONFLICT);
    // A form of another site is not taken.
    let shown = eve.get(&page).await;
    let (action, mut fields) = shown.form(1);
    fields.push(("decision".to_owned(), "accept".to_owned()));
    let forged: Vec<_> = fields.iter().filter(|(n, _)| n != "csrf").cloned().collect();
    assert_eq!(eve.post(&action, &forged).await.status, StatusCode::FORBIDDEN);
    assert_eq!(Back::of(&eve.post(&action, &fields).await).to, CALLBACK);
}

#[tokio::test]
async fn a_pushed_request_works_once_for_a_minute_for_the_client_that_pushed_it() {
    let world = World::new().await;
    let client = world.client(json!({ "require_pushed_authorization_requests": true })).await;
    let other = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let direct = Back::of(&ada.authorize(&client, &[]).await);
    assert_eq!(direct.get("error"), "invalid_request");
    let challenge = client.challenge();
    let push = |change: &[(&'static str, &'static str)]| {
        let fields: Vec<(String, String)> =
            client.asks(&challenge, change).iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let world = &world;
        async move {
            let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            world.form("/oauth/par", &[], &fields).await
        }
    };
    for (change, error) in [
        (("redirect_uri", "https://evil.example/cb"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("client_id", ""), "invalid_client"),
    ] {
        let (status, body) = push(&[change]).await;
        assert!(status.is_client_error(), "{change:?}");
        assert_eq!(body["error"], error, "{change:?}: {body}");
    }
    let (status, pushed) = push(&[]).await;
    assert_eq!((status, pushed["expires_in"].as_i64()), (StatusCode::CREATED, Some(60)), "{pushed}");
    let uri = pushed["request_uri"].as_str().unwrap();
    let by = |id: &str| format!("/oauth/authorize?{}", query(&[("client_id", id), ("request_uri", uri)]));
    assert_eq!(ada.get(&by(&other.id)).await.status, StatusCode::BAD_REQUEST, "another client's");
    let page = ada.get(&by(&client.id)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    assert_eq!(ada.get(&by(&client.id)).await.status, StatusCode::BAD_REQUEST, "used");
    let shown = ada.get(page.location()).await;
    let back = Back::of(&ada.submit(&shown, 1, &[], Some(("decision", "accept"))).await);
    assert_eq!(world.redeem(&client, back.get("code")).await.0, StatusCode::OK);
    let (_, late) = push(&[]).await;
    world.clock.advance_secs(61);
    let late = format!("/oauth/authorize?{}", query(&[("client_id", &client.id), ("request_uri", late["request_uri"].as_str().unwrap())]));
    assert_eq!(ada.get(&late).await.status, StatusCode::BAD_REQUEST, "after a minute");
    let elsewhere = format!("/oauth/authorize?{}", query(&[("client_id", &client.id), ("request_uri", "https://evil.example/request")]));
    assert_eq!(ada.get(&elsewhere).await.status, StatusCode::BAD_REQUEST, "nothing is fetched");
}

#[tokio::test]
async fn a_sign_on_token_opens_no_route_of_the_api() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let code = ada.allows(&client, &[]).await.get("code").to_owned();
    let proof = world.proof_of(&client, "POST", "/oauth/token", None);
    let (_, tokens) = world.form("/oauth/token", &[("dpop", &proof)], &client.redeem(&code)).await;
    let mut agent = world.agent();
    agent.key = client.key.clone();
    let (status, body) = world.api(Some((&agent, tokens["access_token"].as_str().unwrap())), "GET", "/v1/whoami", "", String::new()).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_token")));
    // An agent's token is none of a person's claims either.
    let (agent, granted) = world.granted(&mut ada).await;
    let access = granted["access_token"].as_str().unwrap();
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED);
    let proof = agent.proof("GET", "http://localhost:4000/oauth/userinfo", Some(access));
    let dpop = format!("DPoP {access}");
    let found = world.request("GET", "/oauth/userinfo", &[("authorization", &dpop), ("dpop", &proof)], String::new()).await;
    assert_eq!(found.status, StatusCode::UNAUTHORIZED);
    let unsigned = format!("{}.{}.", b64url(br#"{"alg":"none","typ":"at+jwt"}"#), access.split('.').nth(1).unwrap());
    assert_eq!(world.userinfo(&unsigned).await.0, StatusCode::UNAUTHORIZED);
}
