//! Random histories: whatever people, agents and the calendar do, the documents add up to what was captured less what came back.

use proptest::prelude::*;
use purser_db::testing::{each_engine, sqlite};
use slipway_billing::price::Meter;
use slipway_billing::request_log::refund_request;
use slipway_billing::subscription::cancel::{When, subscription_cancel, subscription_keep};

use crate::shop::{Lost, PAID, Shop, TABLES, TEAM};

#[derive(Clone, Debug)]
enum Op {
    Wait(i64),
    Serve(u64),
    Overcount(u64),
    Upgrade,
    Downgrade(bool),
    Cancel(bool),
    Keep,
    AskBack,
    Cap(i64),
    Lose(bool),
    Order,
    Domain(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1_i64..20 * 86_400).prop_map(Op::Wait),
        4 => (0_u64..30_000_000).prop_map(Op::Serve),
        1 => (0_u64..30_000_000).prop_map(Op::Overcount),
        2 => Just(Op::Upgrade),
        2 => any::<bool>().prop_map(Op::Downgrade),
        1 => any::<bool>().prop_map(Op::Cancel),
        1 => Just(Op::Keep),
        1 => Just(Op::AskBack),
        2 => prop_oneof![Just(0_i64), Just(7_00), Just(26_00), Just(300_00)].prop_map(Op::Cap),
        1 => any::<bool>().prop_map(Op::Lose),
        1 => Just(Op::Order),
        1 => any::<bool>().prop_map(Op::Domain),
    ]
}

async fn live(db: purser_db::Db, ops: Vec<Op>) {
    let shop = Shop::new(db, "2027-01-31T10:00:00Z", 300_00).await;
    let mut plan = shop.order(PAID).await;
    for (i, op) in ops.into_iter().enumerate() {
        let (realm, account, resource, db) = (shop.billing.realm.clone(), shop.account.clone(), plan.clone(), shop.world.db.clone());
        let (name, room) = (format!("batch-{i}"), shop.world.position("slipway").await.3);
        match op {
            Op::Wait(seconds) => shop.until_at(shop.env().now().plus_secs(seconds)).await,
            Op::Serve(requests) => {
                shop.serve(&name, requests).await;
            }
            Op::Overcount(requests) => {
                shop.count(&name, Meter::Requests, requests).await;
            }
            Op::Upgrade => drop(shop.upgrade(&plan, TEAM).await),
            Op::Downgrade(now) => drop(shop.downgrade(&plan, PAID, if now { When::Now } else { When::PeriodEnd }).await),
            Op::Cancel(now) => {
                let when = if now { When::Now } else { When::PeriodEnd };
                db.write(move |tx| subscription_cancel(tx, &realm, &account, &resource, when)).await.unwrap();
            }
            Op::Keep => drop(db.write(move |tx| subscription_keep(tx, &realm, &account, &resource)).await),
            Op::AskBack => {
                db.write(move |tx| refund_request(tx, &realm, &account, &resource, "x")).await.unwrap();
            }
            Op::Cap(minor) => drop(shop.world.set_cap(None, minor).await),
            Op::Lose(question) => {
                let next = shop.till.calls() + 1;
                shop.till.lost.lock().unwrap().insert(next, if question { Lost::Question } else { Lost::Answer });
            }
            Op::Order if room >= 5_00 => plan = shop.order(PAID).await,
            Op::Domain(renews) if room >= 9_15 => drop(shop.domain("shop.test", renews).await),
            Op::Order | Op::Domain(_) => {}
        }
        shop.settle_down().await;
    }
    // Whatever was lost is asked for again in its time.
    shop.until_at(shop.env().now().plus_secs(86_400)).await;
    shop.reconcile().await;
}

fn run(db: impl Future<Output = purser_db::Db>, ops: Vec<Op>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { live(db.await, ops).await });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn documents_add_up_to_what_was_captured_less_what_came_back(ops in proptest::collection::vec(op(), 1..25)) {
        run(sqlite(TABLES), ops);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_adds_up_on_both_engines() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let ops = proptest::collection::vec(op(), 40).new_tree(&mut runner).unwrap().current();
    each_engine(TABLES, |db| live(db, ops.clone())).await;
}
