//! Upgrades and downgrades: what is dearer is bought to the cent, what is cheaper costs nothing, and what fails leaves things as they were.

use std::time::Duration;

use purser_tests::{Agent, Ask, Choice, Person, World, processes, store};
use purser_values::{Currency, Money};
use purser_wire::charge::ChargeStatus;

use crate::alone::Alone;
use crate::freeze::freeze_in;
use crate::market::{GOLD, PLATINUM, Quoted, Trouble};

const LIFE_S: i64 = 3_600;

async fn position(agent: &Agent) -> (i64, i64) {
    let spend = agent.must(&["spend"]).await;
    let sum = |part: &str| spend["providers"].as_array().unwrap().iter().map(|p| p[part]["amount_minor"].as_i64().unwrap()).sum();
    (sum("captured"), sum("held"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_slipway_is_upgraded_and_downgraded_over_the_protocol_to_the_cent() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "shop"]).await;
    agent.must(&["add", "slipway/workers:free", "--name", "plan"]).await;
    assert_eq!(agent.refused(&["upgrade", "plan", "workers:free"]).await, "invalid_request");
    assert_eq!(agent.refused(&["downgrade", "plan", "workers:paid"]).await, "update_direction");
    assert_eq!(agent.refused(&["upgrade", "plan", "slipway/nothing"]).await, "service_unknown");
    assert_eq!(position(&agent).await, (0, 0));

    for _ in 0..2 {
        let paid = agent.must(&["--idempotency-key", "up-1", "upgrade", "plan", "workers:paid"]).await;
        assert_eq!((&paid["resource"]["service"], &paid["resource"]["status"]), (&"slipway/workers:paid".into(), &"live".into()), "{paid}");
        assert_eq!(paid["charged"]["amount_minor"], 500, "{paid}");
    }
    assert_eq!(position(&agent).await, (500, 0));
    agent.must(&["add", "slipway/workers"]).await;

    assert_eq!(agent.refused(&["upgrade", "plan", "workers:free"]).await, "update_direction");
    let free = agent.must(&["downgrade", "plan", "workers:free"]).await;
    assert_eq!((&free["resource"]["service"], &free["charged"]["amount_minor"]), (&"slipway/workers:free".into(), &500.into()), "{free}");
    assert_eq!(position(&agent).await, (500, 0), "a paid month is not given back, and nothing more is taken");
    let trace = agent.must(&["trace", paid_id(&free)]).await.to_string();
    assert!(trace.contains("resource_update") && trace.contains("renewal_stop"), "{trace}");
}

fn paid_id(answer: &serde_json::Value) -> &str {
    answer["resource"]["id"].as_str().unwrap()
}

async fn customer(alone: &Alone, ada: &mut Person) -> Agent {
    let agent = alone.agent("buyer");
    agent.login(ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "buyer"]).await;
    agent.must(&["add", "shop/gold", "--name", "metal"]).await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_sets_the_difference_aside_once_whatever_is_lost_on_the_way() {
    let Some((alone, markets)) = Alone::among(&["shop"], LIFE_S).await else { return };
    let shop = &markets[0];
    let mut ada = alone.person("ada");
    let agent = customer(&alone, &mut ada).await;
    let gold = shop.sold_to(&agent.id());
    assert_eq!(shop.charge(&gold, "gold").await.status, ChargeStatus::Succeeded);

    // A quote above the listing changes nothing.
    *shop.quoted.lock().unwrap() = Quoted { minor: PLATINUM + 1, ..Quoted::default() };
    assert_eq!(agent.refused(&["upgrade", "metal", "platinum"]).await, "price_changed");
    assert_eq!((shop.count("update"), position(&agent).await), (0, (GOLD, 0)));

    // The provider changes it and its answer is lost: the same call tells.
    *shop.quoted.lock().unwrap() = Quoted { minor: PLATINUM, ..Quoted::default() };
    shop.trouble(Trouble { lost: Some("update_service"), ..Trouble::default() });
    let upgrading = agent.run(&["upgrade", "metal", "platinum", "--timeout", "60"]);
    let calming = async {
        processes::until("the change at the provider", Duration::from_secs(20), async || (shop.count("update") > 0).then_some(())).await;
        tokio::time::timeout(Duration::from_secs(20), async {
            assert_eq!(position(&agent).await, (GOLD, PLATINUM), "the new price is set aside before the provider acts");
        })
        .await
        .unwrap();
        shop.calm();
    };
    let (upgraded, ()) = tokio::join!(upgrading, calming);
    assert!(upgraded.ok(), "{} {}", upgraded.stdout, upgraded.stderr);
    assert_eq!((shop.count("update"), &upgraded.data()["resource"]["service"]), (1, &"shop/platinum".into()));

    // It takes what is left of the old plan off the new one's price; the rest is free again, and the old one is not renewed.
    let platinum = shop.sold_to("changed");
    let paid = shop.charge_of(&platinum, Money::from_minor(PLATINUM - 2_17, Currency::USD), "platinum").await.unwrap();
    assert_eq!(paid.status, ChargeStatus::Succeeded, "{:?}", paid.message);
    assert_eq!(position(&agent).await, (GOLD + PLATINUM - 2_17, 0));
    let copy = tempfile::tempdir().unwrap();
    alone.copy(copy.path());
    for (query, is) in [
        ("select count(*) as n from spend_renewal", 1),
        ("select count(*) as n from spend_renewal r join spend_hold h on h.id = r.hold where h.amount = 900", 1),
        ("select count(*) as n from spend_hold", 2),
    ] {
        assert_eq!(store::number(copy.path(), "purser.db", query).await, is, "{query}");
    }
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());

    // Back to gold costs nothing and needs no quote.
    let back = agent.must(&["downgrade", "metal", "gold"]).await;
    assert_eq!(back["resource"]["service"], "shop/gold", "{back}");
    assert_eq!((shop.count("update"), position(&agent).await), (2, (GOLD + PLATINUM - 2_17, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves_one_upgrade_that_a_spent_budget_stops() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    let shell = agent.person_shell(&mut ada).await;
    agent.must(&["init", "shop"]).await;
    agent.must(&["add", "slipway/workers:free", "--name", "plan"]).await;
    let set = agent.run_with(&["budget", "set", "1.00", "--project", "shop", "--action", "require-approval", "--no-unusual"], &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    assert_eq!(agent.refused(&["upgrade", "plan", "workers:paid"]).await, "budget_approval_required");
    let change = ["approval", "ask", "workers:paid", "--change", "plan", "--reason", "more visitors", "--timeout", "60"];
    assert_eq!(agent.refused(&["approval", "ask", "workers:free", "--change", "plan", "--reason", "x"]).await, "invalid_request");
    let deciding = async {
        let id = processes::until("the request", Duration::from_secs(20), async || {
            agent.run(&["approval", "list"]).await.data()["approvals"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let page = ada.open(&format!("/approvals/{id}")).await;
        assert!(page.text().contains("workers:paid") && page.text().contains("USD 5.00"), "{}", page.text());
        ada.browser.press(&page.form(&format!("/approvals/{id}")), "approve").await;
        id
    };
    let (asked, id) = tokio::join!(agent.run(&change), deciding);
    assert!(asked.ok(), "{} {}", asked.stdout, asked.stderr);
    // It is for this change of this resource, and not for a new one of the same service.
    assert_eq!(agent.refused(&["add", "slipway/workers:paid", "--name", "other", "--approval", &id]).await, "approval_mismatch");
    let paid = agent.must(&["upgrade", "plan", "workers:paid", "--approval", &id]).await;
    assert_eq!(paid["resource"]["service"], "slipway/workers:paid", "{paid}");
    assert_eq!(position(&agent).await, (500, 0));
    agent.must(&["downgrade", "plan", "workers:free"]).await;
    assert_eq!(agent.refused(&["upgrade", "plan", "workers:paid", "--approval", &id]).await, "approval_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_in_the_middle_of_an_upgrade_gives_the_money_back_and_leaves_the_plan() {
    let Some((alone, markets)) = Alone::among(&["shop"], LIFE_S).await else { return };
    let shop = &markets[0];
    let mut ada = alone.person("ada");
    let agent = customer(&alone, &mut ada).await;
    let shell = agent.person_shell(&mut ada).await;
    *shop.quoted.lock().unwrap() = Quoted { minor: PLATINUM, ..Quoted::default() };
    shop.trouble(Trouble { down: Some("update_service"), ..Trouble::default() });
    let upgrading = agent.run(&["upgrade", "metal", "platinum", "--timeout", "60"]);
    let freezing = async {
        processes::until("the call", Duration::from_secs(20), async || (*shop.turned_away.lock().unwrap() > 0).then_some(())).await;
        freeze_in(&agent, &shell).await;
        shop.calm();
    };
    let (upgraded, ()) = tokio::join!(upgrading, freezing);
    assert_eq!((upgraded.ok(), shop.count("update")), (false, 0), "{}", upgraded.stdout);
    // Not thawed before the change has met the freeze: whoever is thawed at once goes on.
    processes::until("the undo", Duration::from_secs(40), async || {
        let copy = tempfile::tempdir().unwrap();
        alone.copy(copy.path());
        let undone = "select count(*) as n from resource where name = 'metal' and state = 'live' and service = 'gold'";
        (store::number(copy.path(), "purser.db", undone).await == 1).then_some(())
    })
    .await;
    assert_eq!(ada.thaw(&agent.id()).await.status, 200);
    let copy = tempfile::tempdir().unwrap();
    // What gold itself holds is not touched: it was never charged.
    assert_eq!(position(&agent).await, (0, GOLD));
    alone.copy(copy.path());
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
}
