//! What happens to what is not paid, and to what is cancelled: each stage, each mail once.

use std::sync::atomic::Ordering;

use purser_db::testing::each_engine;
use purser_values::id::CloudResourceId;
use slipway_billing::invoice::Kind as Sort;
use slipway_billing::request_log::{Answer, refund_request, request_list};
use slipway_billing::subscription::State;
use slipway_billing::subscription::cancel::{When, subscription_cancel, subscription_keep, subscription_pay};
use slipway_billing::subscription::get::is_suspended;

use crate::shop::{PAID, Shop, TABLES, TEAM};
use crate::world::usd;

impl Shop {
    async fn cancel(&self, plan: &CloudResourceId, when: When) {
        let (realm, account, plan) = (self.billing.realm.clone(), self.account.clone(), plan.clone());
        self.world.db.write(move |tx| subscription_cancel(tx, &realm, &account, &plan, when)).await.unwrap();
    }

    async fn ask_back(&self, resource: &CloudResourceId) -> Answer {
        let (realm, account, resource) = (self.billing.realm.clone(), self.account.clone(), resource.clone());
        self.world.db.write(move |tx| refund_request(tx, &realm, &account, &resource, "bought\nby mistake")).await.unwrap()
    }

    async fn suspended(&self) -> bool {
        let account = self.account.clone();
        self.world.db.read(move |tx| is_suspended(tx, &account)).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_not_paid_goes_on_for_a_week_is_suspended_for_two_and_then_deleted() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2027-03-20T00:00:00Z").await;
        shop.world.set_cap(None, 0).await;
        let stages = [
            ("2027-03-31T23:59:59Z", "active", 0, false),
            ("2027-04-01T00:00:00Z", "past_due", 1, false),
            ("2027-04-07T23:59:59Z", "past_due", 1, false),
            ("2027-04-08T00:00:00Z", "suspended", 2, true),
            ("2027-04-18T00:00:00Z", "suspended", 2, true),
            ("2027-04-19T01:00:00Z", "suspended", 3, true),
            ("2027-04-22T00:00:00Z", "ended", 4, false),
            ("2027-08-01T00:00:00Z", "ended", 4, false),
        ];
        for (moment, state, mails, suspended) in stages {
            shop.until(moment).await;
            assert_eq!((shop.get(&plan).await.state.name(), shop.mails().await), (state, mails), "{moment}");
            assert_eq!(shop.suspended().await, suspended, "{moment}");
        }
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00]);
        assert!(shop.get(&plan).await.terms.payment.token.is_none(), "nobody needs the token any more");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn a_payer_that_does_not_answer_does_not_keep_the_plan_for_free() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2027-03-20T00:00:00Z").await;
        shop.till.deaf.store(true, Ordering::SeqCst);
        let stages = [
            ("2027-04-01T12:00:00Z", "active", 0),
            ("2027-04-02T12:00:00Z", "past_due", 1),
            ("2027-04-08T18:00:00Z", "past_due", 1),
            ("2027-04-09T18:00:00Z", "suspended", 2),
            ("2027-04-21T12:00:00Z", "suspended", 3),
            ("2027-04-24T00:00:00Z", "ended", 4),
        ];
        for (moment, state, mails) in stages {
            shop.until(moment).await;
            assert_eq!((shop.get(&plan).await.state.name(), shop.mails().await), (state, mails), "{moment}");
        }
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00]);
        // what is asked for is asked for until there is an answer; money for what has ended comes back
        shop.till.deaf.store(false, Ordering::SeqCst);
        shop.until("2027-04-27T00:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await.len(), shop.totals(Sort::CreditNote).await.len() + 1);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_within_the_grace_pays_the_period_once() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2027-03-20T00:00:00Z").await;
        shop.till.deaf.store(true, Ordering::SeqCst);
        shop.until("2027-04-04T00:00:00Z").await;
        assert_eq!(shop.get(&plan).await.state.name(), "past_due");
        shop.till.deaf.store(false, Ordering::SeqCst);
        shop.until("2027-04-05T12:00:00Z").await;
        let paid = shop.get(&plan).await;
        assert_eq!((paid.state, paid.period().start.to_string().as_str()), (State::Active, "2027-04-01T00:00:00Z"));
        assert_eq!((shop.totals(Sort::Invoice).await, shop.mails().await), (vec![5_00, 5_00], 2));
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn paying_at_once_ends_the_grace() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2027-03-20T00:00:00Z").await;
        shop.world.set_cap(None, 0).await;
        shop.until("2027-04-03T01:00:00Z").await;
        assert_eq!(shop.get(&plan).await.state.name(), "past_due");
        shop.world.set_cap(None, 60_00).await;
        let (realm, account, resource) = (shop.billing.realm.clone(), shop.account.clone(), plan.clone());
        shop.world.db.write(move |tx| subscription_pay(tx, &realm, &account, &resource)).await.unwrap();
        shop.settle_down().await;
        let paid = shop.get(&plan).await;
        assert_eq!((paid.state, paid.period().start.to_string().as_str()), (State::Active, "2027-04-01T00:00:00Z"));
        shop.until("2027-05-02T00:00:00Z").await;
        assert_eq!(shop.get(&plan).await.number, 2);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn paying_brings_back_what_is_suspended() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2027-03-20T00:00:00Z").await;
        shop.world.set_cap(None, 0).await;
        shop.until("2027-04-20T12:00:00Z").await;
        assert!(shop.suspended().await);
        shop.world.set_cap(None, 60_00).await;
        // the daily try finds the room by itself
        shop.until("2027-04-21T12:00:00Z").await;
        assert_eq!(shop.get(&plan).await.state, State::Active);
        assert!(!shop.suspended().await);
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 5_00]);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_plan_goes_on_until_its_period_ends_and_can_be_kept_until_then() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-03-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.cancel(&plan, When::PeriodEnd).await;
        shop.until("2027-03-30T00:00:00Z").await;
        let (realm, account, resource) = (shop.billing.realm.clone(), shop.account.clone(), plan.clone());
        shop.world.db.write(move |tx| subscription_keep(tx, &realm, &account, &resource)).await.unwrap();
        shop.until("2027-04-02T00:00:00Z").await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 5_00]);
        shop.cancel(&plan, When::PeriodEnd).await;
        shop.until("2027-04-30T23:59:59Z").await;
        assert_eq!(shop.get(&plan).await.state, State::Active);
        shop.until("2027-06-30T00:00:00Z").await;
        assert_eq!(shop.get(&plan).await.state.name(), "ended");
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 5_00]);
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn money_comes_back_until_its_deadline_and_every_request_is_kept() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let small = shop.order(PAID).await;
        let domain = shop.domain("shop.test", false).await;
        shop.until("2027-04-04T00:00:00Z").await;
        // 27 of 30 days are left of 5.00; after the upgrade 20.00 are paid by 15.50 and what was left.
        shop.upgrade(&small, TEAM).await.unwrap();
        shop.settle_down().await;
        assert_eq!(shop.totals(Sort::Invoice).await, [5_00, 9_15, 15_50]);
        shop.until("2027-04-10T00:00:00Z").await;
        // 24 of 30 days are left of 20.00: more than the last charge took, so it comes from two.
        assert_eq!(shop.ask_back(&small).await, Answer::Refunded(usd(16_00)));
        shop.settle_down().await;
        let mut notes = shop.totals(Sort::CreditNote).await;
        notes.sort_unstable();
        assert_eq!(notes, [50, 15_50]);
        assert_eq!(shop.get(&small).await.state.name(), "ended");
        // a domain cannot be given back, and the request says until when it could have been
        let Answer::NotRefundable { deadline } = shop.ask_back(&domain).await else { panic!() };
        assert_eq!(deadline.to_string(), "2027-04-02T00:00:00Z");
        assert!(matches!(shop.ask_back(&small).await, Answer::NotRefundable { .. }), "not twice");
        let account = shop.account.clone();
        let kept = shop.world.db.read(move |tx| request_list(tx, &account)).await.unwrap();
        let mut answers: Vec<&str> = kept.iter().map(|request| request.answer.as_str()).collect();
        answers.sort_unstable();
        assert_eq!(answers, ["not_refundable", "not_refundable", "refunded"]);
        assert_eq!(kept[0].reason, "boughtby mistake");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn after_two_weeks_a_plan_gives_nothing_back() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let plan = shop.order(PAID).await;
        shop.until("2027-04-15T00:00:00Z").await;
        let Answer::NotRefundable { deadline } = shop.ask_back(&plan).await else { panic!() };
        assert_eq!(deadline.to_string(), "2027-04-15T00:00:00Z");
        assert_eq!(shop.get(&plan).await.state, State::Active, "and the plan goes on");
        shop.reconcile().await;
    })
    .await;
}

#[tokio::test]
async fn a_domain_ends_after_three_notices_unless_its_renewal_was_chosen() {
    each_engine(TABLES, |db| async move {
        let shop = Shop::new(db, "2027-04-01T00:00:00Z", 60_00).await;
        let left = shop.domain("left.test", false).await;
        let kept = shop.domain("kept.test", true).await;
        for (moment, mails) in
            [("2028-03-01T23:00:00Z", 0), ("2028-03-02T06:00:00Z", 2), ("2028-03-25T06:00:00Z", 4), ("2028-03-31T06:00:00Z", 6)]
        {
            shop.until(moment).await;
            assert_eq!(shop.mails().await, mails, "{moment}");
        }
        shop.until("2028-04-01T06:00:00Z").await;
        assert_eq!(shop.get(&left).await.state.name(), "ended");
        let kept = shop.get(&kept).await;
        assert_eq!((kept.state, kept.period().end.to_string().as_str()), (State::Active, "2029-04-01T00:00:00Z"));
        assert_eq!(shop.totals(Sort::Invoice).await, [9_15, 9_15, 9_15]);
        assert_eq!(shop.mails().await, 7, "and that one has ended");
        shop.reconcile().await;
    })
    .await;
}
