//! A provider changes its terms: nothing new until a person accepts, and all of it in a file that proves itself.

use crate::world::World;
use http::StatusCode;
use purser_identity::terms::terms_verify;
use purser_values::Sha256Digest;
use serde_json::{Value, json};

#[tokio::test]
async fn a_changed_text_is_shown_beside_the_old_one_and_accepted_on_its_page() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let page = ada.get("/terms").await;
    assert!(page.body.contains("Nothing was accepted yet"), "{}", page.body);
    let (agent, tokens) = world.granted(&mut ada).await;
    let page = ada.get("/terms").await;
    assert!(page.body.contains("ada@example.test") && page.body.contains("consent page") && !page.body.contains("<button>Accept for"));

    world.publish_terms("2").await;
    let page = ada.get("/terms").await;
    let (old, new) = (Sha256Digest::of(b"be good, version 1").to_string(), Sha256Digest::of(b"be good, version 2").to_string());
    for shown in ["changed: nothing new until you accept", "be good, version 1", "be good, version 2", old.as_str(), new.as_str()] {
        assert!(page.body.contains(shown), "`{shown}` is not on the page:\n{}", page.body);
    }
    world.clock.advance_secs(1);
    // The person reads version 2 while version 3 comes out: that is not what they accept.
    world.publish_terms("3").await;
    let form = 1;
    let refused = ada.submit(&page, form, &[], None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    let page = ada.get("/terms").await;
    let accepted = ada.submit(&page, form, &[], None).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.body);
    let page = ada.get("/terms").await;
    assert!(page.body.contains("terms page") && !page.body.contains("changed: nothing new"), "{}", page.body);

    let caller = world.caller(&agent, &tokens).await;
    let organisation = caller.organisation().unwrap().clone();
    let all = world.front.core.db.read(move |tx| purser_identity::terms::accepted(tx, &organisation)).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].grant.is_some(), all[0].agent.is_some(), all[0].method.as_str()), (false, false, "terms page"));
    assert_eq!((all[1].grant.is_some(), all[1].agent.as_ref(), all[1].method.as_str()), (true, caller.agent(), "consent page"));
    // An agent can neither accept nor read who did.
    let token = tokens["access_token"].as_str().unwrap();
    for (method, path) in [("POST", "/v1/terms_acceptances"), ("GET", "/v1/terms"), ("GET", "/v1/terms/export")] {
        let body = if method == "POST" { "{}" } else { "" };
        let (status, answer) = world.api(Some((&agent, token)), method, path, "application/json", body.to_owned()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_export_verifies_offline_and_any_change_to_it_is_found() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    world.granted(&mut ada).await;
    let bundle = ada.get("/terms/export").await;
    assert_eq!(bundle.status, StatusCode::OK);
    let checked = terms_verify(&bundle.body, None).unwrap();
    assert_eq!((checked.acceptances, checked.documents, checked.confirmed_by_grants), (1, 1, 1));
    assert_eq!(checked.issuer, "http://localhost:4000");
    assert!(terms_verify(&bundle.body, Some(&checked.key)).is_ok());
    assert!(terms_verify(&bundle.body, Some("another")).is_err());

    let mut parsed: Value = serde_json::from_str(&bundle.body).unwrap();
    let payload = parsed["payload"].as_str().unwrap().to_owned();
    for (from, to) in
        [("ada@example.test", "eve@example.test"), ("consent page", "consent pagE"), ("\"version\":\"1\"", "\"version\":\"2\"")]
    {
        assert!(payload.contains(from), "{from}");
        parsed["payload"] = Value::String(payload.replacen(from, to, 1));
        assert!(terms_verify(&parsed.to_string(), None).is_err(), "`{to}` was taken");
    }
    // Signed anew by somebody else's key, with that key in the bundle: only the named key tells.
    let other = World::new().await;
    let claims = serde_json::json!({"iss": "http://localhost:4000", "iat": 0, "organisation": checked.organisation, "sha256": Sha256Digest::of(payload.as_bytes())});
    parsed["payload"] = Value::String(payload);
    parsed["signature"] = Value::String(other.front.realm.keys.sign("terms-bundle+jwt", &claims).unwrap());
    assert!(terms_verify(&parsed.to_string(), None).is_err(), "a key that is not in the bundle signed it");
}

#[tokio::test]
async fn nothing_new_is_begun_at_a_provider_whose_terms_changed_until_a_person_accepts() {
    let mut world = World::new().await;
    let shelf = world.publisher("shelf").await;
    let mut ada = world.person("ada@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&[("project", "shop"), ("providers", "shelf")]).await;
    let page = ada.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await;
    let accepted = ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.body);
    let (_, tokens) = agent.poll(&asked).await;
    let token = tokens["access_token"].as_str().unwrap();
    let post = async |path: &str, body: Value| world.api(Some((&agent, token)), "POST", path, "application/json", body.to_string()).await;
    let adds = json!({ "project": "shop", "environment": "development", "service": "shelf/site" });
    let looks = json!({ "project": "shop", "environment": "development", "service": "shelf/site", "preflight": true });
    let begun = async || {
        let count = |tx: &mut purser_db::Tx<'_>| tx.query_one("select count(*) as n from resource", purser_db::params![])?.get::<i64>("n");
        world.front.core.db.read::<_, purser_db::DbError, _>(count).await.unwrap()
    };
    assert_eq!(post("/v1/projects", json!({ "name": "shop" })).await.0, StatusCode::OK);
    let (status, added) = post("/v1/resources?wait=0", adds.clone()).await;
    assert_eq!((status, begun().await), (StatusCode::OK, 1), "{added}");

    shelf.publish(&world, "2").await;
    let (status, refused) = post("/v1/resources?wait=0", adds.clone()).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("terms_changed")), "{refused}");
    let (_, found) = post("/v1/resources", looks.clone()).await;
    assert!(found["ready"] == false && found["rows"].to_string().contains("terms_changed"), "{found}");
    assert_eq!(begun().await, 1, "something was begun under terms that nobody accepted");

    let page = ada.get("/terms").await;
    let of_shelf = |at: &usize| page.form(*at).1.contains(&("provider".to_owned(), "shelf".to_owned()));
    let form = (0..page.body.matches("<form").count()).find(of_shelf).unwrap();
    let accepted = ada.submit(&page, form, &[], None).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.body);
    let (_, found) = post("/v1/resources", looks).await;
    assert!(!found["rows"].to_string().contains("terms_changed"), "{found}");
    let (status, added) = post("/v1/resources?wait=0", adds).await;
    assert_eq!((status, begun().await), (StatusCode::OK, 2), "{added}");
}
