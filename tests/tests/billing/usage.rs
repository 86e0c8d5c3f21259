//! Metered use stops at what is set aside, and is never charged beyond it.

use purser_db::testing::each_engine;
use slipway_billing::invoice::Kind as Sort;
use slipway_billing::price::Meter;
use slipway_billing::subscription::cancel::{When, subscription_cancel};

use crate::shop::{PAID, Shop, TABLES};

#[tokio::test]
async fn use_stops_at_the_cap_and_goes_on_when_a_person_makes_room() {
    each_engine(TABLES, |db| async move {
        // 5.00 for the plan leave one block of 5.00 within a cap of 12.00.
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 12_00).await;
        let plan = shop.order(PAID).await;
        // 5.00 buy 16.67 million requests at 0.30, half a cent over in their favour, beyond the million that is included
        let served = shop.serve("a", 40_000_000).await;
        assert_eq!(served, 17_683_333);
        assert_eq!(shop.serve("b", 1_000).await, 0, "not one more");
        assert_eq!(shop.world.position("slipway").await, (12_00, 5_00, 5_00, 2_00));
        shop.world.set_cap(None, 40_00).await;
        shop.world.clock.advance_secs(120);
        assert_eq!(shop.serve("c", 1_000).await, 1_000);
        shop.until("2027-05-01T01:00:00Z").await;
        // 17,684,333 requests: 16,684,333 beyond, 5.01 (5.0053 rounded half up is 5.01)
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 5_01, 5_00]);
        let billed = &shop.documents().await[1];
        assert_eq!((billed.lines[0].quantity, billed.charges.len()), (17_684_333, 2));
        assert_eq!(shop.get(&plan).await.number, 1);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_counted_beyond_what_was_set_aside_is_on_the_invoice_and_free() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 12_00).await;
        shop.order(PAID).await;
        shop.serve("a", 2_000_000).await;
        // a node that went on serving
        shop.count("b", Meter::Requests, 40_000_000).await;
        shop.until("2027-05-01T01:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 5_00, 5_00]);
        let lines: Vec<i64> = shop.documents().await[1].lines.iter().map(|line| line.amount_minor).collect();
        assert_eq!(lines, [12_30, -7_30]);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_used_before_the_end_is_charged_after_it() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.serve("a", 3_000_000).await;
        shop.until("2027-04-10T00:00:00Z").await;
        let (realm, account, resource) = (shop.billing.realm.clone(), shop.account.clone(), plan.clone());
        shop.world.db.write(move |tx| subscription_cancel(tx, &realm, &account, &resource, When::Now)).await.unwrap();
        shop.settle_down().await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 60]);
        assert_eq!(shop.serve("b", 1).await, 0, "nothing is metered without a plan");
        shop.reconcile().await;
    })
    .await;
}
