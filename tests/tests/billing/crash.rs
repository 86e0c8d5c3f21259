//! A process that stops after any step, and answers that are lost on either way: everything is paid once.

use purser_db::testing::{each_engine, sqlite};
use slipway_billing::driver::Billing;
use slipway_billing::request_log::refund_request;
use slipway_billing::subscription::cancel::When;

use crate::shop::{Lost, PAID, Shop, TABLES, TEAM};

/// A story with every kind of question; `lost` tells which answers do not come.
async fn story(db: purser_db::Db, lost: Option<(i64, Lost)>) -> (Vec<i64>, (i64, i64), i64) {
    let shop = Shop::new(db, "2027-01-31T10:00:00Z", 90_00).await;
    shop.till.lost.lock().unwrap().extend(lost);
    let plan = shop.order(PAID).await;
    shop.serve("a", 3_000_000).await;
    shop.until("2027-02-10T00:00:00Z").await;
    shop.upgrade(&plan, TEAM).await.unwrap();
    shop.until("2027-02-12T00:00:00Z").await;
    shop.serve("b", 30_000_000).await;
    shop.until("2027-03-12T00:00:00Z").await;
    shop.downgrade(&plan, PAID, When::Now).await.unwrap();
    shop.until("2027-03-14T00:00:00Z").await;
    let (realm, account, resource) = (shop.billing.realm.clone(), shop.account.clone(), plan.clone());
    shop.world.db.write(move |tx| refund_request(tx, &realm, &account, &resource, "enough")).await.unwrap();
    shop.until("2027-03-20T00:00:00Z").await;
    shop.reconcile().await;
    let mut totals: Vec<i64> = shop.documents().await.iter().map(|document| document.total_minor).collect();
    totals.sort_unstable();
    (totals, shop.ledger().await, shop.till.calls())
}

#[tokio::test]
async fn an_answer_that_is_lost_anywhere_changes_nothing() {
    let (totals, ledger, calls) = story(sqlite(TABLES).await, None).await;
    assert!(calls >= 8, "{calls}");
    for number in 0..calls {
        for how in [Lost::Question, Lost::Answer] {
            let (again, ledger_again, _) = story(sqlite(TABLES).await, Some((number, how))).await;
            assert_eq!((&again, ledger_again), (&totals, ledger), "call {number}, {how:?}");
        }
    }
}

#[tokio::test]
async fn a_process_that_stops_after_every_step_pays_once() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-30T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.serve("a", 3_000_000).await;
        shop.until("2027-05-29T23:00:00Z").await;
        shop.world.clock.set("2027-05-30T00:00:01Z".parse().unwrap());
        // Each step by two processes at once, which know nothing of each other or of the step before.
        for _ in 0..12 {
            let fresh = || Billing { db: shop.world.db.clone(), realm: shop.billing.realm.clone(), till: shop.till.clone() };
            let (one, two) = (fresh(), fresh());
            let (first, second) = tokio::join!(one.step(&plan), two.step(&plan));
            first.unwrap();
            second.unwrap();
        }
        let totals: Vec<i64> = shop.documents().await.iter().map(|document| document.total_minor).collect();
        assert_eq!(totals, [5_00, 60, 5_00]);
        shop.settle_down().await;
        shop.reconcile().await;
    })
    .await;
}
