//! Token exchange (RFC 8693): an agent lets a helper in, and no way of asking makes the helper more than the agent.

use crate::world::World;
use crate::world::helper::{ACCESS, EXCHANGE, JWT};
use http::StatusCode;
use purser_authority::Caller;
use purser_crypto::jose;
use serde_json::{Value, json};

#[tokio::test]
async fn a_helper_acts_under_a_narrower_grant_with_its_own_key_and_the_chain_in_its_token() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    let (helper, second) = (world.agent(), world.agent());
    let details = r#"[{"type":"purser_grant","cap_minor":1000,"delegate":true,"expires_in":600}]"#;
    let (status, own) = agent.let_in(&tokens, &helper, details).await;
    assert_eq!((status, &own["issued_token_type"], &own["token_type"]), (StatusCode::OK, &json!(ACCESS), &json!("DPoP")), "{own}");
    assert_eq!(own["authorization_details"][0]["cap_per_provider_month"]["amount_minor"], 1000, "{own}");
    let access = own["access_token"].as_str().unwrap();
    let Caller::Agent { chain, .. } = world.call(&helper, access).await.unwrap().caller else { panic!("an agent calls") };
    assert_eq!(chain.len(), 1);
    assert!(world.call(&agent, access).await.is_err(), "the token works with the key of the agent above");
    assert_eq!(helper.refresh(&own).await.0, StatusCode::OK);

    let (status, below) = helper.let_in(&own, &second, r#"[{"type":"purser_grant","cap_minor":500}]"#).await;
    assert_eq!(status, StatusCode::OK, "{below}");
    let claims = jose::decode_unverified::<Value>(below["access_token"].as_str().unwrap(), "at+jwt").unwrap().claims;
    let subs = [&claims["act"]["sub"], &claims["act"]["act"]["sub"], &claims["act"]["act"]["act"]["sub"]];
    assert_eq!(subs, [&below["agent_id"], &own["agent_id"], &tokens["agent_id"]]);
    assert!(claims["act"]["act"]["act"]["act"].is_null());

    // an agent that gives its own tokens back ends nobody else: the helpers act under grants of their own
    let end = [("token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(agent.post("/oauth/revoke", &end).await.0, StatusCode::OK);
    assert!(world.call(&agent, tokens["access_token"].as_str().unwrap()).await.is_err());
    let low = below["access_token"].as_str().unwrap();
    assert!(world.call(&helper, access).await.is_ok() && world.call(&second, low).await.is_ok());
    let page = ada.get("/agents").await;
    assert!(page.body.contains("Tester"), "{}", page.body);
    // whoever lets somebody in answers for them: the end of one grant ends all below
    let path = format!("/grants/{}/revoke", tokens["grant_id"].as_str().unwrap());
    assert_eq!(ada.post(&path, &page.form(1).1).await.status, StatusCode::SEE_OTHER);
    assert!(world.call(&helper, access).await.is_err() && world.call(&second, low).await.is_err());
    assert_eq!(
        (second.refresh(&below).await.0, second.let_in(&below, &world.agent(), details).await.0),
        (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST)
    );
}

#[tokio::test]
async fn whatever_is_wider_is_refused_by_name_and_leaves_nothing_behind() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    for (wide, what) in [
        (r#""projects":["shop","blog"]"#, "projects"),
        (r#""projects":"all""#, "projects"),
        (r#""providers":["acme"]"#, "providers"),
        (r#""actions":["resource_add","cap_set"]"#, "actions"),
        (r#""cap_minor":5001"#, "cap"),
        (r#""caps_minor":{"slipway":5001}"#, "cap"),
        (r#""irreversible":true"#, "irreversible"),
        (r#""export":true"#, "actions"),
        (r#""expires_in":99999999"#, "life"),
    ] {
        let (status, body) = agent.let_in(&tokens, &world.agent(), &format!(r#"[{{"type":"purser_grant",{wide}}}]"#)).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_authorization_details")), "{wide}: {body}");
        assert_eq!(body["code"], "wider_than_parent", "{wide}");
        assert!(body["error_description"].as_str().unwrap().contains(what), "{wide}: {body}");
    }
    let page = ada.get("/agents").await;
    assert!(!page.body.contains("Tester"), "a helper stayed behind");
}

#[tokio::test]
async fn only_a_live_agents_own_token_is_exchanged_and_only_for_a_key_that_asks() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.delegator(&mut ada).await;
    let (helper, thief) = (world.agent(), world.agent());
    let (subject, details) = (tokens["access_token"].as_str().unwrap(), r#"[{"type":"purser_grant"}]"#);

    // a stolen token without its key
    let (status, body) = thief.exchange(subject, &helper.statement(&[]), details).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_dpop_proof")), "{body}");
    // statements that are not for us, not now, or not signed by the key they show
    let stolen = helper.statement(&[]);
    let forged = format!("{}.{}", stolen.rsplit_once('.').unwrap().0, thief.statement(&[]).rsplit_once('.').unwrap().1);
    for bad in [
        helper.statement(&[("aud", json!("https://elsewhere.test"))]),
        helper.statement(&[("exp", json!(world.env.now().as_secs()))]),
        forged,
    ] {
        let (status, body) = agent.exchange(subject, &bad, details).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("actor_token_invalid")), "{body}");
    }
    // a statement counts once
    let once = helper.statement(&[]);
    assert_eq!(agent.exchange(subject, &once, details).await.0, StatusCode::OK);
    assert_eq!(agent.exchange(subject, &once, details).await.1["code"], "actor_token_replayed");
    // the agent's own key is no helper's
    assert_eq!(agent.let_in(&tokens, &agent, details).await.1["code"], "agent_key_taken");
    // a person's token, and an agent that may not
    let (terminal, token) = world.terminal(&mut ada).await;
    let (_, body) = terminal.exchange(&token, &world.agent().statement(&[]), details).await;
    assert_eq!((&body["error"], &body["code"]), (&json!("invalid_request"), &json!("subject_not_exchangeable")));
    let (plain, its) = world.granted(&mut ada).await;
    let (_, body) = plain.let_in(&its, &world.agent(), details).await;
    assert_eq!((&body["error"], &body["code"]), (&json!("access_denied"), &json!("not_granted")));
    // what must be said
    for left_out in ["subject_token", "subject_token_type", "actor_token", "actor_token_type", "authorization_details"] {
        let statement = helper.statement(&[]);
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS),
            ("actor_token", &statement),
            ("actor_token_type", JWT),
            ("authorization_details", details),
        ];
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| *name != left_out).collect();
        let (status, body) = agent.post("/oauth/token", &fields).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{left_out}: {body}");
    }
}
