//! Metered use is set aside in blocks before it accrues, and what comes again is due on its anniversary; on both engines.

use crate::world::{TABLES, World, usd};
use purser_authority::action::{UsageHold, UsageRelease};
use purser_authority::{Caller, Facts, authorise};
use purser_db::testing::each_engine;
use purser_spend::charge::{ChargeAsk, ChargeState, ChargeStep};
use purser_spend::hold::{self, Hold};
use purser_spend::quote::Recurs;
use purser_spend::rail::RailOutcome;
use purser_spend::usage::{self, UsageAsk, UsageBlock, UsageReceipt};
use purser_spend::{limits, renewal};
use purser_values::{Currency, Money, Secret};

/// A plan of 5.00 a month with metered use, paid for its first month.
async fn subscribed(world: &World) -> (Hold, Secret<String>) {
    let lines = vec![World::line("plan", 5_00, Recurs::Month), World::line("usage", 0, Recurs::Metered)];
    let hold = world.place(&world.purchase("plan", lines)).await.unwrap();
    let plain = world.issue(&hold).await;
    assert_eq!(world.charge(World::ask("first", &plain, &hold, "plan", 5_00)).await.state, ChargeState::Succeeded);
    (hold, plain)
}

async fn ask_as(world: &World, provider: &str, ask: UsageAsk) -> Result<(), &'static str> {
    let (env, caller) = (world.env.clone(), Caller::Provider { provider: provider.parse().unwrap() });
    let write = world.db.write(move |tx| {
        let permit = authorise::<UsageHold>(&caller, &Facts::new(env.now(), "x")).unwrap();
        usage::hold(tx, &env, &permit, &ask)
    });
    match write.await.unwrap().value {
        UsageReceipt::Reserved => Ok(()),
        UsageReceipt::Refused(refusal) => Err(refusal.code()),
    }
}

fn block(hold: &Hold, plain: &Secret<String>, number: u32, minor: i64) -> UsageAsk {
    UsageAsk {
        token: plain.clone(),
        quote: hold.quote_id.clone(),
        line: "usage".to_owned(),
        period: "2026-11".parse().unwrap(),
        block: number,
        amount: usd(minor),
    }
}

fn charge_of(hold: &Hold, plain: &Secret<String>, key: &str, line: &str, period: &str, minor: i64) -> ChargeAsk {
    ChargeAsk { period: Some(period.to_owned()), ..World::ask(key, plain, hold, line, minor) }
}

#[tokio::test]
async fn use_is_set_aside_within_the_cap_and_charged_from_its_blocks_alone() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let (hold, plain) = subscribed(&world).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 3_00)).await, Ok(()));
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 3_00)).await, Ok(()), "a repeat is the same block");
        assert_eq!(world.position("slipway").await, (10_00, 5_00, 3_00, 2_00));
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 2, 3_00)).await, Err("cap_reached"));
        assert_eq!(world.position("slipway").await, (10_00, 5_00, 3_00, 2_00), "a refused block takes nothing");
        // a charge takes at most the block, once, and the rest goes back
        let over = world.charge(charge_of(&hold, &plain, "u0", "usage", "2026-11/1", 3_01)).await;
        assert_eq!(over.code.as_deref(), Some("amount_over_line"));
        let none = world.charge(charge_of(&hold, &plain, "u1", "usage", "2026-11/2", 1)).await;
        assert_eq!(none.code.as_deref(), Some("period_not_reserved"));
        assert_eq!(world.charge(charge_of(&hold, &plain, "u2", "usage", "2026-11/1", 1_23)).await.state, ChargeState::Succeeded);
        assert_eq!(world.position("slipway").await, (10_00, 6_23, 0, 3_77));
        let twice = world.charge(charge_of(&hold, &plain, "u3", "usage", "2026-11/1", 1)).await;
        assert_eq!(twice.code.as_deref(), Some("line_charged"));
        // a person makes room, and the same block is there
        world.set_cap(None, 20_00).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 2, 3_00)).await, Ok(()));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn use_of_november_counts_in_november_whenever_it_is_charged() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let (hold, plain) = subscribed(&world).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 3_00)).await, Ok(()));
        world.clock.set("2026-12-02T00:00:00Z".parse().unwrap());
        world.place(&world.one("b", 10_00)).await.unwrap();
        assert_eq!(world.charge(charge_of(&hold, &plain, "u", "usage", "2026-11/1", 3_00)).await.state, ChargeState::Succeeded);
        assert_eq!(world.position("slipway").await, (10_00, 0, 10_00, 0), "December is full and gives nothing for November");
        world.is_sound().await;
        // a block that nobody charges goes back, and the token of what comes again lives on
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 2, 1)).await, Err("cap_reached"));
    })
    .await;
}

#[tokio::test]
async fn a_block_that_is_not_what_was_agreed_is_refused() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = subscribed(&world).await;
        let (plain_hold, other) = world.held("b", 1_00).await;
        let mut cases: Vec<(UsageAsk, &str)> = Vec::new();
        let change = |change: &dyn Fn(&mut UsageAsk)| {
            let mut ask = block(&hold, &plain, 1, 1_00);
            change(&mut ask);
            ask
        };
        cases.push((change(&|a| a.token = Secret::new("spt_nonsense".to_owned())), "payment_token_unknown"));
        cases.push((change(&|a| a.quote = "another".to_owned()), "quote_mismatch"));
        cases.push((change(&|a| a.line = "plan".to_owned()), "line_unknown"));
        cases.push((change(&|a| a.amount = usd(0)), "amount_invalid"));
        cases.push((change(&|a| a.amount = usd(-1)), "amount_invalid"));
        cases.push((change(&|a| a.amount = Money::from_minor(1, Currency::EUR)), "currency_mismatch"));
        cases.push((change(&|a| a.block = 0), "usage_blocks_too_many"));
        cases.push((change(&|a| a.block = limits::USAGE_BLOCKS + 1), "usage_blocks_too_many"));
        cases.push((UsageAsk { quote: plain_hold.quote_id.clone(), ..block(&plain_hold, &other, 1, 1_00) }, "line_unknown"));
        for (ask, code) in cases {
            assert_eq!(ask_as(&world, "slipway", ask).await, Err(code));
        }
        assert_eq!(
            ask_as(&world, "other", block(&hold, &plain, 1, 1)).await,
            Err("payment_token_unknown"),
            "a token is its provider's alone"
        );
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 1_00)).await, Ok(()));
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 2_00)).await, Err("usage_block_differs"));
        world.freeze(true).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 2, 1_00)).await, Err("agent_frozen"));
        world.freeze(false).await;
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 2_00, 93_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn many_blocks_at_once_never_pass_the_cap() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 12_00).await;
        let (hold, plain) = subscribed(&world).await;
        let tasks: Vec<_> = (1..=30)
            .map(|number| {
                let (world, ask) = (world.clone(), block(&hold, &plain, number, 1_00));
                tokio::spawn(async move { ask_as(&world, "slipway", ask).await.is_ok() })
            })
            .collect();
        let mut reserved = 0;
        for task in tasks {
            reserved += i32::from(task.await.unwrap());
        }
        assert_eq!(reserved, 7);
        assert_eq!(world.position("slipway").await, (12_00, 5_00, 7_00, 0));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn what_began_on_the_31st_is_due_on_the_last_day_and_on_the_31st_again() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        world.clock.set("2027-01-31T12:00:00Z".parse().unwrap());
        let (hold, plain) = subscribed(&world).await;
        for (due, period) in [("2027-02-28", "2027-02"), ("2027-03-31", "2027-03"), ("2027-04-30", "2027-04"), ("2027-05-31", "2027-05")] {
            let env = world.env.clone();
            world.clock.set(format!("{due}T11:59:59Z").parse().unwrap());
            assert_eq!(world.db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap().value, 1, "{due}");
            world.clock.set(format!("{due}T12:00:00Z").parse().unwrap());
            let receipt = world.charge(charge_of(&hold, &plain, due, "plan", period, 5_00)).await;
            assert_eq!(receipt.state, ChargeState::Succeeded, "{due}: {:?}", receipt.code);
            world.is_sound().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_renewal_that_found_no_room_is_paid_as_soon_as_a_person_makes_some() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 8_00).await;
        let (hold, plain) = subscribed(&world).await;
        world.clock.set("2026-12-21T00:00:00Z".parse().unwrap());
        world.place(&world.one("b", 6_00)).await.unwrap();
        let env = world.env.clone();
        let done = world.db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap();
        assert_eq!(format!("{:?}", done.events[0].outcome), "Refused(\"cap_reached\")");
        let ask = |key: &str| charge_of(&hold, &plain, key, "plan", "2026-12", 5_00);
        assert_eq!(world.charge(ask("early")).await.code.as_deref(), Some("period_not_reserved"), "it is not due yet");
        world.clock.set("2026-12-24T00:00:00Z".parse().unwrap());
        assert_eq!(world.charge(ask("k1")).await.code.as_deref(), Some("period_not_reserved"));
        world.is_sound().await;
        world.set_cap(None, 20_00).await;
        assert_eq!(world.charge(ask("k2")).await.state, ChargeState::Succeeded);
        assert_eq!(world.charge(ask("k3")).await.code.as_deref(), Some("line_charged"));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_renewal_that_nobody_charged_goes_back_and_can_be_paid_later() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 8_00).await;
        let (hold, plain) = subscribed(&world).await;
        world.clock.set("2026-12-21T00:00:00Z".parse().unwrap());
        let env = world.env.clone();
        drop(world.db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap());
        assert_eq!(world.position("slipway").await, (8_00, 0, 5_00, 3_00));
        world.clock.set("2026-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(world.expire().await, 1);
        assert_eq!(world.position("slipway").await, (8_00, 0, 0, 8_00));
        world.is_sound().await;
        // three weeks late, in the next month: it is January's money now
        world.clock.set("2027-01-13T00:00:00Z".parse().unwrap());
        let receipt = world.charge(charge_of(&hold, &plain, "late", "plan", "2026-12", 5_00)).await;
        assert_eq!(receipt.state, ChargeState::Succeeded, "{:?}", receipt.code);
        assert_eq!(world.position("slipway").await, (8_00, 5_00, 0, 3_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_period_that_is_being_charged_while_its_plan_is_stopped_and_kept_after_all_is_set_aside_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 20_00).await;
        let (hold, plain) = subscribed(&world).await;
        world.clock.set("2026-12-23T12:00:00Z".parse().unwrap());
        let reserve = async || {
            let env = world.env.clone();
            world.db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap().value
        };
        assert_eq!(reserve().await, 1);
        let begun = world.begin(charge_of(&hold, &plain, "again", "plan", "2026-12", 5_00)).await.unwrap();
        let ChargeStep::Capture(order) = begun else { panic!("{begun:?}") };
        let (env, resource) = (world.env.clone(), hold.resource.clone());
        let turn = world.db.write(move |tx| {
            renewal::pause(tx, &env, &resource)?;
            renewal::resume(tx, &resource)
        });
        turn.await.unwrap();
        assert_eq!(reserve().await, 1);
        assert_eq!(world.position("slipway").await, (20_00, 0, 5_00, 15_00));
        let other = world.charge(charge_of(&hold, &plain, "other", "plan", "2027-03", 5_00)).await;
        assert_eq!(other.code.as_deref(), Some("period_not_reserved"));
        drop(world.finish(&order.charge, RailOutcome::Captured { reference: "r".to_owned() }).await);
        assert_eq!(world.position("slipway").await, (20_00, 5_00, 0, 15_00));
        world.is_sound().await;
    })
    .await;
}

async fn give_back(world: &World, provider: &str, hold: &Hold, plain: &Secret<String>, number: u32) -> Option<&'static str> {
    let (env, caller) = (world.env.clone(), Caller::Provider { provider: provider.parse().unwrap() });
    let period = "2026-11".parse().unwrap();
    let name = UsageBlock { token: plain.clone(), quote: hold.quote_id.clone(), line: "usage".to_owned(), period, block: number };
    let write = world.db.write(move |tx| {
        let permit = authorise::<UsageRelease>(&caller, &Facts::new(env.now(), "x")).unwrap();
        usage::release(tx, &env, &permit, &name)
    });
    write.await.unwrap().value.map(purser_spend::charge::Refusal::code)
}

async fn close(world: &World, hold: &Hold) {
    let (env, id) = (world.env.clone(), hold.id.clone());
    drop(world.db.write(move |tx| hold::close(tx, &env, &Caller::System, &id)).await.unwrap());
}

#[tokio::test]
async fn use_is_paid_after_its_service_was_removed_and_nothing_else_is() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = subscribed(&world).await;
        for number in 1..=3 {
            assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, number, 5_00)).await, Ok(()));
        }
        for _ in 0..2 {
            close(&world, &hold).await;
            assert_eq!(world.position("slipway").await, (100_00, 5_00, 15_00, 80_00));
            world.is_sound().await;
        }
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 3, 5_00)).await, Ok(()), "it is there");
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 4, 5_00)).await, Err("line_released"), "no more of it");
        world.clock.set("2026-12-24T12:00:00Z".parse().unwrap());
        let env = world.env.clone();
        assert_eq!(world.db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap().value, 0, "it does not come again");
        world.clock.set("2026-11-25T00:00:00Z".parse().unwrap());
        let renewed = world.charge(charge_of(&hold, &plain, "r", "plan", "2026-12", 5_00)).await;
        assert_eq!(renewed.code.as_deref(), Some("period_not_reserved"));
        assert_eq!(world.charge(charge_of(&hold, &plain, "u1", "usage", "2026-11/1", 5_00)).await.state, ChargeState::Succeeded);
        assert_eq!(world.charge(charge_of(&hold, &plain, "u2", "usage", "2026-11/2", 1_00)).await.state, ChargeState::Succeeded);
        assert_eq!(give_back(&world, "slipway", &hold, &plain, 2).await, Some("line_charged"));
        assert_eq!(give_back(&world, "other", &hold, &plain, 3).await, Some("payment_token_unknown"));
        assert_eq!(world.position("slipway").await, (100_00, 11_00, 5_00, 84_00));
        for _ in 0..2 {
            assert_eq!(give_back(&world, "slipway", &hold, &plain, 3).await, None);
        }
        assert_eq!(world.position("slipway").await, (100_00, 11_00, 0, 89_00));
        // with the last block the token is over
        let over = world.charge(charge_of(&hold, &plain, "u4", "usage", "2026-11/3", 1)).await;
        assert_eq!(over.code.as_deref(), Some("payment_token_spent"));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_never_charges_does_not_keep_the_money() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = subscribed(&world).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 5_00)).await, Ok(()));
        close(&world, &hold).await;
        world.clock.advance_secs(limits::USAGE_CLOSING_S - 1);
        assert_eq!(world.expire().await, 0);
        world.clock.advance_secs(1);
        assert_eq!(world.expire().await, 1);
        let late = world.charge(charge_of(&hold, &plain, "u", "usage", "2026-11/1", 1)).await;
        assert_eq!(late.code.as_deref(), Some("payment_token_revoked"));
        assert_eq!(world.expire().await, 0);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn without_use_to_pay_a_closed_hold_is_released() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = subscribed(&world).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 5_00)).await, Ok(()));
        assert_eq!(give_back(&world, "slipway", &hold, &plain, 1).await, None);
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 5_00)).await, Err("line_released"), "a number is used once");
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 2, 5_00)).await, Ok(()), "and the plan goes on");
        assert_eq!(give_back(&world, "slipway", &hold, &plain, 2).await, None);
        close(&world, &hold).await;
        let late = world.charge(charge_of(&hold, &plain, "u", "usage", "2026-11/2", 1)).await;
        assert_eq!(late.code.as_deref(), Some("payment_token_revoked"));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn blocks_of_months_long_over_go_back_although_the_plan_goes_on() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = subscribed(&world).await;
        assert_eq!(ask_as(&world, "slipway", block(&hold, &plain, 1, 5_00)).await, Ok(()));
        let old = || {
            let env = world.env.clone();
            world.db.write(move |tx| usage::release_old(tx, &env))
        };
        world.clock.set("2027-01-29T00:00:00Z".parse().unwrap());
        assert_eq!(old().await.unwrap().value, 0);
        world.clock.set("2027-01-31T00:00:00Z".parse().unwrap());
        assert_eq!(old().await.unwrap().value, 1);
        assert_eq!(old().await.unwrap().value, 0);
        let late = world.charge(charge_of(&hold, &plain, "u", "usage", "2026-11/1", 1)).await;
        assert_eq!(late.code.as_deref(), Some("line_released"));
        world.is_sound().await;
    })
    .await;
}
