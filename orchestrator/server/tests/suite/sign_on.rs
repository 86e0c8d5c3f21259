//! Signing on at clients: the whole way of a person, and what clients learn.

use crate::world::World;
use crate::world::client::{Back, CALLBACK, query};
use http::{StatusCode, header};
use purser_crypto::encoding::b64url;
use purser_crypto::jose;
use purser_identity::token::IdClaims;
use purser_values::Sha256Digest;
use serde_json::{Value, json};

/// The claims of an ID token whose signature is right.
fn id_claims(world: &World, token: &str) -> IdClaims {
    let keys = &world.front.realm.keys;
    let kid = jose::decode_unverified::<Value>(token, "JWT").unwrap().kid.unwrap();
    jose::verify::<IdClaims>(token, "JWT", &keys.find(&kid).unwrap()).unwrap().claims
}

#[tokio::test]
async fn a_person_signs_on_with_a_client_and_it_learns_who_they_are() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.browser();
    // Nobody is signed in: the request waits while the person does that.
    let to_page = ada.authorize(&client, &[]).await;
    let page = to_page.location().to_owned();
    assert!(page.starts_with("/oauth/consent?request=aut_"), "{page}");
    let to_sign_in = ada.get(&page).await;
    assert!(to_sign_in.location().starts_with("/sign-in?next=%2Foauth%2Fconsent"), "{}", to_sign_in.location());
    ada.sign_in(&world, "ada@example.test").await;
    let shown = ada.get(&page).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(
        shown.body.contains("<q>App</q>") && shown.body.contains("not verified") && shown.body.contains("<strong>app.example</strong>")
    );
    let policy = shown.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://app.example;") && policy.contains("frame-ancestors 'none'"), "{policy}");

    let back = Back::of(&ada.submit(&shown, 1, &[], Some(("decision", "accept"))).await);
    assert_eq!((back.to.as_str(), back.get("state"), back.get("iss")), (CALLBACK, "st4te", "http://localhost:4000"));
    let (status, tokens) = world.redeem(&client, back.get("code")).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!((tokens["token_type"].as_str(), tokens["scope"].as_str()), (Some("Bearer"), Some("openid email")));
    assert!(tokens.get("refresh_token").is_none(), "the person was not asked for that");

    let access = tokens["access_token"].as_str().unwrap();
    let id = id_claims(&world, tokens["id_token"].as_str().unwrap());
    assert_eq!((id.aud.as_str(), id.nonce.as_deref(), id.iss.as_str()), (client.id.as_str(), Some("n0nce"), "http://localhost:4000"));
    assert_eq!(id.at_hash.as_deref(), Some(b64url(&Sha256Digest::of(access.as_bytes()).as_bytes()[..16]).as_str()));
    assert_eq!((id.acr.as_str(), id.amr.as_slice()), ("urn:purser:acr:mailed-code", &["otp".to_owned()][..]));
    assert!(id.auth_time <= id.iat && id.exp > id.iat);

    let (status, who) = world.userinfo(access).await;
    assert_eq!(
        (status, &who["sub"], &who["email"], &who["email_verified"]),
        (StatusCode::OK, &json!(id.sub), &json!("ada@example.test"), &json!(true))
    );
    // The same person is asked once.
    let again = ada.authorize(&client, &[]).await;
    let answered = Back::of(&ada.get(again.location()).await);
    assert!(answered.parameters.contains_key("code"));
    let silent = Back::of(&ada.authorize(&client, &[("prompt", "none")]).await);
    assert!(silent.parameters.contains_key("code"), "{silent:?}");
    let asked = ada.authorize(&client, &[("prompt", "consent")]).await;
    assert_eq!(ada.get(asked.location()).await.status, StatusCode::OK, "asked although remembered");
    let more = ada.authorize(&client, &[("scope", "openid email offline_access")]).await;
    assert_eq!(ada.get(more.location()).await.status, StatusCode::OK, "more than before is asked for");
}

#[tokio::test]
async fn without_a_page_there_is_an_answer_or_a_reason() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let nobody = Back::of(&world.browser().authorize(&client, &[("prompt", "none")]).await);
    assert_eq!((nobody.get("error"), nobody.get("state"), nobody.get("iss")), ("login_required", "st4te", "http://localhost:4000"));
    let mut ada = world.person("ada@example.test").await;
    let unasked = Back::of(&ada.authorize(&client, &[("prompt", "none")]).await);
    assert_eq!(unasked.get("error"), "consent_required");
    let back = ada.allows(&client, &[]).await;
    let (_, tokens) = world.redeem(&client, back.get("code")).await;
    world.clock.advance_secs(120);
    let old = Back::of(&ada.authorize(&client, &[("prompt", "none"), ("max_age", "60")]).await);
    assert_eq!(old.get("error"), "login_required");
    let hint = tokens["id_token"].as_str().unwrap();
    let same = Back::of(&ada.authorize(&client, &[("prompt", "none"), ("id_token_hint", hint)]).await);
    assert!(same.parameters.contains_key("code"));
    let mut eve = world.person("eve@example.test").await;
    eve.allows(&client, &[]).await;
    let other = Back::of(&eve.authorize(&client, &[("prompt", "none"), ("id_token_hint", hint)]).await);
    assert_eq!(other.get("error"), "login_required");
}

#[tokio::test]
async fn a_client_can_have_the_person_sign_in_anew_and_learns_when() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    ada.allows(&client, &[]).await;
    world.clock.advance_secs(600);
    for change in [("prompt", "login"), ("max_age", "60")] {
        let before = world.env.now().as_secs();
        let page = ada.authorize(&client, &[change]).await.location().to_owned();
        let anew = ada.get(&page).await;
        assert!(anew.location().starts_with("/sign-in?again=1"), "{change:?}: {}", anew.location());
        let form = ada.get(anew.location()).await;
        assert_eq!(form.status, StatusCode::OK, "{change:?}: the page is shown although somebody is signed in");
        ada.sign_in_at(&world, anew.location(), "ada@example.test").await;
        let back = Back::of(&ada.get(&page).await);
        let (_, tokens) = world.redeem(&client, back.get("code")).await;
        assert!(id_claims(&world, tokens["id_token"].as_str().unwrap()).auth_time >= before, "{change:?}");
        world.clock.advance_secs(600);
    }
}

#[tokio::test]
async fn a_no_goes_back_as_a_no_and_the_request_is_over() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let page = ada.authorize(&client, &[]).await.location().to_owned();
    let shown = ada.get(&page).await;
    let back = Back::of(&ada.submit(&shown, 1, &[], Some(("decision", "deny"))).await);
    assert_eq!((back.get("error"), back.get("iss")), ("access_denied", "http://localhost:4000"));
    assert_eq!(ada.submit(&shown, 1, &[], Some(("decision", "accept"))).await.status, StatusCode::CONFLICT);
    assert_eq!(ada.get(&page).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_client_goes_on_while_the_person_is_away_only_if_they_allowed_it_and_with_each_token_once() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let back = ada.allows(&client, &[("scope", "openid email offline_access")]).await;
    let (_, first) = world.redeem(&client, back.get("code")).await;
    let refresh = |token: &Value, scope: &str| {
        let mut fields = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", client.id.clone()),
            ("refresh_token", token.as_str().unwrap().to_owned()),
        ];
        if !scope.is_empty() {
            fields.push(("scope", scope.to_owned()));
        }
        let world = &world;
        async move {
            let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
            world.form("/oauth/token", &[], &fields).await
        }
    };
    assert_eq!(refresh(&first["refresh_token"], "openid admin").await.1["error"], "invalid_scope");
    let (status, second) = refresh(&first["refresh_token"], "openid").await;
    assert_eq!((status, second["scope"].as_str()), (StatusCode::OK, Some("openid")), "{second}");
    assert_eq!(id_claims(&world, second["id_token"].as_str().unwrap()).nonce, None);
    let (_, narrow) = world.userinfo(second["access_token"].as_str().unwrap()).await;
    assert!(narrow.get("email").is_none(), "{narrow}");
    // Another client's copy is worth nothing and ends nothing.
    let other = world.client(json!({})).await;
    let stolen =
        [("grant_type", "refresh_token"), ("client_id", other.id.as_str()), ("refresh_token", second["refresh_token"].as_str().unwrap())];
    assert_eq!(world.form("/oauth/token", &[], &stolen).await.1["error"], "invalid_grant");
    let (status, third) = refresh(&second["refresh_token"], "").await;
    assert_eq!(status, StatusCode::OK, "{third}");
    // The second use of one ends all.
    assert_eq!(refresh(&second["refresh_token"], "").await.1["error"], "invalid_grant");
    assert_eq!(refresh(&third["refresh_token"], "").await.1["error"], "invalid_grant");
    assert_eq!(world.userinfo(third["access_token"].as_str().unwrap()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_that_are_bound_to_a_key_count_with_its_proof_only() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let back = ada.allows(&client, &[("scope", "openid offline_access")]).await;
    let proof = world.proof_of(&client, "POST", "/oauth/token", None);
    let (status, tokens) = world.form("/oauth/token", &[("dpop", &proof)], &client.redeem(back.get("code"))).await;
    assert_eq!((status, tokens["token_type"].as_str()), (StatusCode::OK, Some("DPoP")), "{tokens}");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(world.userinfo(access).await.0, StatusCode::UNAUTHORIZED, "a bound token is no bearer token");
    let dpop = format!("DPoP {access}");
    let proof = world.proof_of(&client, "GET", "/oauth/userinfo", Some(access));
    let headers = [("authorization", dpop.as_str()), ("dpop", proof.as_str())];
    assert_eq!(world.request("GET", "/oauth/userinfo", &headers, String::new()).await.status, StatusCode::OK);
    let replayed = world.request("GET", "/oauth/userinfo", &headers, String::new()).await;
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED, "a proof counts once");
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(world.form("/oauth/token", &[], &refresh).await.1["error"], "invalid_grant");
    let thief = world.client(json!({})).await;
    let proof = world.proof_of(&thief, "POST", "/oauth/token", None);
    assert_eq!(world.form("/oauth/token", &[("dpop", &proof)], &refresh).await.1["error"], "invalid_grant");
    let proof = world.proof_of(&client, "POST", "/oauth/token", None);
    assert_eq!(world.form("/oauth/token", &[("dpop", &proof)], &refresh).await.0, StatusCode::OK);
}

#[tokio::test]
async fn eddsa_is_signed_with_where_a_client_asks_for_it() {
    let world = World::new().await;
    let client = world.client(json!({ "id_token_signed_response_alg": "EdDSA" })).await;
    let mut ada = world.person("ada@example.test").await;
    let back = ada.allows(&client, &[]).await;
    let (_, tokens) = world.redeem(&client, back.get("code")).await;
    let id = tokens["id_token"].as_str().unwrap();
    let head = purser_crypto::encoding::b64url_decode(id.split('.').next().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&head).unwrap()["alg"], "EdDSA");
    assert_eq!(purser_crypto::encoding::b64url_decode(&id_claims(&world, id).at_hash.unwrap()).unwrap().len(), 32);
}

#[tokio::test]
async fn what_the_metadata_name_is_there() {
    let world = World::new().await;
    let found = world.request("GET", "/.well-known/openid-configuration", &[], String::new()).await;
    let again = world.request("GET", "/.well-known/oauth-authorization-server", &[], String::new()).await;
    assert_eq!(found.body, again.body);
    let metadata: Value = serde_json::from_str(&found.body).unwrap();
    for (name, value) in metadata.as_object().unwrap() {
        let Some(path) = value.as_str().and_then(|v| v.strip_prefix("http://localhost:4000/")) else { continue };
        let method = if name.ends_with("_uri") { "GET" } else { "POST" };
        let status = world.request(method, &format!("/{path}"), &[], String::new()).await.status;
        assert!(status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED, "{name}: {status}");
    }
    let jwks: Value = serde_json::from_str(&world.request("GET", "/.well-known/jwks.json", &[], String::new()).await.body).unwrap();
    let algorithms: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert!(algorithms.contains(&"ES256") && algorithms.contains(&"EdDSA"), "{algorithms:?}");
    let resource: Value =
        serde_json::from_str(&world.request("GET", "/.well-known/oauth-protected-resource", &[], String::new()).await.body).unwrap();
    assert_eq!((&resource["resource"], &resource["authorization_servers"][0]), (&metadata["issuer"], &metadata["issuer"]));
    // Without a token the person's claims are not given, and the challenge says where tokens come from.
    let refused = world.request("GET", "/oauth/userinfo", &[], String::new()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenges: Vec<_> = refused.headers.get_all(header::WWW_AUTHENTICATE).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    assert!(
        challenges.iter().all(
            |c| c.contains("resource_metadata=\"http://localhost:4000/.well-known/oauth-protected-resource\"") && !c.contains("error=")
        ),
        "{challenges:?}"
    );
    let form = query(&[("access_token", "x")]);
    let in_body = world.request("POST", "/oauth/userinfo", &[("content-type", "application/x-www-form-urlencoded")], form).await;
    assert_eq!(in_body.status, StatusCode::UNAUTHORIZED, "a token in a body is not looked for");
}
