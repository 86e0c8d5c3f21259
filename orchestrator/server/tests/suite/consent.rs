//! From an agent's question to its tokens, over HTTP as agents and browsers speak it.

use crate::world::World;
use http::StatusCode;
use purser_authority::Caller;
use purser_identity::{CallerError, SignUp};
use purser_values::{Currency, Money, Sha256Digest};

const ASK: [(&str, &str); 4] = [("project", "shop"), ("providers", "slipway"), ("export", "1"), ("irreversible", "1")];

fn code_of(asked: &serde_json::Value) -> String {
    asked["user_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_acceptance_makes_the_grant_the_terms_records_the_cap_and_the_tokens() {
    let world = World::new().await;
    let agent = world.agent();
    let asked = agent.ask(&[ASK.as_slice(), &[("client_name", "Claude <b>\"bot\"</b>")]].concat()).await;
    assert_eq!(asked["interval"], 1);

    // the poll is held while the person signs in and decides
    let (poller, held) = (agent.clone(), asked.clone());
    let poll = tokio::spawn(async move { poller.poll(&held).await });

    let mut person = world.browser();
    let uri = asked["verification_uri_complete"].as_str().unwrap().strip_prefix("http://localhost:4000").unwrap().to_owned();
    let to_sign_in = person.get(&uri).await;
    assert_eq!(to_sign_in.status, StatusCode::SEE_OTHER);
    let sign_in = person.get(to_sign_in.location()).await;
    let sent = person.submit(&sign_in, 0, &[("email", "Ada@example.test")], None).await;
    let code_page = person.get(sent.location()).await;
    let code = world.last_code("ada@example.test").await;
    let back = person.submit(&code_page, 0, &[("code", &code)], None).await;
    assert_eq!(back.location(), uri);

    let page = person.get(&uri).await;
    let sha = Sha256Digest::of(b"be good, version 1").to_string();
    for shown in [
        code_of(&asked).as_str(),
        "203.0.113.7",
        "198.51.100.9",
        "not verified",
        agent.key.public().thumbprint().as_str(),
        "shop",
        "Slipway Cloud",
        "value=\"100.00\"",
        "USD 100.00 a month",
        "https://slipway.test/terms",
        "version 1",
        sha.as_str(),
        "4242",
        "ada@example.test",
        "Sandbox",
        "It may see credentials in plain text",
        "raise its limit",
    ] {
        assert!(shown == "203.0.113.7" || page.body.contains(shown), "`{shown}` is not on the page:\n{}", page.body);
    }
    assert!(!page.body.contains("<b>") && !page.body.contains("<script"), "the agent's name is not escaped");

    let done = person.submit(&page, 1, &[("cap", "25.50")], Some(("decision", "accept"))).await;
    assert!(done.location().starts_with("/device/done?as=granted&word="), "{}", done.body);
    let (status, tokens) = poll.await.unwrap();
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(tokens["token_type"], "DPoP");

    let context = world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap();
    let scope = context.grant.unwrap();
    assert_eq!(scope.cap_per_provider_month, Money::from_minor(25_50, Currency::USD));
    assert!(scope.export && scope.irreversible && !context.frozen);
    let Caller::Agent { grant, organisation, agent: id, .. } = context.caller else { panic!("an agent calls") };
    assert_eq!(tokens["grant_id"], grant.as_str());

    let org = organisation.clone();
    let (terms, events, cap) = world
        .front
        .core
        .db
        .read(move |tx| {
            let spender = purser_spend::Spender { organisation: org.clone(), agent: id };
            Ok::<_, purser_db::DbError>((
                purser_identity::terms::accepted(tx, &org)?,
                purser_audit::list(tx, &org, None, 50)?,
                purser_spend::cap::of_agent(tx, &spender)?,
            ))
        })
        .await
        .unwrap();
    assert_eq!((terms.len(), terms[0].sha256.to_string()), (1, sha.clone()));
    assert_eq!(cap, Some(Money::from_minor(25_50, Currency::USD)));
    let verbs: Vec<_> = events.iter().rev().map(|(_, e)| e.event.verb.as_str()).collect();
    assert_eq!(verbs, ["sign_in", "grant_decide", "terms_accept", "cap_set", "payment_method_set", "token_issue"]);

    // the kept copy of the terms
    let kept = person.get(&format!("/terms/{sha}")).await;
    assert_eq!((kept.status, kept.body.as_str()), (StatusCode::OK, "be good, version 1"));
    // the device code worked once
    assert_eq!(agent.poll(&asked).await.1["error"], "invalid_grant");
    // and the decision cannot be taken twice
    assert_eq!(person.submit(&page, 1, &[], Some(("decision", "deny"))).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_person_can_clear_what_was_asked_but_the_form_cannot_add_to_it() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    person.submit(&page, 1, &[("-export", ""), ("-irreversible", "")], Some(("decision", "accept"))).await;
    let tokens = agent.poll(&asked).await.1;
    let scope = world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap().grant.unwrap();
    assert!(!scope.export && !scope.irreversible);
    assert!(!scope.actions.iter().any(|a| a == "credential_export"));

    let agent = world.agent();
    let asked = agent.ask(&[("project", "shop"), ("providers", "slipway")]).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    for (name, value) in [("export", "1"), ("irreversible", "1")] {
        let refused = person.submit(&page, 1, &[(name, value)], Some(("decision", "accept"))).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}");
        assert!(refused.body.contains("wider_than_asked"));
    }
    for (name, value) in [("cap", "1e9"), ("cap", "-1"), ("cap", "99999999999"), ("provider", "other")] {
        let again = person.submit(&page, 1, &[(name, value)], Some(("decision", "accept"))).await;
        assert!(again.status.is_client_error(), "{name}={value}: {}", again.status);
    }
    // nothing of that was taken: the request still waits
    let done = person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn only_a_card_of_the_page_can_be_put_on_file() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let asked = world.agent().ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    let again = person.submit(&page, 1, &[("card", "4111111111111111")], Some(("decision", "accept"))).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!again.body.contains("4111111111111111"));
}

#[tokio::test]
async fn a_denied_and_an_expired_request_say_so() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    let done = person.submit(&page, 1, &[], Some(("decision", "deny"))).await;
    assert!(done.location().starts_with("/device/done?as=denied&word="), "{}", done.body);
    let (status, answer) = agent.poll(&asked).await;
    assert_eq!((status, answer["error"].as_str()), (StatusCode::BAD_REQUEST, Some("access_denied")));

    let asked = agent.ask(&ASK).await;
    world.clock.advance_secs(901);
    assert_eq!(agent.poll(&asked).await.1["error"], "expired_token");
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_key_a_used_proof_and_no_proof_get_nothing() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let (agent, thief) = (world.agent(), world.agent());
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(thief.poll(&asked).await.1["error"], "invalid_grant");

    let grant = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", asked["device_code"].as_str().unwrap())];
    assert_eq!(agent.post_with("/oauth/token", &grant, &[]).await.1["error"], "invalid_dpop_proof");
    let elsewhere = agent.proof("POST", "http://localhost:4000/oauth/device_authorization", None);
    assert_eq!(agent.post_with("/oauth/token", &grant, &[&elsewhere]).await.1["error"], "invalid_dpop_proof");
    let proof = agent.proof("POST", "http://localhost:4000/oauth/token", None);
    assert_eq!(agent.post_with("/oauth/token", &grant, &[&proof, &proof]).await.1["error"], "invalid_dpop_proof");
    let (status, tokens) = agent.post_with("/oauth/token", &grant, &[&proof]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(agent.post_with("/oauth/token", &grant, &[&proof]).await.1["code"], "invalid_dpop_proof");

    // a stolen token without its key, and a replayed call
    let token = tokens["access_token"].as_str().unwrap();
    assert!(matches!(world.call(&thief, token).await, Err(CallerError::Proof(_))));
    let call = agent.proof("GET", "http://localhost:4000/v1/whoami", Some(token));
    assert!(world.call_with(token, &call).await.is_ok());
    assert!(matches!(world.call_with(token, &call).await, Err(CallerError::Proof(_))));
    world.clock.advance_secs(601);
    assert!(matches!(world.call(&agent, token).await, Err(CallerError::InvalidToken)));
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_family() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let (agent, first) = world.granted(&mut person).await;
    let (status, second) = agent.refresh(&first).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert!(world.call(&agent, second["access_token"].as_str().unwrap()).await.is_ok());
    // a copy without the key changes nothing
    assert_eq!(world.agent().refresh(&second).await.1["error"], "invalid_grant");
    assert!(world.call(&agent, second["access_token"].as_str().unwrap()).await.is_ok());

    // the answer was lost: the same key may ask again, and only the newest answer works
    let (status, again) = agent.refresh(&first).await;
    assert_eq!(status, StatusCode::OK, "{again}");
    assert_eq!(agent.refresh(&second).await.1["error"], "invalid_grant");
    let (status, third) = agent.refresh(&again).await;
    assert_eq!(status, StatusCode::OK, "{third}");

    // once a successor was used, the first token is a copy of an old one
    assert_eq!(agent.refresh(&first).await.1["error"], "invalid_grant");
    assert_eq!(agent.refresh(&third).await.1["error"], "invalid_grant");
    assert!(matches!(world.call(&agent, second["access_token"].as_str().unwrap()).await, Err(CallerError::GrantEnded)));
}

#[tokio::test]
async fn a_freeze_bites_at_once_and_a_thaw_restores_the_same_tokens() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut person).await;
    let (other, other_tokens) = world.granted(&mut person).await;
    let token = tokens["access_token"].as_str().unwrap();
    let id = tokens["agent_id"].as_str().unwrap();

    let page = person.get("/agents").await;
    let (_, fields) = page.form(0);
    let frozen = person.post(&format!("/agents/{id}/freeze"), &fields).await;
    assert_eq!(frozen.status, StatusCode::SEE_OTHER, "{}", frozen.body);
    assert!(world.call(&agent, token).await.unwrap().frozen);
    assert_eq!(agent.refresh(&tokens).await.1["code"], "agent_frozen");
    assert!(!world.call(&other, other_tokens["access_token"].as_str().unwrap()).await.unwrap().frozen);
    let frozen_agent: purser_values::id::AgentId = id.parse().unwrap();
    let want = move |tx: &mut purser_db::Tx<'_>| {
        purser_provisioning::store::control::want(tx, &frozen_agent, &"slipway".parse().unwrap(), "disabled", purser_db::testing::START)
    };
    world.front.core.db.write(want).await.unwrap();
    let page = person.get("/agents").await.body;
    assert!(page.contains("Frozen since") && page.contains("slipway: its credentials are to be disabled; not confirmed yet"), "{page}");

    // asking for a new grant does not thaw it
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    let refused = person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert!(refused.body.contains("agent_frozen"), "{}", refused.body);

    assert_eq!(person.post(&format!("/agents/{id}/thaw"), &fields).await.status, StatusCode::SEE_OTHER);
    assert!(!world.call(&agent, token).await.unwrap().frozen);
    assert_eq!(agent.refresh(&tokens).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_mailed_link_ends_the_grant_when_it_is_pressed_and_not_when_it_is_looked_at() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut person).await;
    let token = tokens["access_token"].as_str().unwrap();
    let mail = world.mail_to("ada@example.test").await.pop().unwrap();
    let link = mail.split_whitespace().find(|w| w.contains("/revoke?token=")).expect("a revoke link").to_owned();
    let path = link.strip_prefix("http://localhost:4000").unwrap();

    let mut anybody = world.browser();
    let page = anybody.get(path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(world.call(&agent, token).await.is_ok(), "looking revokes nothing");
    assert_eq!(anybody.submit(&page, 0, &[("csrf", "x")], None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(anybody.submit(&page, 0, &[], None).await.status, StatusCode::OK);
    assert!(matches!(world.call(&agent, token).await, Err(CallerError::GrantEnded)));
    assert_eq!(agent.refresh(&tokens).await.1["error"], "invalid_grant");

    let wrong = format!("{}x", &path[..path.len() - 1]);
    assert_eq!(anybody.get(&wrong).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn to_another_organisation_nothing_exists() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    let mut eve = world.person("eve@example.test").await;
    let page = eve.get("/agents").await;
    assert!(!page.body.contains(tokens["agent_id"].as_str().unwrap()));
    let (_, fields) = page.form(0);
    for path in [
        format!("/agents/{}/freeze", tokens["agent_id"].as_str().unwrap()),
        format!("/agents/{}/thaw", tokens["agent_id"].as_str().unwrap()),
        format!("/grants/{}/revoke", tokens["grant_id"].as_str().unwrap()),
    ] {
        let refused = eve.post(&path, &fields).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
        assert!(refused.body.contains("not_found"));
    }
    // her log holds her own attempts, and nothing of what happened to ada's agent
    let hers = eve.get("/events").await.body;
    assert!(hers.contains("refused: not_found") && !hers.contains("grant_decide"));
    assert!(ada.get("/events").await.body.contains(tokens["grant_id"].as_str().unwrap()));
    assert!(!world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap().frozen);
}

#[tokio::test]
async fn terms_that_changed_after_they_were_shown_are_shown_again() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    world.publish_terms("2").await;
    let again = person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.body.contains("version 2") && again.body.contains("read it again"));
    let done = person.submit(&again, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
}

#[tokio::test]
async fn in_production_the_person_types_the_code_and_puts_no_sandbox_card_on_file() {
    let listed = SignUp::Domains(vec!["example.test".parse().unwrap()]);
    let world = World::with("https://purser.example.test", false, listed).await;
    let mut person = world.person("ada@example.test").await;
    assert!(person.cookies.contains_key("__Host-purser-session"));
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    assert!(!page.body.contains(&code_of(&asked)), "the page gives the code away");
    assert!(!page.body.contains("4242") && !page.body.contains("Sandbox"));
    let wrong = person.submit(&page, 1, &[("user_code", "BCDF-GHJK")], Some(("decision", "accept"))).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let typed = code_of(&asked).to_lowercase();
    let done = person.submit(&page, 1, &[("user_code", &typed), ("card", "4242")], Some(("decision", "accept"))).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let organisation = world.call(&agent, agent.poll(&asked).await.1["access_token"].as_str().unwrap()).await.unwrap();
    let organisation = organisation.caller.organisation().unwrap().clone();
    let card = world.front.core.db.read(move |tx| purser_spend::method::current(tx, &organisation)).await.unwrap();
    assert!(card.is_none());
}

#[tokio::test]
async fn an_acceptance_waits_for_a_person_who_was_there_just_now_and_a_denial_does_not() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    world.clock.advance_secs(300);
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    let asked_back = person.submit(&page, 1, &[("cap", "7.00")], Some(("decision", "accept"))).await;
    assert_eq!(asked_back.status, StatusCode::FORBIDDEN);
    let done = person.step_up(&world, "ada@example.test", &asked_back).await;
    // the form goes on as it was typed
    let granted = person.submit(&done, 1, &[], None).await;
    assert!(granted.location().starts_with("/device/done?as=granted&word="), "{}", granted.body);
    let (_, tokens) = agent.poll(&asked).await;
    let scope = world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap().grant.unwrap();
    assert_eq!(scope.cap_per_provider_month.minor(), 7_00);

    world.clock.advance_secs(300);
    let asked = world.agent().ask(&ASK).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    let denied = person.submit(&page, 1, &[], Some(("decision", "deny"))).await;
    assert!(denied.location().starts_with("/device/done?as=denied&word="), "{}", denied.body);
}

#[tokio::test]
async fn a_persons_own_terminal_acts_as_the_person_for_ten_minutes_and_cannot_refresh() {
    let world = World::new().await;
    let mut person = world.person("ada@example.test").await;
    let terminal = world.agent();
    let asked = terminal.ask(&[("kind", "person")]).await;
    let page = person.get(&format!("/device?user_code={}", code_of(&asked))).await;
    assert!(page.body.contains("acts as <strong>you</strong>"));
    person.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    let (_, tokens) = terminal.poll(&asked).await;
    assert!(tokens.get("refresh_token").is_none());
    let token = tokens["access_token"].as_str().unwrap();
    assert!(matches!(world.call(&terminal, token).await.unwrap().caller, Caller::Person { .. }));
    world.clock.advance_secs(601);
    assert!(world.call(&terminal, token).await.is_err());
}

#[tokio::test]
async fn what_is_asked_must_be_known_and_in_range() {
    let world = World::new().await;
    let agent = world.agent();
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("providers", "slipway")], "invalid_scope"),
        (&[("project", "shop"), ("providers", "elsewhere")], "invalid_scope"),
        (&[("project", "Shop!"), ("providers", "slipway")], "invalid_scope"),
        (&[("project", "shop"), ("cap_minor", "-1")], "invalid_scope"),
        (&[("project", "shop"), ("expires_in", "1")], "invalid_scope"),
        (&[("project", "shop"), ("export", "yes")], "invalid_request"),
        (&[("project", "shop"), ("client_name", "a\u{202e}b")], "invalid_request"),
        (&[("kind", "operator")], "invalid_request"),
    ];
    for (fields, error) in cases {
        let (status, body) = agent.post("/oauth/device_authorization", fields).await;
        assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some(error)), "{fields:?}: {body}");
    }
    for n in 0..31 {
        let (status, _) = agent.post("/oauth/device_authorization", &ASK).await;
        assert_eq!(status == StatusCode::OK, n < 30, "request {n}");
    }
}

#[tokio::test]
async fn metadata_names_the_endpoints_and_the_key_that_signs() {
    let world = World::new().await;
    let mut anybody = world.browser();
    let metadata = anybody.get("/.well-known/oauth-authorization-server").await;
    assert!(metadata.body.contains("\"token_endpoint\":\"http://localhost:4000/oauth/token\""));
    let kid = world.front.realm.keys.active().public().thumbprint();
    assert!(anybody.get("/.well-known/jwks.json").await.body.contains(&kid));
    assert!(anybody.get("/v2/provisioning/public_keys").await.body.contains(&kid));
}
