//! Many at once against little room, and long random lives, on both engines.

use crate::world::{TABLES, World, usd};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use purser_db::testing::each_engine;
use purser_spend::charge::{ChargeState, ChargeStep};
use purser_spend::hold::HoldError;
use purser_spend::rail::sandbox::SandboxCard;
use purser_spend::rail::{RailOutcome, RefundOutcome};
use purser_spend::refund::{self, RefundAsk, RefundStep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_concurrent_purchases_against_room_for_7_exactly_7_are_made() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 7 * 5_00 + 4_99).await;
        let tasks: Vec<_> = (0..200)
            .map(|i| {
                let world = world.clone();
                tokio::spawn(async move {
                    let purchase = world.one(&format!("k{i}"), 5_00);
                    // A caller repeats what the store could not do under contention, with the same key.
                    loop {
                        match world.place(&purchase).await {
                            Err(HoldError::Store(e)) if e.is_transient() => {}
                            outcome => break outcome,
                        }
                    }
                })
            })
            .collect();
        let mut bought = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => bought += 1,
                Err(HoldError::CapReached { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(bought, 7);
        assert_eq!(world.position("slipway").await, (39_99, 0, 35_00, 4_99));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_20_concurrent_charges_of_one_line_exactly_one_takes_the_money() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let tasks: Vec<_> = (0..20)
            .map(|i| {
                let (world, hold, plain) = (world.clone(), hold.clone(), plain.clone());
                tokio::spawn(async move { world.charge(World::ask(&format!("k{}", i % 10), &plain, &hold, "a", 5_00)).await })
            })
            .collect();
        let mut paid = std::collections::BTreeSet::new();
        for task in tasks {
            let receipt = task.await.unwrap();
            if receipt.state == ChargeState::Succeeded {
                paid.insert(receipt.id);
            }
        }
        assert_eq!(paid.len(), 1);
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 0, 95_00));
        world.is_sound().await;
    })
    .await;
}

#[derive(Clone, Debug)]
enum Op {
    Buy(i64),
    Begin(usize, i64),
    Finish(usize, bool),
    Release(usize),
    Refund(usize, i64, bool),
    Expire,
    Cap(i64),
    Later(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1_i64..40_00).prop_map(Op::Buy),
        4 => (any::<usize>(), 1_i64..40_00).prop_map(|(i, minor)| Op::Begin(i, minor)),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(i, paid)| Op::Finish(i, paid)),
        1 => any::<usize>().prop_map(Op::Release),
        3 => (any::<usize>(), 1_i64..20_00, any::<bool>()).prop_map(|(i, minor, given)| Op::Refund(i, minor, given)),
        1 => Just(Op::Expire),
        1 => (0_i64..150_00).prop_map(Op::Cap),
        1 => (1_i64..1_000_000).prop_map(Op::Later),
    ]
}

/// Applies the operations, checking after each that the books are sound and that the cap was never passed by a purchase.
async fn live(world: World, ops: Vec<Op>) {
    let (mut holds, mut begun) = (Vec::new(), Vec::new());
    let mut lowered = false;
    for (i, op) in ops.into_iter().enumerate() {
        match op {
            Op::Buy(minor) => {
                let before = world.position("slipway").await;
                match world.place(&world.one(&format!("k{i}"), minor)).await {
                    Ok(hold) => {
                        assert!(before.3 >= minor, "bought {minor} with {} left", before.3);
                        let plain = world.issue(&hold).await;
                        holds.push((hold, plain));
                    }
                    Err(HoldError::CapReached { left, .. }) => assert!(left.minor() < minor && left.minor() == before.3),
                    Err(other) => panic!("{other}"),
                }
            }
            Op::Begin(n, minor) if !holds.is_empty() => {
                let (hold, plain) = &holds[n % holds.len()];
                if let ChargeStep::Capture(order) = world.begin(World::ask(&format!("c{i}"), plain, hold, "a", minor)).await.unwrap() {
                    assert!(order.amount.minor() <= hold.amount.minor());
                    begun.push(order.charge);
                }
            }
            Op::Finish(n, paid) if !begun.is_empty() => {
                let outcome = if paid {
                    RailOutcome::Captured { reference: "r".to_owned() }
                } else {
                    RailOutcome::Declined { code: "card_declined".to_owned(), message: String::new() }
                };
                drop(world.finish(&begun[n % begun.len()], outcome).await);
            }
            Op::Refund(n, minor, given) if !begun.is_empty() => {
                let charge = begun[n % begun.len()].clone();
                let ask = RefundAsk { key: format!("r{i}"), charge, amount: usd(minor), reason: String::new() };
                // More than was taken, or of what was not taken, is refused; what is under way and never ends still counts.
                if let Ok(RefundStep::Give(order)) = world.refund_begin("slipway", ask).await
                    && given
                {
                    let (env, outcome) = (world.env.clone(), RefundOutcome::Refunded { reference: "r".to_owned() });
                    drop(world.db.write(move |tx| refund::finish(tx, &env, &order.refund, &outcome)).await.unwrap());
                }
            }
            Op::Release(n) if !holds.is_empty() => {
                world.release(&holds[n % holds.len()].0).await;
            }
            Op::Expire => {
                world.expire().await;
            }
            Op::Cap(minor) => {
                lowered |= minor < world.position("slipway").await.0;
                world.set_cap(None, minor).await;
            }
            Op::Later(secs) => world.clock.advance_secs(secs),
            Op::Begin(..) | Op::Finish(..) | Op::Release(_) | Op::Refund(..) => {}
        }
        world.is_sound().await;
        let (cap, captured, held, _) = world.position("slipway").await;
        assert!(lowered || captured + held <= cap, "{captured} + {held} > {cap}");
    }
}

#[test]
fn whatever_happens_in_whatever_order_the_books_add_up_and_the_cap_holds() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let lives = proptest::collection::vec(op(), 1..40);
    runner
        .run(&lives, |ops| {
            runtime.block_on(async {
                let db = purser_db::testing::sqlite(TABLES).await;
                let world = World::new(db, 100_00).await;
                live(world, ops).await;
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_long_life_with_every_kind_of_turn_is_sound_on_both_engines() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.card(SandboxCard::Pays).await;
        let ops = (0..70_usize).map(|i| match i % 10 {
            0 | 3 => Op::Buy(7_00 + i as i64),
            1 | 4 => Op::Begin(i / 3, 7_00),
            2 | 5 => Op::Finish(i / 3, i % 2 == 0),
            6 => Op::Release(i),
            7 => Op::Cap(100_00 + i as i64),
            8 => Op::Refund(i / 3, 2_00, i % 20 == 8),
            _ => {
                if i > 40 {
                    Op::Later(800_000)
                } else {
                    Op::Expire
                }
            }
        });
        live(world, ops.collect()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_60_concurrent_purchases_by_helpers_exactly_as_many_are_made_as_fit_the_agent_above_them() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 7 * 5_00 + 4_99).await;
        let mut helpers = Vec::new();
        for _ in 0..6 {
            let mut helper = world.clone();
            helper.spender.agent = purser_values::id::AgentId::mint(&world.env);
            helper.grant = purser_values::id::GrantId::mint(&world.env);
            helper.grant_cap(50_00).await;
            helpers.push(helper);
        }
        let above = purser_spend::Share { agent: world.spender.agent.clone(), grant: world.grant.clone(), total: None };
        let tasks: Vec<_> = (0..60)
            .map(|i| {
                let helper = helpers[i % helpers.len()].clone();
                let mut purchase = helper.one(&format!("k{i}"), 5_00);
                purchase.above = vec![above.clone()];
                tokio::spawn(async move {
                    loop {
                        match helper.place(&purchase).await {
                            Err(HoldError::Store(e)) if e.is_transient() => {}
                            outcome => break outcome.is_ok(),
                        }
                    }
                })
            })
            .collect();
        let mut bought = 0;
        for task in tasks {
            bought += usize::from(task.await.unwrap());
        }
        assert_eq!(bought, 7);
        assert_eq!(world.position("slipway").await, (39_99, 0, 35_00, 4_99));
        world.is_sound().await;
    })
    .await;
}
