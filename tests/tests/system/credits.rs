//! A credit from the application to the first months it pays: an agent asks, a person of the operator decides, slipway gives it, and the card
//! is not charged.

use purser_tests::person::Person;
use purser_tests::{Ask, Choice, World, processes, site, store};
use serde_json::{Value, json};
use std::time::Duration;

const EVIDENCE: &str = "founded last month; the register has it under HRB 1234 <b>";

fn left(billing: &Value) -> i64 {
    billing["credits"][0]["credits"][0]["left"]["amount_minor"].as_i64().unwrap_or(-1)
}

/// Somebody with a mailbox of their own, at the domain of a company.
fn named(world: &World, email: &str) -> Person {
    let mut person = world.person("nobody");
    email.clone_into(&mut person.email);
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_is_asked_for_by_an_agent_approved_by_the_operator_and_pays_before_the_card() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (named(&world, "ada@young.test"), world.agent("young"));
    agent.login(&mut ada, Ask::ALL, &Choice { card: None, cap: Some("4.00".to_owned()) }).await;
    agent.must(&["init", "young"]).await;
    let offered = processes::until("the programmes", Duration::from_secs(20), async || {
        let listed = agent.must(&["credits", "list"]).await;
        (listed["programmes"][0]["id"] == "start-up").then_some(listed)
    })
    .await;
    assert_eq!(offered["programmes"][0]["amount"]["amount_minor"], 100_000_00, "{offered}");
    // The plan costs 5.00, and the cap is 4.00.
    assert_eq!(agent.refused(&["add", "slipway/workers:paid"]).await, "cap_reached");

    assert_eq!(agent.refused(&["credits", "apply", "slipway/lunch", "--evidence", "hungry"]).await, "credit_programme_unknown");
    let apply = ["credits", "apply", "slipway/start-up", "--evidence", EVIDENCE];
    let asked = agent.must(&apply).await;
    assert_eq!((asked["state"].as_str(), asked.get("evidence")), (Some("pending"), None), "{asked}");
    assert_eq!(agent.refused(&apply).await, "credit_applied_before");
    let id = asked["id"].as_str().unwrap().to_owned();

    // The page exists for those whom the operator names, and for nobody else.
    assert_eq!(ada.open("/operator/credits").await.status, 404);
    assert!(ada.open("/credits").await.body.contains("pending"));
    let mut operator = named(&world, "operator@purser.test");
    let page = operator.open("/operator/credits").await;
    assert!(page.body.contains("HRB 1234 &#60;b&#62;") || page.body.contains("HRB 1234 &lt;b&gt;"), "{}", page.body);
    assert!(
        operator.mails().iter().any(|mail| mail.contains("start-up") && !mail.contains("HRB 1234")),
        "they are told, without what was said"
    );
    let form = page.form(&format!("/operator/credits/{id}"));
    // An agent's token opens no page, and Ada's session decides nothing, whatever form she sends.
    let stolen = ada.browser.press(&form, "approve").await;
    assert!(matches!(stolen.status, 403 | 404), "{} {}", stolen.status, stolen.text());
    assert_eq!(agent.must(&["credits", "show", &id]).await["state"], "pending");
    let after = operator.browser.press(&form, "approve").await;
    assert!(after.body.contains("approved"), "{}", after.body);
    let state = agent.must(&["credits", "show", &id]).await["state"].clone();
    assert!(state == "approved" || state == "redeemed", "{state}");

    // The first order opens the account, redeems the credit, and is paid by it.
    agent.must(&["add", "slipway/workers:free"]).await;
    agent.must(&["add", "slipway/workers:paid"]).await;
    assert_eq!(agent.must(&["credits", "show", &id]).await["state"], "redeemed");
    agent.must(&["add", "slipway/workers"]).await;
    site::write_worker(&agent.site, "on credit");
    let deployed = agent.must(&["deploy", "."]).await;
    assert!(deployed["code_digest"].is_string(), "{deployed}");

    let billing = processes::until("what is left", Duration::from_secs(20), async || {
        let billing = agent.must(&["billing", "show"]).await;
        (left(&billing) == 100_000_00 - 5_00).then_some(billing)
    })
    .await;
    let forecast = &billing["credits"][0]["forecast"];
    assert_eq!((&forecast["why"], &forecast["monthly"]["amount_minor"]), (&json!("expires"), &json!(5_00)), "{billing}");
    let spend = agent.must(&["spend"]).await;
    let position = &spend["providers"][0];
    let minor = |name: &str| position[name]["amount_minor"].as_i64().unwrap_or_default();
    assert_eq!((minor("captured"), minor("held")), (0, 0), "{spend}");
    let dir = world.system.dir.clone();
    assert_eq!(store::number(&dir, "purser.db", "select count(*) as n from spend_charge").await, 0, "nobody was charged");
    assert_eq!(store::number(&dir, "purser.db", "select count(*) as n from rail_sandbox_charge").await, 0);
    assert_eq!(store::ledger_faults(&dir).await, Vec::<String>::new());
    assert_eq!(store::number(&dir, "slipway.db", "select count(*) as n from bill_document where total_minor = 0").await, 1);
    for page in ["/credits", "/alerts"] {
        assert_eq!(ada.open(page).await.status, 200, "{page}");
    }
    let shown = ada.open("/credits").await.body;
    assert!(shown.contains("USD 99,995.00") || shown.contains("USD 99995.00"), "{shown}");

    // A second organisation of the same company gets nothing: its owner's domain had it before.
    let (mut bob, other) = (named(&world, "bob@young.test"), world.agent("older"));
    other.login(&mut bob, Ask::ALL, &Choice::USUAL).await;
    other.must(&["init", "older"]).await;
    let again = other.must(&apply).await;
    let again = again["id"].as_str().unwrap().to_owned();
    let page = operator.open("/operator/credits").await;
    operator.browser.press(&page.form(&format!("/operator/credits/{again}")), "approve").await;
    let plan = other.must(&["add", "slipway/workers:paid"]).await;
    assert_eq!(plan["charged"]["amount_minor"], 500, "{plan}");
    let stands = other.must(&["credits", "show", &again]).await;
    assert_eq!(stands["state"], "refused", "{stands}");
    assert!(stands["reason"].as_str().unwrap().starts_with("credit_given_before"), "{stands}");
    // What was written for the operator is nowhere in the open.
    assert!(!world.system.logs().contains("HRB 1234"));
}
