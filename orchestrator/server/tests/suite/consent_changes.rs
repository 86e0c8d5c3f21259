//! A person changes what is asked before they accept, signs it with a passkey, and the agent learns what came of it.

use crate::world::key::{Key, options};
use crate::world::{Browser, World};
use http::StatusCode;
use purser_audit::verify_with;
use purser_authority::Reach;
use purser_db::params;
use purser_identity::grant::{ConsentFault, consent_in_event, record_verify};
use purser_values::{Currency, Money};
use serde_json::{Value, json};

const ASK: [(&str, &str); 8] = [
    ("project", "shop blog"),
    ("providers", "slipway"),
    ("services", "slipway/workers slipway/zones"),
    ("caps_minor", "slipway=5000"),
    ("total_minor", "20000"),
    ("export", "1"),
    ("irreversible", "1"),
    ("delegate", "1"),
];

async fn page_of(person: &mut Browser, asked: &Value) -> crate::world::Answer {
    person.get(&format!("/device?user_code={}", asked["user_code"].as_str().unwrap())).await
}

/// Of a form that repeats a name: all but one value of it.
fn without(mut fields: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    fields.retain(|(n, v)| n != name || v != value);
    fields
}

#[tokio::test]
async fn an_agent_learns_in_which_directions_the_person_changed_what_it_asked() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = page_of(&mut ada, &asked).await;
    for shown in [
        "shop",
        "blog",
        "slipway/workers",
        "slipway/zones",
        "value=\"50.00\"",
        "value=\"200.00\"",
        "let other agents help it",
        "30 days",
        "1 hour",
    ] {
        assert!(page.body.contains(shown), "`{shown}` is not on the page:\n{}", page.body);
    }
    let (action, fields) = page.form(1);
    let fields = without(without(fields, "project", "blog"), "service", "slipway/zones");
    let mut fields = without(without(fields, "delegate", "1"), "irreversible", "1");
    for (name, value) in &mut fields {
        match name.as_str() {
            "cap_slipway" => *value = "12.50".to_owned(),
            "total" => *value = "40".to_owned(),
            "life" => *value = "86400".to_owned(),
            "environment_only" => *value = "development".to_owned(),
            _ => {}
        }
    }
    fields.push(("decision".to_owned(), "accept".to_owned()));
    let done = ada.post(&action, &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let (status, tokens) = agent.poll(&asked).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let what: Vec<&str> = tokens["changed"].as_array().unwrap().iter().map(|c| c["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["projects", "environments", "services", "actions", "caps", "total", "irreversible", "expires_at"]);
    assert_eq!(tokens["changed"][0], json!({"what": "projects", "asked": ["blog", "shop"], "granted": ["shop"]}));
    let details = &tokens["authorization_details"][0];
    assert_eq!((&details["type"], &details["projects"], &details["export"]), (&json!("purser_grant"), &json!(["shop"]), &json!(true)));
    let context = world.call(&agent, tokens["access_token"].as_str().unwrap()).await.unwrap();
    let scope = context.grant.unwrap();
    let slipway = "slipway".parse().unwrap();
    assert_eq!(scope.cap_at(&slipway), Money::from_minor(12_50, Currency::USD));
    assert_eq!(scope.total, Some(Money::from_minor(40_00, Currency::USD)));
    assert_eq!(scope.environments, Reach::only(["development".parse().unwrap()]));
    assert!(!scope.actions.iter().any(|a| a == "agent_delegate"));
    // The ledger holds the provider's own cap too.
    let spender = purser_spend::Spender {
        organisation: context.caller.organisation().unwrap().clone(),
        agent: context.caller.agent().unwrap().clone(),
    };
    let month = world.env.now().month();
    let view = world.front.core.db.read(move |tx| purser_spend::cap::at(tx, &spender, &slipway, month)).await.unwrap().unwrap();
    assert_eq!((view.cap.minor(), view.own), (12_50, true));

    // Nothing changed is nothing told.
    let other = world.agent();
    let asked = other.ask(&ASK).await;
    let page = page_of(&mut ada, &asked).await;
    ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    let tokens = other.poll(&asked).await.1;
    assert!(tokens["changed"].is_null() && tokens["authorization_details"].is_array(), "{tokens}");
}

#[tokio::test]
async fn what_the_form_adds_or_leaves_empty_is_not_taken_and_what_was_typed_is_shown_again() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = page_of(&mut ada, &asked).await;
    let (action, fields) = page.form(1);
    let with = |more: &[(&str, &str)], less: &[&str]| {
        let mut fields = fields.clone();
        fields.retain(|(name, _)| !less.contains(&name.as_str()));
        fields.extend(more.iter().chain(&[("decision", "accept")]).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        fields
    };
    for (more, less, status) in [
        (&[("project", "secret")][..], &[][..], StatusCode::FORBIDDEN),
        (&[("service", "slipway/registrar:domain")], &[], StatusCode::FORBIDDEN),
        (&[("life", "31536000")], &["life"], StatusCode::FORBIDDEN),
        (&[("life", "1")], &["life"], StatusCode::BAD_REQUEST),
        (&[("total", "")], &["total"], StatusCode::FORBIDDEN),
        (&[], &["project"], StatusCode::UNPROCESSABLE_ENTITY),
        (&[], &["life"], StatusCode::UNPROCESSABLE_ENTITY),
        (&[("cap", "")], &["cap"], StatusCode::UNPROCESSABLE_ENTITY),
        (&[("cap_slipway", "many")], &["cap_slipway"], StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = ada.post(&action, &with(more, less)).await;
        assert_eq!(answer.status, status, "{more:?} {less:?}: {}", answer.body);
    }
    let again =
        ada.post(&action, &with(&[("cap", "seven"), ("environment_only", "development")], &["cap", "environment_only", "export"])).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.body.contains("value=\"seven\"") && again.body.contains("value=\"development\""), "{}", again.body);
    assert!(again.body.contains("name=\"export\" value=\"1\">"), "a cleared box is ticked again: {}", again.body);
    assert_eq!(agent.poll(&asked).await.1["error"], "authorization_pending");
}

#[tokio::test]
async fn a_person_with_a_passkey_signs_the_grant_and_anybody_can_check_it() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let mut key = Key::counting();
    key.add(&mut ada, "laptop").await;
    // Signing proves presence by itself: nothing else is asked, long after the sign-in.
    world.clock.advance_secs(3_000);
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = page_of(&mut ada, &asked).await;
    let sign = ada.submit(&page, 1, &[("total", "150")], Some(("decision", "accept"))).await;
    assert_eq!(sign.status, StatusCode::OK, "{}", sign.body);
    assert!(sign.body.contains("Sign what you accept") && sign.body.contains("15000"), "{}", sign.body);
    let answer = key.get(options(&sign)).await;
    // The signature is under this statement alone: with one number changed it is none.
    let changed = ada.submit(&sign, 1, &[("answer", &answer), ("total", "151")], None).await;
    assert_eq!(changed.status, StatusCode::UNAUTHORIZED, "{}", changed.body);
    let answer = key.get(options(&sign)).await;
    let done = ada.submit(&sign, 1, &[("answer", &answer)], None).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let tokens = agent.poll(&asked).await.1;
    let id = tokens["grant_id"].as_str().unwrap().parse().unwrap();
    let keys = world.front.realm.keys.published();
    let grant = world.front.core.db.read(move |tx| purser_identity::grant::find(tx, &id)).await.unwrap().unwrap();
    assert_eq!(record_verify(&grant.record, &keys), Ok(true));
    let other = World::new().await;
    assert_eq!(record_verify(&grant.record, &other.front.realm.keys.published()), Err(ConsentFault::Record));

    // The log alone proves it too, and a forged statement in it is found.
    let check = |tx: &mut purser_db::Tx<'_>| verify_with(tx, None, consent_in_event);
    assert_eq!(world.front.core.db.read(check).await.unwrap().signed_by_persons, 1);
    let organisation = grant.organisation.clone();
    let events = world.front.core.db.read(move |tx| purser_audit::list(tx, &organisation, None, 50)).await.unwrap();
    let mut event = events.into_iter().find(|(_, e)| e.event.verb == "grant_decide").unwrap().1.event;
    assert_eq!(consent_in_event(&event), Ok(true));
    let statement = event.data["consent"]["statement"].as_str().unwrap().replace("15000", "95000");
    event.data["consent"]["statement"] = json!(statement);
    assert!(consent_in_event(&event).is_err());
}

#[tokio::test]
async fn a_person_may_accept_without_signing_after_proving_that_they_are_there() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let mut key = Key::counting();
    key.add(&mut ada, "laptop").await;
    world.clock.advance_secs(3_000);
    let agent = world.agent();
    let asked = agent.ask(&ASK).await;
    let page = page_of(&mut ada, &asked).await;
    let sign = ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    let asks = ada.submit(&sign, 2, &[], Some(("decision", "accept"))).await;
    assert_eq!(asks.status, StatusCode::FORBIDDEN, "{}", asks.body);
    assert!(asks.body.contains("Is it you?"), "{}", asks.body);
    let done = key.step_up(&mut ada, &asks).await;
    assert_eq!(ada.submit(&done, 1, &[], None).await.status, StatusCode::SEE_OTHER);
    let tokens = agent.poll(&asked).await.1;
    let id = tokens["grant_id"].as_str().unwrap().parse().unwrap();
    let keys = world.front.realm.keys.published();
    let grant = world.front.core.db.read(move |tx| purser_identity::grant::find(tx, &id)).await.unwrap().unwrap();
    assert_eq!(record_verify(&grant.record, &keys), Ok(false));
}

#[tokio::test]
async fn letting_a_terminal_in_needs_presence_too() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    world.clock.advance_secs(3_000);
    let terminal = world.agent();
    let asked = terminal.ask(&[("kind", "person")]).await;
    let page = page_of(&mut ada, &asked).await;
    let refused = ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert!(refused.body.contains("Is it you?"), "{}", refused.body);
    let none = "select count(*) as n from grant_request where state <> 'pending'";
    let decided = world.front.core.db.read::<_, purser_db::DbError, _>(move |tx| tx.query_one(none, params![])?.get::<i64>("n")).await;
    assert_eq!(decided.unwrap(), 0);
}

#[tokio::test]
async fn nobody_is_asked_for_a_service_that_is_not_offered_and_the_agent_is_told_what_may_be_meant() {
    let world = World::new().await;
    let agent = world.agent();
    for (services, meant) in [
        ("slipway/workres", "did you mean `slipway/workers`?"),
        ("slipway/workers slipway/quantum", "`slipway/quantum`"),
        ("other/workers", "other/workers"),
    ] {
        let fields = [("project", "shop"), ("providers", "slipway"), ("services", services)];
        let (status, said) = agent.post("/oauth/device_authorization", &fields).await;
        assert_eq!((status, said["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_scope")), "{said}");
        let text = said["error_description"].as_str().unwrap().replace('\'', "`");
        assert!(text.contains(meant), "{text}");
    }
    let (_, said) = agent.post("/oauth/device_authorization", &[("project", "shop"), ("providers", "slipwya")]).await;
    assert!(said["error_description"].as_str().unwrap().contains("did you mean `slipway`?"), "{said}");
}

#[tokio::test]
async fn the_page_says_what_would_be_new_and_until_when_it_can_be_answered_and_nothing_is_accepted_later() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let fields = [("project", "shop"), ("providers", "slipway"), ("environments", "development staging")];
    let new = |page: &crate::world::Answer, name: &str| page.body.contains(&format!("> {name} <span class=\"tag\">new</span>"));
    let page = page_of(&mut ada, &world.agent().ask(&fields).await).await;
    assert!(new(&page, "shop") && new(&page, "development") && new(&page, "staging"), "{}", page.body);
    let (agent, tokens) = world.granted(&mut ada).await;
    world.resource(&agent, &tokens, "slipway").await;
    let forgotten = world.agent().ask(&fields).await;
    let page = page_of(&mut ada, &forgotten).await;
    assert!(!new(&page, "shop") && !new(&page, "development") && new(&page, "staging"), "{}", page.body);
    assert!(page.body.contains("Answer until"), "{}", page.body);
    world.clock.advance_secs(forgotten["expires_in"].as_i64().unwrap());
    let late = ada.submit(&page, 1, &[], Some(("decision", "accept"))).await;
    assert!(late.status == StatusCode::CONFLICT && late.body.contains("request_expired"), "{}", late.body);
    let gone = page_of(&mut ada, &forgotten).await;
    assert!(gone.status == StatusCode::NOT_FOUND && gone.body.contains("this request ran out at"), "{}", gone.body);
}
