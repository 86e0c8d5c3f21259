//! Services whose price is prose: denied, unless a person approves that one purchase and says what it may cost at most.

use std::time::Duration;

use purser_tests::{Agent, Ask, Choice, Person, processes, store};
use purser_values::{Currency, Money};
use purser_wire::catalog::Period;
use purser_wire::charge::ChargeStatus;

use crate::alone::Alone;
use crate::market::{FOG, Quoted, VAGUE};

const LIFE_S: i64 = 3_600;

/// Asks for the service; the person answers on the page with these fields.
async fn approve(agent: &Agent, ada: &mut Person, service: &str, said: &[(&str, &str)]) -> (String, u16) {
    let asking = agent.must(&["approval", "ask", service, "--reason", "we want it", "--timeout", "0"]).await;
    let id = asking["id"].as_str().unwrap().to_owned();
    let page = ada.open(&format!("/approvals/{id}")).await;
    for shown in ["text only", "from about $5, &#60;b&#62;ask us&#60;/b&#62;", "The most it may cost", "cannot be undone"] {
        assert!(page.body.contains(shown), "`{shown}` is not on the page: {}", page.body);
    }
    let mut form = page.form(&format!("/approvals/{id}"));
    said.iter().for_each(|(name, value)| form.type_in(name, value));
    (id, ada.browser.press(&form, "approve").await.status)
}

async fn customer(alone: &Alone, ada: &mut Person) -> Agent {
    let agent = alone.agent("buyer");
    agent.login(ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "buyer"]).await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_in_prose_is_denied_until_a_person_says_what_that_purchase_may_cost_at_most() {
    let Some((alone, markets)) = Alone::among(&["shop", VAGUE], LIFE_S).await else { return };
    let (shop, vague) = (&markets[0], &markets[1]);
    let mut ada = alone.person("ada");
    let agent = customer(&alone, &mut ada).await;
    let listed = agent.must(&["catalog", "shop/fog"]).await;
    assert_eq!((&listed["services"][0]["price"]["kind"], listed["services"][0]["price"]["text"].as_str()), (&"unknown".into(), Some(FOG)));
    assert_eq!(agent.refused(&["add", "shop/fog"]).await, "price_unknown");
    assert_eq!(agent.refused(&["add", "shop/fog", "--preflight"]).await, "price_unknown");

    // A yes without an amount is no yes; nor is one of nothing.
    let (id, status) = approve(&agent, &mut ada, "shop/fog", &[]).await;
    assert_eq!(status, 400);
    let nothing = approve(&agent, &mut ada, "shop/fog", &[("most", "0"), ("period", "month")]).await;
    assert_eq!(nothing, (id.clone(), 400), "the same request waits once");
    assert_eq!(agent.refused(&["add", "shop/fog", "--approval", &id]).await, "approval_pending");

    // The provider quotes a cent more than the person said, or something that comes again sooner.
    for (quoted, what) in [
        (Quoted { minor: 7_01, period: Period::Month, irreversible: true }, "a cent more"),
        (Quoted { minor: 7_00, period: Period::Year, irreversible: false }, "another period"),
    ] {
        *shop.quoted.lock().unwrap() = quoted;
        let (id, status) = approve(&agent, &mut ada, "shop/fog", &[("most", "7"), ("period", "month")]).await;
        assert_eq!(status, 200, "{what}");
        assert_eq!(agent.refused(&["add", "shop/fog", "--approval", &id]).await, "price_changed", "{what}");
        assert_eq!(agent.refused(&["add", "shop/fog", "--approval", &id]).await, "approval_used", "{what}");
    }
    assert!(shop.sold.lock().unwrap().is_empty(), "something was sold");

    // What it quotes within that is what is set aside, once.
    *shop.quoted.lock().unwrap() = Quoted { minor: 6_50, period: Period::Month, irreversible: true };
    let (id, _) = approve(&agent, &mut ada, "shop/fog", &[("most", "7"), ("period", "month")]).await;
    assert_eq!(agent.refused(&["add", "shop/fog", "--name", "other", "--approval", &id]).await, "approval_mismatch");
    let bought = agent.must(&["add", "shop/fog", "--approval", &id]).await;
    assert_eq!(bought["resource"]["irreversible"], true, "{bought}");
    let sold = shop.sold_to(&agent.id());
    assert_eq!(shop.charge(&sold, "first").await.status, ChargeStatus::Succeeded);

    // A provider that quotes nothing charges against what the person said, and no cent more.
    let (id, _) = approve(&agent, &mut ada, "vague/fog", &[("most", "3.00"), ("period", "once")]).await;
    agent.must(&["add", "vague/fog", "--approval", &id]).await;
    let sold = vague.sold_to(&agent.id());
    let money = |minor| Money::from_minor(minor, Currency::USD);
    assert_eq!(vague.charge_of(&sold, money(3_01), "more").await.unwrap().status, ChargeStatus::Refused);
    assert_eq!(shop.charge_of(&sold, money(1_00), "thief").await.unwrap().status, ChargeStatus::Refused);
    let paid = vague.charge_of(&sold, money(2_75), "right").await.unwrap();
    assert_eq!(paid.status, ChargeStatus::Succeeded, "{:?}", paid.message);

    let shell = agent.person_shell(&mut ada).await;
    let again = agent.must(&["approval", "ask", "vague/fog", "--reason", "again", "--timeout", "0"]).await;
    let again = again["id"].as_str().unwrap();
    let bare = agent.run_with(&["approval", "give", again, "--yes"], &shell).await;
    assert_eq!(bare.code(), "approval_most", "{}", bare.stdout);
    let given = agent.run_with(&["approval", "give", again, "--yes", "--most", "1.50", "--every", "once"], &shell).await;
    assert_eq!((&given.data()["state"], &given.data()["most"]["amount_minor"]), (&"approved".into(), &150.into()), "{}", given.stdout);

    let copy = tempfile::tempdir().unwrap();
    alone.copy(copy.path());
    for (query, is) in [
        ("select count(*) as n from spend_hold", 2),
        ("select coalesce(sum(amount), 0) as n from spend_hold", 6_50 + 3_00),
        ("select coalesce(sum(amount), 0) as n from spend_charge where state = 'succeeded'", 6_50 + 2_75),
        ("select count(*) as n from spend_hold where irreversible = 0", 0),
    ] {
        assert_eq!(store::number(copy.path(), "purser.db", query).await, is, "{query}");
    }
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
    processes::until("the audit log", Duration::from_secs(10), async || {
        let copy = tempfile::tempdir().unwrap();
        alone.copy(copy.path());
        let given = store::texts(copy.path(), "purser.db", "select body as x from audit_event where body like '%approval%'").await;
        given.iter().any(|entry| entry.contains(&id) && entry.contains("\"amount_minor\":300")).then_some(())
    })
    .await;
}
