//! Answers that come late or never: a thaw does not overtake a freeze, and what a provider made is found although its answer was lost.

use std::time::Duration;

use purser_tests::{Ask, Choice, processes, store};
use serde_json::json;

use crate::alone::Alone;
use crate::freeze::freeze_in;
use crate::market::{Market, Trouble};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_thaw_does_not_overtake_a_freeze_that_the_provider_answers_late_nor_a_freeze_a_thaw() {
    let Some((alone, markets)) = Alone::among(&["shop"], 3_600).await else { return };
    let shop = &markets[0];
    let (mut ada, agent) = (alone.person("ada"), alone.agent("wavering"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "wavering"]).await;
    agent.must(&["add", "shop/greeting"]).await;
    let shell = agent.person_shell(&mut ada).await;

    shop.trouble(Trouble { late: Some("credentials/disable"), ..Trouble::default() });
    let told = freeze_in(&agent, &shell).await;
    assert_eq!(told["not_confirmed"], json!(["shop"]), "{told}");
    assert_eq!(*shop.waiting.lock().unwrap(), 1, "the provider was not asked");
    assert_eq!(ada.thaw(&agent.id()).await.status, 200);
    assert_eq!(*shop.done.lock().unwrap(), ["create"], "the thaw was told to the provider while the freeze was under way");
    shop.calm();
    settled(shop, "enable").await;
    assert_eq!(*shop.done.lock().unwrap(), ["create", "disable", "enable"]);
    agent.must(&["rotate", "greeting"]).await;

    freeze_in(&agent, &shell).await;
    shop.trouble(Trouble { late: Some("credentials/enable"), ..Trouble::default() });
    assert_eq!(ada.thaw(&agent.id()).await.status, 200);
    processes::until("the thaw to be under way", LIMIT, async || (*shop.waiting.lock().unwrap() == 1).then_some(())).await;
    let told = freeze_in(&agent, &shell).await;
    assert_eq!(told["not_confirmed"], json!(["shop"]), "an old thaw counts as the new freeze's answer: {told}");
    shop.calm();
    settled(shop, "disable").await;
    assert_eq!(agent.refused(&["rotate", "greeting"]).await, "agent_frozen");
    processes::until("the page to say so", LIMIT, async || (!ada.open("/agents").await.text().contains("not confirmed")).then_some(()))
        .await;
    assert_eq!(shop.done.lock().unwrap().last(), Some(&"disable"), "the provider was last told something else");
}

/// Waits until the last thing that the provider did is this.
async fn settled(shop: &Market, what: &str) {
    processes::until(what, LIMIT, async || (shop.done.lock().unwrap().last() == Some(&what)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_reaches_a_provider_whose_access_token_has_run_out() {
    let Some((alone, markets)) = Alone::among(&["shop"], 1).await else { return };
    let shop = &markets[0];
    let (mut ada, agent) = (alone.person("ada"), alone.agent("idle"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "idle"]).await;
    agent.must(&["add", "shop/greeting"]).await;
    let made = std::time::Instant::now();
    let shell = agent.person_shell(&mut ada).await;
    processes::until("the access token's end", LIMIT, async || (made.elapsed() > Duration::from_millis(2_100)).then_some(())).await;
    let told = freeze_in(&agent, &shell).await;
    assert_eq!(told["confirmed"], json!(["shop"]), "{told}");
    assert_eq!(shop.count("disable"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_made_is_found_and_removed_although_its_answer_was_lost_and_the_agent_is_frozen() {
    // short tokens, so that the undo has to ask for a new one
    let Some((alone, markets)) = Alone::among(&["shop"], 30).await else { return };
    let shop = &markets[0];
    let (mut ada, agent) = (alone.person("ada"), alone.agent("unlucky"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "unlucky"]).await;
    agent.must(&["add", "shop/greeting"]).await;
    let shell = agent.person_shell(&mut ada).await;

    shop.trouble(Trouble { lost: Some("provisioning/resources"), ..Trouble::default() });
    let running = agent.must(&["add", "shop/gold", "--timeout", "2"]).await;
    assert_eq!((running["state"].as_str(), shop.count("create")), (Some("running"), 2), "{running}");
    let sold = shop.sold_to(&agent.id());
    // while the saga is turned round, the provider gives no tokens for a while
    shop.trouble(Trouble { down: Some("oauth/token"), ..Trouble::default() });
    freeze_in(&agent, &shell).await;
    let before = *shop.turned_away.lock().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let state = "select status as x from saga where kind = 'resource_add' order by created_at";
    let look = async || {
        alone.copy(copy.path());
        store::texts(copy.path(), "purser.db", state).await.pop().unwrap_or_default()
    };
    processes::until("the undo to ask again and again", LIMIT, async || (*shop.turned_away.lock().unwrap() >= before + 3).then_some(()))
        .await;
    assert_eq!((look().await.as_str(), shop.count("remove")), ("undoing", 0), "it was given up although nobody knows what came of it");
    shop.calm();
    processes::until("the undo", LIMIT, async || (look().await == "undone").then_some(())).await;
    assert_eq!((shop.count("create"), shop.count("remove")), (2, 1), "what was made is still there, or was made twice");
    let charge = shop.charge(&sold, "too-late").await;
    assert_eq!(charge.status, purser_wire::charge::ChargeStatus::Refused, "what was undone can still be charged");
    let held = "select coalesce(sum(amount), 0) as n from spend_hold_line where state = 'open'";
    alone.copy(copy.path());
    assert_eq!(store::number(copy.path(), "purser.db", held).await, 0, "money is still set aside");
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
}
