//! Premium names: never bought by accident, and by a person's yes at exactly the price that the person saw.

use std::time::Duration;

use purser_tests::{Agent, Ask, Choice, Person, World, processes, store};
use serde_json::json;

const DOMAIN: &str = "slipway/registrar:domain";

fn config(name: &str, price: &str) -> String {
    json!({"domain": name, "premium_price": price}).to_string()
}

/// Asks for the purchase; the person sees the name and the price, and says yes.
async fn approved(agent: &Agent, ada: &mut Person, name: &str, price: &str) -> String {
    let asked = agent.must(&["approval", "ask", DOMAIN, "--config", &config(name, price), "--reason", "short", "--timeout", "0"]).await;
    let id = asked["id"].as_str().unwrap().to_owned();
    let path = format!("/approvals/{id}");
    let page = ada.open(&path).await;
    for shown in [name, price, "cannot be undone"] {
        assert!(page.body.contains(shown), "`{shown}` is not on the page: {}", page.body);
    }
    let after = ada.browser.press(&page.form(&path), "approve").await;
    assert!(after.body.contains("approved by ada@example.test"), "{}", after.body);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_premium_name_is_bought_at_the_price_that_a_person_approved_and_at_no_other() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("brand"));
    // Even a grant for what cannot be undone is none for a special price.
    agent.login(&mut ada, Ask::ALL, &Choice { cap: Some("5000".to_owned()), ..Choice::USUAL }).await;
    agent.must(&["init", "brand"]).await;

    let bare = agent.run(&["add", DOMAIN, "--config", r#"{"domain":"premium.test"}"#]).await;
    assert_eq!(bare.code(), "domain_premium", "{}", bare.stdout);
    assert!(bare.stdout.contains("1500.00") || bare.stdout.contains("1,500.00"), "nobody learns the price: {}", bare.stdout);
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", &config("premium.test", "1500.00")]).await, "price_special");
    for wrong in ["0", "-5", "free", "1500.001"] {
        assert_eq!(agent.refused(&["add", DOMAIN, "--config", &config("premium.test", wrong)]).await, "invalid_request", "{wrong}");
    }

    // A yes to another price, or to another name, is no yes to this one.
    let cheap = approved(&agent, &mut ada, "premium.test", "1499.99").await;
    assert_eq!(
        agent.refused(&["add", DOMAIN, "--config", &config("premium.test", "1500.00"), "--approval", &cheap]).await,
        "approval_mismatch"
    );
    let refused = agent.run(&["add", DOMAIN, "--config", &config("premium.test", "1499.99"), "--approval", &cheap]).await;
    assert!(!refused.ok() && refused.stdout.contains("domain_price_changed"), "{}", refused.stdout);
    // A plain name is not sold at a special price either.
    let plain = approved(&agent, &mut ada, "plain-name.test", "500.00").await;
    let refused = agent.run(&["add", DOMAIN, "--config", &config("plain-name.test", "500.00"), "--approval", &plain]).await;
    assert!(!refused.ok() && refused.stdout.contains("domain_price_changed"), "{}", refused.stdout);
    assert_eq!(agent.must(&["spend"]).await["charges"], json!([]), "something was paid");

    let yes = approved(&agent, &mut ada, "premium.test", "1500.00").await;
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", &config("ab.test", "1500.00"), "--approval", &yes]).await, "approval_mismatch");
    let bought = agent.must(&["add", DOMAIN, "--config", &config("premium.test", "1500.00"), "--approval", &yes]).await;
    assert_eq!(bought["charged"]["amount_minor"], 1_500_00, "{bought}");
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", &config("premium.test", "1500.00"), "--approval", &yes]).await, "approval_used");
    let registered = "select count(*) as n from domain where name = 'premium.test' and state = 'registered' and price_minor = 150000";
    processes::until("the registration", Duration::from_secs(10), async || {
        (store::number(&world.system.dir, "slipway.db", registered).await == 1).then_some(())
    })
    .await;
    assert_eq!(store::number(&world.system.dir, "slipway.db", "select count(*) as n from domain where state <> 'refused'").await, 1);
    assert_eq!(store::ledger_faults(&world.system.dir).await, Vec::<String>::new());
}
