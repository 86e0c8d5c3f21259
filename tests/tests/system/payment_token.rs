//! A payment token in the hands of the provider that it was made for, and of one that it was not.

use std::time::Instant;

use purser_tests::{Agent, Ask, Choice, Person, store};
use purser_wire::catalog::Period;
use purser_wire::charge::ChargeStatus;

use crate::alone::Alone;
use crate::freeze::{PROMISE, freeze_in};
use crate::market::{GOLD, Quoted};

const LIFE_S: i64 = 3_600;

async fn customer(alone: &Alone, ada: &mut Person, name: &str) -> Agent {
    let agent = alone.agent(name);
    agent.login(ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", name]).await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_agents_payment_token_is_refused_to_the_provider_within_a_second_and_a_thaw_restores_the_same_token() {
    let Some((alone, markets)) = Alone::among(&["shop"], LIFE_S).await else { return };
    let shop = &markets[0];
    let mut ada = alone.person("ada");
    let (cold, warm) = (customer(&alone, &mut ada, "cold").await, customer(&alone, &mut ada, "warm").await);
    for agent in [&cold, &warm] {
        agent.must(&["add", "shop/gold"]).await;
    }
    let (of_cold, of_warm) = (shop.sold_to(&cold.id()), shop.sold_to(&warm.id()));
    let shell = cold.person_shell(&mut ada).await;

    let begun = Instant::now();
    freeze_in(&cold, &shell).await;
    let refused = shop.charge(&of_cold, "while-frozen").await;
    assert!(begun.elapsed() < PROMISE, "it took {:?}", begun.elapsed());
    assert_eq!((refused.status, refused.code.as_deref()), (ChargeStatus::Refused, Some("agent_frozen")), "{:?}", refused.message);
    assert_eq!(shop.charge(&of_warm, "other-agent").await.status, ChargeStatus::Succeeded, "another agent in the same account was stopped");

    assert_eq!(ada.thaw(&cold.id()).await.status, 200);
    let repeated = shop.charge(&of_cold, "while-frozen").await;
    assert_eq!((repeated.status, repeated.id), (ChargeStatus::Refused, refused.id), "a repeat gets the first answer");
    assert_eq!(shop.charge(&of_cold, "after-thaw").await.status, ChargeStatus::Succeeded, "the thaw did not restore the token");
    assert_eq!(shop.charge(&of_cold, "twice").await.status, ChargeStatus::Refused, "a month was paid twice");

    let copy = tempfile::tempdir().unwrap();
    alone.copy(copy.path());
    let paid = "select coalesce(sum(amount), 0) as n from spend_charge where state = 'succeeded'";
    assert_eq!(store::number(copy.path(), "purser.db", paid).await, 2 * GOLD);
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_asks_for_more_than_the_listing_is_refused_before_any_money_is_set_aside() {
    let Some((alone, markets)) = Alone::among(&["shop"], LIFE_S).await else { return };
    let shop = &markets[0];
    let mut ada = alone.person("ada");
    let agent = customer(&alone, &mut ada, "careful").await;
    for (quoted, what) in [
        (Quoted { period: Period::Year, ..Quoted::default() }, "another period"),
        (Quoted { minor: GOLD + 1, ..Quoted::default() }, "a cent more"),
        (Quoted { irreversible: true, ..Quoted::default() }, "something final"),
    ] {
        *shop.quoted.lock().unwrap() = quoted;
        let envelope = agent.run(&["add", "shop/gold"]).await;
        assert_eq!((envelope.ok(), envelope.code()), (false, "price_changed"), "{what}: {}", envelope.stdout);
    }
    assert!(shop.sold.lock().unwrap().is_empty() && shop.count("create") == 0, "something was sold");
    let copy = tempfile::tempdir().unwrap();
    alone.copy(copy.path());
    for table in ["select count(*) as n from spend_hold", "select count(*) as n from payment_token"] {
        assert_eq!(store::number(copy.path(), "purser.db", table).await, 0, "{table}");
    }
    // paid once instead of every month is no worse than the listing
    *shop.quoted.lock().unwrap() = Quoted { period: Period::Once, ..Quoted::default() };
    agent.must(&["add", "shop/gold"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_shows_another_providers_key_is_not_believed_and_the_key_stays_with_its_first_owner() {
    let Some((mut alone, markets)) = Alone::among(&["shop", "copycat"], LIFE_S).await else { return };
    let (shop, copycat) = (&markets[0], &markets[1]);
    let mut ada = alone.person("ada");
    let agent = customer(&alone, &mut ada, "loyal").await;
    agent.must(&["add", "shop/gold"]).await;
    let sold = shop.sold_to(&agent.id());

    let stolen = copycat.charge(&sold, "not-mine").await;
    assert_eq!((stolen.status, stolen.code.as_deref()), (ChargeStatus::Refused, Some("payment_token_unknown")));
    copycat.foreign_keys.lock().unwrap().push(shop.key.clone());
    alone.restart().await;
    purser_tests::processes::until("the two providers to be read", std::time::Duration::from_secs(20), async || {
        let refused = alone.log().contains("belongs to `shop`");
        (refused && agent.run(&["add", "shop/greeting"]).await.ok()).then_some(())
    })
    .await;
    assert_eq!(agent.refused(&["add", "copycat/greeting"]).await, "provider_unavailable");
    assert_eq!(shop.charge(&sold, "mine").await.status, ChargeStatus::Succeeded, "the first owner lost its key");
}
