//! Metered use stops at what is set aside, and is never charged beyond it.

use purser_db::testing::each_engine;
use slipway_billing::invoice::Kind as Sort;
use slipway_billing::price::{Meter, Use};
use slipway_billing::subscription::State;
use slipway_billing::subscription::cancel::{When, subscription_cancel};

use crate::shop::{Lost, PAID, Shop, TABLES};

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
        assert_eq!(shop.world.position("slipway").await.2, 0, "and nothing of it stays set aside");
        assert_eq!(shop.serve("b", 1).await, 0, "nothing is metered without a plan");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn processor_time_alone_is_set_aside_charged_and_stopped_at_the_cap() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 12_00).await;
        shop.order(PAID).await;
        // 100 million milliseconds at 0.02 a million, and no request that would need anything
        shop.count("a", Meter::CpuMs, 100_000_000).await;
        assert_eq!(shop.serve("b", 10).await, 10);
        assert_eq!(shop.world.position("slipway").await, (12_00, 5_00, 5_00, 2_00));
        // beyond the block, and the cap has no room for another: nothing more is served, however many requests are included
        shop.count("c", Meter::CpuMs, 200_000_000).await;
        assert_eq!(shop.serve("d", 10).await, 0);
        shop.world.set_cap(None, 60_00).await;
        shop.world.clock.advance_secs(120);
        assert_eq!(shop.serve("e", 10).await, 10);
        shop.until("2027-05-01T01:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 6_00, 5_00]);
        assert_eq!(shop.world.position("slipway").await.2, 0, "what was not needed of the blocks is free");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn a_block_that_was_not_needed_or_not_answered_goes_back() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        shop.order(PAID).await;
        // room for more than was used then, and a block whose answer nobody heard
        let ahead = Use::from([(Meter::Requests, 20_000_000)]);
        let lost = shop.till.calls() + 2;
        shop.till.lost.lock().unwrap().insert(lost, Lost::Answer);
        shop.billing.make_room(&shop.account, &ahead).await.unwrap();
        shop.count("a", Meter::Requests, 2_000_000).await;
        shop.billing.make_room(&shop.account, &Use::from([(Meter::Requests, 40_000_000)])).await.unwrap_err();
        assert_eq!(shop.world.position("slipway").await.2, 15_00);
        shop.until("2027-05-01T01:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 30, 5_00]);
        let (held, open) = shop.held().await;
        assert_eq!((held, open), (0, 0), "of no month");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn use_that_was_refused_is_tried_again_and_comes_before_the_renewal() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.serve("a", 3_000_000).await;
        shop.until("2027-04-30T23:00:00Z").await;
        shop.world.freeze(true).await;
        shop.until("2027-05-03T12:00:00Z").await;
        assert_eq!((shop.get(&plan).await.state.name(), shop.mails().await), ("past_due", 1));
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00]);
        shop.world.freeze(false).await;
        shop.until("2027-05-04T12:00:00Z").await;
        assert_eq!(shop.get(&plan).await.state, State::Active);
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 60, 5_00]);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn use_that_is_not_paid_stops_the_service_and_its_money_goes_back() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.serve("a", 3_000_000).await;
        shop.until("2027-04-30T23:00:00Z").await;
        shop.world.freeze(true).await;
        for (moment, state) in [
            ("2027-05-01T00:00:00Z", "past_due"),
            ("2027-05-07T12:00:00Z", "past_due"),
            ("2027-05-08T12:00:00Z", "suspended"),
            ("2027-05-23T00:00:00Z", "ended"),
        ] {
            shop.until(moment).await;
            assert_eq!(shop.get(&plan).await.state.name(), state, "{moment}");
        }
        shop.world.freeze(false).await;
        shop.until("2027-05-25T00:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00]);
        assert_eq!(shop.held().await, (0, 0));
        shop.reconcile().await;
    })
    .await;
}

/// A plan whose use was refused when it was removed, and whose agent is thawed then.
async fn removed_while_frozen(thaw: &'static str, invoices: &'static [i64]) {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.serve("a", 3_000_000).await;
        shop.until("2027-04-10T00:00:00Z").await;
        shop.world.freeze(true).await;
        let (realm, account, resource) = (shop.billing.realm.clone(), shop.account.clone(), plan.clone());
        shop.world.db.write(move |tx| subscription_cancel(tx, &realm, &account, &resource, When::Now)).await.unwrap();
        shop.until(thaw).await;
        shop.world.freeze(false).await;
        shop.until("2027-04-20T00:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, invoices);
        assert_eq!(shop.held().await, (0, 0));
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn use_of_what_was_removed_is_tried_for_a_week() {
    removed_while_frozen("2027-04-13T00:00:00Z", &[5_00, 60]).await;
}

#[tokio::test]
async fn use_of_what_was_removed_is_given_up_after_a_week() {
    removed_while_frozen("2027-04-18T00:00:00Z", &[5_00]).await;
}
