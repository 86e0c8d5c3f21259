//! Money that comes back, on both engines.

use crate::world::{TABLES, World, usd};
use purser_db::testing::each_engine;
use purser_db::{DbError, params};
use purser_spend::charge::{ChargeState, ChargeStep};
use purser_spend::hold::Hold;
use purser_spend::quote::Recurs;
use purser_spend::rail::sandbox::{SandboxCard, SandboxRail};
use purser_spend::rail::{Rail as _, RailOutcome, RefundOutcome};
use purser_spend::refund::due::{self, Due, DueState};
use purser_spend::refund::{self, RefundAsk, RefundError, RefundState, RefundStep};
use purser_values::error::PublicError as _;
use purser_values::id::ChargeId;
use purser_values::{Currency, Money, Timestamp};

fn ask(key: &str, charge: &ChargeId, minor: i64) -> RefundAsk {
    RefundAsk { key: key.to_owned(), charge: charge.clone(), amount: usd(minor), reason: "undone".to_owned() }
}

/// A purchase that was charged.
async fn paid(world: &World, key: &str, minor: i64) -> (Hold, ChargeId) {
    let (hold, plain) = world.held(key, minor).await;
    let receipt = world.charge(World::ask(key, &plain, &hold, "a", minor)).await;
    assert_eq!(receipt.state, ChargeState::Succeeded);
    (hold, receipt.id)
}

async fn expect(world: &World, hold: &Hold, patience_s: i64) {
    let (env, hold) = (world.env.clone(), hold.clone());
    drop(world.db.write(move |tx| due::expect(tx, &env, &hold, env.now().plus_secs(patience_s))).await.unwrap());
}

/// Runs what time makes due; answers the verbs of the events and the jobs.
async fn overdue(world: &World) -> (Vec<String>, usize) {
    let env = world.env.clone();
    let done = world.db.write(move |tx| due::overdue(tx, &env)).await.unwrap();
    (done.events.into_iter().map(|event| event.verb).collect(), done.jobs.len())
}

async fn owed(world: &World) -> Vec<Due> {
    world.statement().await.owed
}

#[tokio::test]
async fn a_refund_gives_the_money_and_the_room_back_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = paid(&world, "a", 5_00).await;
        let first = world.refund(ask("r", &charge, 5_00)).await.unwrap();
        assert_eq!(first.state, RefundState::Succeeded);
        assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00));
        assert_eq!(world.refund(ask("r", &charge, 5_00)).await.unwrap(), first, "the same key gets the first answer");
        assert!(matches!(world.refund(ask("r", &charge, 4_00)).await, Err(RefundError::KeyReused)));
        let statement = world.statement().await;
        assert_eq!((statement.charges[0].refunded, statement.refunds.len()), (usd(5_00), 1));
        let balances = world
            .db
            .read::<_, DbError, _>(|tx| tx.query("select id from ledger_account where id like 'money/%' and balance <> 0", params![]));
        assert!(balances.await.unwrap().is_empty(), "the money is not where it came from");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn parts_never_add_up_to_more_than_the_charge() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = paid(&world, "a", 5_00).await;
        world.refund(ask("r1", &charge, 2_00)).await.unwrap();
        // One more is under way and has no answer yet: it counts as given.
        let RefundStep::Give(_) = world.refund_begin("slipway", ask("r2", &charge, 2_00)).await.unwrap() else { panic!("it is new") };
        let over = world.refund(ask("r3", &charge, 1_01)).await.unwrap_err();
        assert!(matches!(over, RefundError::OverCharge { left } if left == usd(1_00)), "{over}");
        world.refund(ask("r4", &charge, 1_00)).await.unwrap();
        assert_eq!(world.refund(ask("r5", &charge, 1)).await.unwrap_err().code(), "refund_over_charge");
        assert_eq!(world.position("slipway").await, (100_00, 2_00, 0, 98_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn of_many_refunds_at_once_only_the_charge_comes_back() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = paid(&world, "a", 5_00).await;
        let tasks: Vec<_> = (0..24)
            .map(|i| {
                let (world, charge) = (world.clone(), charge.clone());
                tokio::spawn(async move { world.refund(ask(&format!("r{i}"), &charge, 1_00)).await.is_ok() })
            })
            .collect();
        let mut given = 0;
        for task in tasks {
            given += i64::from(task.await.unwrap());
        }
        assert_eq!(given, 5);
        assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn only_the_provider_that_charged_gives_back_and_only_what_was_taken() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = paid(&world, "a", 5_00).await;
        let stranger = world.refund_begin("other", ask("r", &charge, 1_00)).await.unwrap_err();
        assert_eq!(stranger.code(), "not_found", "another provider learns of the charge");
        let unknown = world.refund_begin("slipway", ask("r", &ChargeId::mint(&world.env), 1_00)).await.unwrap_err();
        assert_eq!(unknown.code(), "not_found");
        for (minor, code) in [(0, "amount_invalid"), (-5_00, "amount_invalid"), (i64::MAX, "refund_over_charge")] {
            assert_eq!(world.refund_begin("slipway", ask("r", &charge, minor)).await.unwrap_err().code(), code);
        }
        let euros = RefundAsk { amount: Money::from_minor(1, Currency::EUR), ..ask("r", &charge, 1) };
        assert_eq!(world.refund_begin("slipway", euros).await.unwrap_err().code(), "currency_mismatch");
        let (hold, plain) = world.held("b", 5_00).await;
        let ChargeStep::Capture(order) = world.begin(World::ask("b", &plain, &hold, "a", 5_00)).await.unwrap() else { panic!() };
        assert_eq!(world.refund_begin("slipway", ask("r", &order.charge, 1)).await.unwrap_err().code(), "charge_not_captured");
        drop(world.finish(&order.charge, RailOutcome::Declined { code: "card_declined".to_owned(), message: String::new() }).await);
        assert_eq!(world.refund_begin("slipway", ask("r", &order.charge, 1)).await.unwrap_err().code(), "charge_not_captured");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_refund_in_a_later_month_is_room_in_the_month_of_the_charge() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let (_, charge) = paid(&world, "a", 10_00).await;
        let november = world.env.now().month();
        world.clock.advance_secs(40 * 86_400);
        let (_, later) = paid(&world, "b", 4_00).await;
        world.refund(ask("r", &charge, 10_00)).await.unwrap();
        assert_eq!(world.position("slipway").await, (10_00, 4_00, 0, 6_00), "the refund of another month made room in this one");
        let (spender, permit) = (world.spender.clone(), world.person_permit(purser_authority::Role::Auditor));
        let before = world.db.read(move |tx| purser_spend::cap::read(tx, &permit, &spender, &["slipway".parse().unwrap()], november));
        let before = before.await.unwrap().remove(0);
        assert_eq!((before.captured, before.left), (usd(0), usd(10_00)));
        let statement = world.statement().await;
        assert_eq!((statement.charges.len(), statement.charges[0].id.clone()), (1, later));
        assert_eq!(statement.refunds[0].charge, charge, "the refund is told in the month in which it came");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_crash_around_the_rail_gives_back_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = paid(&world, "a", 5_00).await;
        let RefundStep::Give(order) = world.refund_begin("slipway", ask("r", &charge, 5_00)).await.unwrap() else { panic!("it is new") };
        // The process dies here. The provider comes back with its key, and the job finds the same order.
        let RefundStep::Give(again) = world.refund_begin("slipway", ask("r", &charge, 5_00)).await.unwrap() else {
            panic!("no outcome yet")
        };
        assert_eq!(again, order);
        let waiting = world.db.read(move |tx| refund::unfinished(tx, Timestamp::from_micros(i64::MAX))).await.unwrap();
        assert_eq!(waiting, std::slice::from_ref(&order.refund));
        let rail = SandboxRail::new(world.db.clone(), world.env.clone(), "https://purser.test");
        let outcome = rail.refund(&order).await.unwrap();
        assert_eq!(rail.refund(&again).await.unwrap(), outcome, "the rail answers a known order with its first answer");
        for _ in 0..2 {
            let (env, id, outcome) = (world.env.clone(), order.refund.clone(), outcome.clone());
            let done = world.db.write(move |tx| refund::finish(tx, &env, &id, &outcome)).await.unwrap();
            assert_eq!(done.value.state, RefundState::Succeeded);
        }
        let at_rail = world.db.read::<_, DbError, _>(|tx| tx.query("select amount from rail_sandbox_refund", params![])).await.unwrap();
        assert_eq!(at_rail.len(), 1);
        assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_card_that_takes_nothing_back_leaves_the_money_owed_and_by_name() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.clock.advance_secs(1);
        world.card(SandboxCard::KeepsRefunds).await;
        let (hold, charge) = paid(&world, "a", 5_00).await;
        expect(&world, &hold, 30).await;
        let refused = world.refund(ask("r", &charge, 5_00)).await.unwrap();
        assert_eq!((refused.state, refused.code.as_deref()), (RefundState::Failed, Some("refund_declined")));
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 0, 95_00), "nothing came back and nothing was booked");
        assert_eq!(owed(&world).await[0].amount, usd(5_00));
        let (env, order) = (world.env.clone(), world.refund_begin("slipway", ask("r2", &charge, 5_00)).await.unwrap());
        let RefundStep::Give(order) = order else { panic!("another key is another try") };
        let outcome = RefundOutcome::Refunded { reference: "by hand".to_owned() };
        drop(world.db.write(move |tx| refund::finish(tx, &env, &order.refund, &outcome)).await.unwrap());
        assert!(owed(&world).await.is_empty());
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn what_does_not_come_back_in_time_is_a_dispute_until_it_does() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, charge) = paid(&world, "a", 5_00).await;
        expect(&world, &hold, 30).await;
        expect(&world, &hold, 9_999).await;
        assert_eq!(overdue(&world).await, (Vec::new(), 0), "it is not late yet");
        let waits = owed(&world).await;
        assert_eq!((waits.len(), waits[0].state, waits[0].amount), (1, DueState::Awaited, usd(5_00)));
        world.clock.advance_secs(31);
        assert_eq!(overdue(&world).await, (vec!["refund_dispute".to_owned()], 1), "nobody is told");
        assert_eq!(overdue(&world).await, (Vec::new(), 0), "people are told twice");
        world.refund(ask("r1", &charge, 2_00)).await.unwrap();
        let rest = owed(&world).await;
        assert_eq!((rest[0].state, rest[0].amount, rest[0].charge.clone()), (DueState::Disputed, usd(3_00), charge.clone()));
        world.refund(ask("r2", &charge, 3_00)).await.unwrap();
        assert!(owed(&world).await.is_empty(), "late money settles the dispute");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_charge_under_way_when_its_order_is_undone_is_owed_only_if_it_took_something() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        for (key, outcome, owes) in [
            ("a", RailOutcome::Declined { code: "card_declined".to_owned(), message: "no".to_owned() }, 0),
            ("b", RailOutcome::Captured { reference: "r".to_owned() }, 1),
        ] {
            let hold = world.place(&world.purchase(key, vec![World::line("a", 5_00, Recurs::Month)])).await.unwrap();
            let plain = world.issue(&hold).await;
            let ChargeStep::Capture(order) = world.begin(World::ask(key, &plain, &hold, "a", 5_00)).await.unwrap() else { panic!() };
            world.release(&hold).await;
            expect(&world, &hold, 30).await;
            world.clock.advance_secs(31);
            assert_eq!(overdue(&world).await.0.len(), 0, "nobody knows yet whether anything was taken");
            drop(world.finish(&order.charge, outcome).await);
            world.clock.advance_secs(31);
            assert_eq!(overdue(&world).await.0.len(), owes);
            assert_eq!(owed(&world).await.len(), owes);
            world.is_sound().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_agent_sees_its_own_debts_only() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, charge) = paid(&world, "a", 5_00).await;
        expect(&world, &hold, 30).await;
        world.refund(ask("r", &charge, 1_00)).await.unwrap();
        let mut other = world.clone();
        other.spender.agent = purser_values::id::AgentId::mint(&world.env);
        let month = world.env.now().month();
        for (who, count) in [(world.clone(), 1), (other, 0)] {
            let seen = world.db.read(move |tx| {
                let permit = who.agent_permit::<purser_authority::action::SpendRead>();
                purser_spend::statement::statement(
                    tx,
                    &permit,
                    &who.spender.organisation,
                    None,
                    month,
                    &purser_spend::calendar::Zone::utc(),
                )
            });
            let seen = seen.await.unwrap();
            assert_eq!((seen.refunds.len(), seen.owed.len()), (count, count));
        }
    })
    .await;
}
