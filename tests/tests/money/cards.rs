//! The sandbox's cards, with the whole system: 3-D Secure is waiting for a person, and a dispute stops what it should.

use std::time::Duration;

use purser_tests::form::Form;
use purser_tests::processes::until;
use purser_tests::{Agent, Ask, Choice, Person, World, store};

use crate::front::no_card_number;

const PLAN: &str = "slipway/workers:paid";

async fn buyer(world: &World, ada: &mut Person, card: &'static str) -> Agent {
    let agent = world.agent("buyer");
    agent.login(ada, Ask::ALL, &Choice { card: Some(card), cap: None }).await;
    agent.must(&["init", "buyer"]).await;
    agent
}

/// The person goes to their bank for the payment on the page, and answers.
async fn at_the_bank(ada: &mut Person, url: &str, answer: &str) -> String {
    let page = ada.open(&url[url.find("/confirm/").unwrap()..]).await;
    let bank = ada.browser.press(&page.form(&page.path), "").await;
    assert!(bank.text().contains("Your bank asks"), "{}", bank.text());
    ada.browser.press(&bank.form(&bank.path), answer).await.text()
}

async fn is_sound(world: &World) {
    assert_eq!(store::ledger_faults(&world.system.dir).await, Vec::<String>::new());
    no_card_number(&world.system.dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_d_secure_waits_for_the_person_and_the_same_order_goes_on() {
    let Some(world) = World::start().await else { return };
    let mut ada = world.person("ada");
    let agent = buyer(&world, &mut ada, "3184").await;
    let waits = agent.run(&["add", PLAN]).await;
    assert_eq!((waits.exit, waits.code()), (8, "payment_confirmation_required"), "{}", waits.stdout);
    let url = waits.json["error"]["details"]["url"].as_str().unwrap_or_else(|| panic!("{}", waits.stdout)).to_owned();
    let saga = waits.json["error"]["details"]["saga"]["id"].as_str().unwrap().to_owned();
    until("a mail to the person", Duration::from_secs(20), async || {
        ada.mails().iter().any(|mail| mail.contains("Your bank wants") && mail.contains("/confirm/")).then_some(())
    })
    .await;
    let mut eve = world.person("eve");
    eve.open("/").await;
    let nothing = eve.browser.open(&url[url.find("/confirm/").unwrap()..]).await;
    assert_eq!(nothing.status, 404, "a stranger sees another's payment: {}", nothing.text());
    let held = "select count(*) as n from spend_charge where state = 'requires_action'";
    assert_eq!(store::number(&world.system.dir, "purser.db", held).await, 1);

    let status = agent.must(&["status"]).await;
    assert_eq!(status["resources"][0]["waits_for"]["url"], url, "{status}");

    let said = at_the_bank(&mut ada, &url, "yes").await;
    assert!(said.contains("It is paid"), "{said}");
    let ended = until("the order to end", Duration::from_secs(30), async || {
        let (_, answer) = agent.call("GET", &format!("/v1/sagas/{saga}"), None, None).await;
        (answer["state"] == "done").then_some(answer)
    })
    .await;
    assert_eq!(ended["charged"]["amount_minor"], 500, "{ended}");
    assert_eq!(ended["resource"]["status"], "live", "{ended}");
    let paid = "select count(*) as n from spend_charge where state = 'succeeded'";
    assert_eq!(store::number(&world.system.dir, "purser.db", paid).await, 1, "one charge, and the same");
    is_sound(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_at_the_bank_undoes_the_order_and_gives_the_money_back() {
    let Some(world) = World::start().await else { return };
    let mut ada = world.person("ada");
    let agent = buyer(&world, &mut ada, "3184").await;
    let waits = agent.run(&["add", PLAN]).await;
    let details = &waits.json["error"]["details"];
    let (url, saga) = (details["url"].as_str().unwrap().to_owned(), details["saga"]["id"].as_str().unwrap().to_owned());
    let said = at_the_bank(&mut ada, &url, "no").await;
    assert!(said.contains("Nothing was paid"), "{said}");
    let ended = until("the order to be undone", Duration::from_secs(30), async || {
        let (_, answer) = agent.call("GET", &format!("/v1/sagas/{saga}"), None, None).await;
        (answer["state"] == "undone").then_some(answer)
    })
    .await;
    assert_eq!(ended["error"]["code"], "payment_declined", "{ended}");
    let held = "select coalesce(sum(balance), 0) as n from ledger_account where id like '%/held'";
    assert_eq!(store::number(&world.system.dir, "purser.db", held).await, 0);
    is_sound(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_disputed_later_stops_that_provider_until_a_person_lifts_it() {
    let Some(world) = World::start().await else { return };
    let mut ada = world.person("ada");
    let agent = buyer(&world, &mut ada, "0259").await;
    agent.must(&["add", PLAN]).await;
    let page = until("the dispute on the page", Duration::from_secs(30), async || {
        let page = ada.open("/card").await;
        page.body.contains("Disputed payments").then_some(page)
    })
    .await;
    until("a mail to the person", Duration::from_secs(20), async || {
        ada.mails().iter().any(|mail| mail.contains("is disputed")).then_some(())
    })
    .await;
    let spent = ada.open("/spend").await.body;
    assert!(spent.contains("paid, disputed"), "{spent}");
    let domain = ["add", "slipway/registrar:domain", "--config", r#"{"domain":"disputed.test"}"#];
    assert_eq!(agent.refused(&domain).await, "payment_disputed");
    let lift = Form::all(&page.body).into_iter().find(|form| form.action.ends_with("/lift")).unwrap();
    ada.browser.press(&lift, "").await;
    agent.must(&domain).await;
    is_sound(&world).await;
}
