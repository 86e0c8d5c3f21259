//! A payment token in the wrong hands, or used for more than it is for: each refused with its code, recorded, and nothing taken.

use purser_provider::OrchestratorError;
use purser_tests::{Ask, Choice, store};
use purser_values::{Currency, Money};
use purser_wire::charge::ChargeStatus;

use crate::alone::Alone;
use crate::front::no_card_number;
use crate::market::GOLD;

const LIFE_S: i64 = 3_600;

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_token_is_good_for_one_provider_one_line_its_amount_and_its_time() {
    let Some((alone, markets)) = Alone::among(&["shop", "thief"], LIFE_S).await else { return };
    let (shop, thief) = (&markets[0], &markets[1]);
    let mut ada = alone.person("ada");
    let agent = alone.agent("buyer");
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "buyer"]).await;
    let usd = |minor| Money::from_minor(minor, Currency::USD);
    let buy = async |name: &str| {
        agent.must(&["add", "shop/gold", "--name", name]).await;
        shop.sold.lock().unwrap().last().unwrap().clone()
    };
    let (plain, removed) = (buy("plain").await, buy("removed").await);

    let mut expected = Vec::new();
    let mut refused = async |who: &crate::market::Market, sold: &crate::market::Sold, amount, key: &str, code: &str| {
        let answer = who.charge_of(sold, amount, key).await.unwrap();
        assert_eq!((answer.status, answer.code.as_deref()), (ChargeStatus::Refused, Some(code)), "{key}");
        expected.push(code.to_owned());
    };
    refused(thief, &plain, usd(GOLD), "stolen", "payment_token_unknown").await;
    refused(shop, &plain, usd(GOLD + 1), "above", "amount_over_line").await;
    refused(shop, &plain, usd(0), "nothing", "amount_invalid").await;
    refused(shop, &plain, usd(-GOLD), "negative", "amount_invalid").await;
    refused(shop, &plain, Money::from_minor(GOLD, Currency::EUR), "euros", "currency_mismatch").await;

    let reused = shop.charge_of(&plain, usd(1), "above").await;
    assert!(matches!(&reused, Err(OrchestratorError::Refused(body)) if body.code == "idempotency_key_reused"), "{reused:?}");

    agent.must(&["remove", "removed", "--yes"]).await;
    refused(shop, &removed, usd(GOLD), "after-removal", "payment_token_revoked").await;
    let shell = agent.person_shell(&mut ada).await;
    assert!(agent.run_with(&["agent", "freeze", &agent.id()], &shell).await.ok());
    refused(shop, &plain, usd(GOLD), "frozen", "agent_frozen").await;
    ada.thaw(&agent.id()).await;
    let paid = shop.charge_of(&plain, usd(GOLD), "paid").await.unwrap();
    assert_eq!(paid.status, ChargeStatus::Succeeded, "{paid:?}");
    refused(shop, &plain, usd(GOLD), "twice", "line_charged").await;

    let copy = tempfile::tempdir().unwrap();
    alone.copy(copy.path());
    let mut disputes = store::texts(copy.path(), "purser.db", "select code as x from spend_dispute order by code").await;
    expected.sort();
    disputes.sort();
    assert_eq!(disputes, expected, "each misuse is recorded by its code");
    let paid = "select coalesce(sum(amount), 0) as n from spend_charge where state = 'succeeded'";
    assert_eq!(store::number(copy.path(), "purser.db", paid).await, GOLD);
    assert_eq!(store::ledger_faults(copy.path()).await, Vec::<String>::new());
    no_card_number(copy.path());
}
