//! A grant that an application asks for with `authorization_details`: the same page, the same decision, and a code instead of a poll.

use crate::world::client::{Back, Client, query};
use crate::world::{Agent, Answer, Browser, World};
use http::StatusCode;
use purser_authority::Caller;
use serde_json::{Value, json};

const DETAILS: &str = r#"[{"type":"purser_grant","projects":["shop"],"providers":["slipway"],"cap_minor":5000}]"#;

/// Pushes a request for a grant with the client's key, and gives what came back.
async fn push(world: &World, client: &Client, change: &[(&str, &str)]) -> (StatusCode, Value) {
    let challenge = client.challenge();
    let mut fields = vec![("scope", ""), ("authorization_details", DETAILS)];
    fields.extend_from_slice(change);
    let proof = world.proof_of(client, "POST", "/oauth/par", None);
    world.form("/oauth/par", &[("dpop", &proof)], &client.asks(&challenge, &fields)).await
}

async fn brings(world: &World, browser: &mut Browser, client: &Client) -> (String, Answer) {
    let (status, pushed) = push(world, client, &[]).await;
    assert_eq!(status, StatusCode::CREATED, "{pushed}");
    let to = query(&[("client_id", &client.id), ("request_uri", pushed["request_uri"].as_str().unwrap())]);
    let path = browser.get(&format!("/oauth/authorize?{to}")).await.location().to_owned();
    let page = browser.get(&path).await;
    (path, page)
}

/// Where the page leads that goes on by itself.
fn leaves_to(page: &Answer) -> Back {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let to = page.body.split("content=\"0;url=").nth(1).unwrap_or_else(|| panic!("no way on in {}", page.body));
    let url: url::Url = to.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&").parse().unwrap();
    let parameters = url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    Back { to: url.to_string(), parameters }
}

fn agent_with(world: &World, client: &Client) -> Agent {
    let mut agent = world.agent();
    agent.key = client.key.clone();
    agent
}

#[tokio::test]
async fn an_application_gets_an_agents_tokens_after_the_persons_one_acceptance() {
    let world = World::new().await;
    let client = world.client(json!({ "client_name": "Builder" })).await;
    let mut ada = world.person("ada@example.test").await;
    let (path, page) = brings(&world, &mut ada, &client).await;
    assert!(page.body.contains("Did you come from this application?") && page.body.contains("app.example"), "{}", page.body);
    assert!(!page.body.contains("Is this your terminal?") && page.body.contains("50.00"));
    let decided = ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(decided.location(), path);
    let back = leaves_to(&ada.get(&path).await);
    assert_eq!((back.get("state"), back.get("iss")), ("st4te", "http://localhost:4000"));
    let code = back.get("code");

    assert_eq!(world.redeem(&client, code).await.1["error"], "invalid_grant", "without the agent's key");
    let proof = world.proof_of(&client, "POST", "/oauth/token", None);
    let (status, tokens) = world.form("/oauth/token", &[("dpop", &proof)], &client.redeem(code)).await;
    assert_eq!((status, tokens["token_type"].as_str()), (StatusCode::OK, Some("DPoP")), "{tokens}");
    assert!(tokens.get("id_token").is_none() && tokens["authorization_details"][0]["type"] == "purser_grant", "{tokens}");
    let agent = agent_with(&world, &client);
    let context = world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap();
    assert!(matches!(context.caller, Caller::Agent { .. }), "{:?}", context.caller);
    assert_eq!(agent.refresh(&tokens).await.0, StatusCode::OK);
    // The second use of the code ends the agent's tokens too.
    let proof = world.proof_of(&client, "POST", "/oauth/token", None);
    assert_eq!(world.form("/oauth/token", &[("dpop", &proof)], &client.redeem(code)).await.1["error"], "invalid_grant");
    assert!(world.call(&agent, tokens["access_token"].as_str().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_no_goes_back_and_nobody_elses_yes_does() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    let mut ada = world.person("ada@example.test").await;
    let (path, page) = brings(&world, &mut ada, &client).await;
    ada.submit(&page, 1, &[], Some(("decision", "deny"))).await;
    assert_eq!(leaves_to(&ada.get(&path).await).get("error"), "access_denied");
    // Somebody else decides the same request: the answer does not come back through this browser.
    let (path, page) = brings(&world, &mut ada, &client).await;
    let code = page.body.split("name=\"user_code\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut eve = world.person("eve@example.test").await;
    let hers = eve.get(&format!("/device?user_code={code}")).await;
    eve.submit(&hers, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(ada.get(&path).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_grant_is_asked_for_whole_pushed_and_with_the_agents_key() {
    let world = World::new().await;
    let client = world.client(json!({})).await;
    for (change, error) in [
        (("authorization_details", "[]"), "invalid_authorization_details"),
        (("authorization_details", r#"[{"type":"payment_initiation"}]"#), "invalid_authorization_details"),
        (
            ("authorization_details", r#"[{"type":"purser_grant","projects":["shop"],"providers":["nowhere"]}]"#),
            "invalid_authorization_details",
        ),
        (("authorization_details", r#"[{"type":"purser_grant","projects":["shop"],"everything":true}]"#), "invalid_authorization_details"),
        (("authorization_details", r#"[{"type":"purser_grant","projects":["shop other"]}]"#), "invalid_authorization_details"),
        (("scope", "openid"), "invalid_scope"),
    ] {
        let (_, body) = push(&world, &client, &[change]).await;
        assert_eq!(body["error"], error, "{change:?}: {body}");
    }
    let challenge = client.challenge();
    let without_key = world.form("/oauth/par", &[], &client.asks(&challenge, &[("scope", ""), ("authorization_details", DETAILS)])).await;
    assert_eq!(without_key.1["error"], "invalid_request");
    let other = world.client(json!({})).await;
    let jkt = other.key.public().thumbprint();
    assert_eq!(push(&world, &client, &[("dpop_jkt", &jkt)]).await.1["error"], "invalid_request", "two keys");
    // It is asked anew each time, and never without a page.
    let (_, pushed) = push(&world, &client, &[("prompt", "none")]).await;
    let mut ada = world.person("ada@example.test").await;
    let to = query(&[("client_id", &client.id), ("request_uri", pushed["request_uri"].as_str().unwrap())]);
    let back = Back::of(&ada.get(&format!("/oauth/authorize?{to}")).await);
    assert_eq!(back.get("error"), "interaction_required");
}
