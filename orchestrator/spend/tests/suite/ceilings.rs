//! Ceilings over everything that a purchase belongs to, on both engines.

use crate::world::{TABLES, World, usd};
use purser_authority::action::{CapRead, CapSet};
use purser_authority::{Caller, Facts, Role, authorise};
use purser_db::testing::each_engine;
use purser_spend::calendar::Period;
use purser_spend::ceiling::{self, CeilingError, CeilingSet, CeilingView, Scope};
use purser_spend::charge::ChargeState;
use purser_spend::hold;
use purser_spend::quote::Recurs;
use purser_spend::refund::RefundAsk;
use purser_values::error::PublicError as _;
use purser_values::{Currency, Money};

async fn try_set(
    world: &World,
    caller: Caller,
    scope: Scope,
    subject: &str,
    period: Period,
    amount: Option<Money>,
) -> Result<(), CeilingError> {
    let set = CeilingSet { organisation: world.spender.organisation.clone(), scope, subject: subject.to_owned(), period, amount };
    let env = world.env.clone();
    let write = world.db.write(move |tx| {
        let permit = authorise::<CapSet>(&caller, &Facts::new(env.now(), "x"))?;
        ceiling::set(tx, &env, &permit, &set)
    });
    write.await.map(|_| ())
}

async fn set(world: &World, scope: Scope, subject: &str, period: Period, minor: i64) {
    try_set(world, world.person(Role::Owner), scope, subject, period, Some(usd(minor))).await.unwrap();
}

async fn views(world: &World) -> Vec<CeilingView> {
    let (world, db) = (world.clone(), world.db.clone());
    let read = db.read(move |tx| {
        let permit = world.person_permit::<CapRead>(Role::Owner);
        ceiling::all(tx, &world.env, &permit, &world.spender.organisation)
    });
    read.await.unwrap()
}

/// (captured, held, left) of the only ceiling.
async fn only(world: &World) -> (i64, i64, i64) {
    let view = views(world).await.remove(0);
    (view.captured.minor(), view.held.minor(), view.left.minor())
}

#[tokio::test]
async fn every_kind_of_ceiling_refuses_by_name_and_nothing_is_taken() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let (agent, grant) = (world.spender.agent.to_string(), world.grant.to_string());
        let subjects = [
            (Scope::Organisation, ""),
            (Scope::Project, "shop"),
            (Scope::Environment, "shop/production"),
            (Scope::Agent, agent.as_str()),
            (Scope::Grant, grant.as_str()),
            (Scope::Provider, "slipway"),
            (Scope::Category, "hosting"),
        ];
        let mut key = 0;
        for (scope, subject) in subjects {
            for period in Period::ALL {
                set(&world, scope, subject, period, 10_00).await;
                key += 1;
                let first = world.place(&world.one(&format!("k{key}"), 6_00)).await.unwrap();
                key += 1;
                let asked = if period == Period::Transaction { 10_01 } else { 4_01 };
                let refusal = world.place(&world.one(&format!("k{key}"), asked)).await.unwrap_err();
                assert_eq!(refusal.code(), "ceiling_reached", "{scope:?} {period:?}");
                let details = refusal.details().unwrap();
                assert_eq!(details["ceiling"]["scope"], scope.name());
                assert_eq!(details["ceiling"]["period"], period.name());
                let left = if period == Period::Transaction { 10_00 } else { 4_00 };
                assert_eq!(details["left"]["amount_minor"], left, "{scope:?} {period:?}");
                assert_eq!(details["who_can_raise"][0], "owner");
                let (env, asked) = (world.env.clone(), world.one("preflight", asked));
                let blockers = world.db.read(move |tx| hold::blockers(tx, &env, &asked)).await.unwrap();
                assert_eq!(blockers.iter().map(|b| b.code()).collect::<Vec<_>>(), ["ceiling_reached"]);
                world.release(&first).await;
                assert_eq!(world.position("slipway").await, (1_000_00, 0, 0, 1_000_00), "{scope:?} {period:?}");
                try_set(&world, world.person(Role::Owner), scope, subject, period, None).await.unwrap();
                world.is_sound().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_order_of_refusals_is_cap_then_ceilings_from_the_widest_thing_and_the_shortest_time() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_00).await;
        for (scope, subject) in [(Scope::Category, "hosting"), (Scope::Project, "shop"), (Scope::Organisation, "")] {
            for period in [Period::Lifetime, Period::Day] {
                set(&world, scope, subject, period, 1_00).await;
            }
        }
        assert_eq!(world.place(&world.one("a", 1_01)).await.unwrap_err().code(), "cap_reached");
        world.set_cap(None, 10_00).await;
        let mut seen = Vec::new();
        while let Err(refusal) = world.place(&world.one("a", 1_01)).await {
            let details = refusal.details().unwrap();
            let (scope, period) = (details["ceiling"]["scope"].as_str().unwrap(), details["ceiling"]["period"].as_str().unwrap());
            let subject = details["ceiling"]["subject"].as_str().unwrap().to_owned();
            seen.push(format!("{scope} {period}"));
            set(&world, scope.parse().unwrap(), &subject, period.parse().unwrap(), 2_00).await;
        }
        let order = ["organisation day", "organisation lifetime", "project day", "project lifetime", "category day", "category lifetime"];
        assert_eq!(seen, order);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_day_is_the_organisations_own_and_a_held_line_moves_to_the_day_on_which_it_is_charged() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let zoned = world.clone();
        let write = world.db.write(move |tx| {
            let permit = zoned.person_permit::<CapSet>(Role::Owner);
            ceiling::zone_set(tx, &zoned.env, &permit, &zoned.spender.organisation, "Asia/Tokyo")
        });
        drop(write.await.unwrap());
        set(&world, Scope::Organisation, "", Period::Day, 10_00).await;
        // 23:30 in Tokyo.
        world.clock.set("2026-11-23T14:30:00Z".parse().unwrap());
        let (early, token) = world.held("a", 8_00).await;
        let (over, second) = world.held("b", 2_00).await;
        assert_eq!(only(&world).await, (0, 10_00, 0));
        assert_eq!(world.place(&world.one("c", 1)).await.unwrap_err().code(), "ceiling_reached");
        world.clock.set("2026-11-23T15:05:00Z".parse().unwrap());
        assert_eq!(only(&world).await, (0, 0, 10_00), "a new day in Tokyo");
        let receipt = world.charge(World::ask("k", &token, &early, "a", 8_00)).await;
        assert_eq!(receipt.state, ChargeState::Succeeded);
        assert_eq!(only(&world).await, (8_00, 0, 2_00), "it counts on the day on which it was charged");
        world.place(&world.one("d", 1_00)).await.unwrap();
        let receipt = world.charge(World::ask("k2", &second, &over, "a", 2_00)).await;
        assert_eq!((receipt.state, receipt.code.as_deref()), (ChargeState::Refused, Some("ceiling_reached")));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_charged_in_part_released_or_refunded_is_room_again_in_the_ceiling() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        set(&world, Scope::Organisation, "", Period::Week, 20_00).await;
        let purchase = world.purchase("a", vec![World::line("a", 8_00, Recurs::Once), World::line("b", 4_00, Recurs::Once)]);
        let hold = world.place(&purchase).await.unwrap();
        let token = world.issue(&hold).await;
        assert_eq!(only(&world).await, (0, 12_00, 8_00));
        let receipt = world.charge(World::ask("k", &token, &hold, "a", 5_00)).await;
        assert_eq!(only(&world).await, (5_00, 4_00, 11_00));
        world.release(&hold).await;
        assert_eq!(only(&world).await, (5_00, 0, 15_00));
        let ask = RefundAsk { key: "r".to_owned(), charge: receipt.id, amount: usd(2_00), reason: "part".to_owned() };
        world.refund(ask).await.unwrap();
        assert_eq!(only(&world).await, (3_00, 0, 17_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn only_a_person_sets_a_ceiling_and_raising_or_removing_it_wants_one_who_is_there() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let change = |caller: Caller, minor: Option<i64>| {
            let world = world.clone();
            async move {
                let set = try_set(&world, caller, Scope::Project, "shop", Period::Day, minor.map(usd)).await;
                set.map_err(|e| e.code())
            }
        };
        let away = match world.person(Role::Owner) {
            Caller::Person { person, organisation, role, .. } => Caller::Person { person, organisation, role, present_at: None },
            other => other,
        };
        assert_eq!(change(world.agent(), Some(1_00)).await, Err("agent_not_allowed"));
        assert_eq!(change(world.person(Role::Billing), Some(1_00)).await, Err("role_not_allowed"));
        assert_eq!(change(away.clone(), Some(5_00)).await, Ok(()), "a first ceiling narrows");
        assert_eq!(change(away.clone(), Some(4_00)).await, Ok(()), "lowering does not wait");
        assert_eq!(change(away.clone(), Some(4_01)).await, Err("step_up_required"));
        assert_eq!(change(away, None).await, Err("step_up_required"));
        assert_eq!(change(world.person(Role::Owner), Some(-1)).await, Err("ceiling_amount"));
        assert_eq!(change(world.person(Role::Owner), Some(i64::MAX)).await, Err("ceiling_amount"));
        let stranger = World::bare(world.db.clone(), 9);
        assert_eq!(change(stranger.person(Role::Owner), Some(1)).await, Err("not_found"));
        for (scope, bad) in [(Scope::Environment, "shop"), (Scope::Category, "a/b"), (Scope::Agent, "grt_1"), (Scope::Project, "")] {
            let refused = try_set(&world, world.person(Role::Owner), scope, bad, Period::Day, Some(usd(1))).await.unwrap_err();
            assert_eq!(refused.code(), "ceiling_subject", "{bad}");
        }
        let held = world.place(&world.one("a", 4_00)).await.unwrap();
        let euros = Some(Money::from_minor(1, Currency::EUR));
        let mixed = try_set(&world, world.person(Role::Owner), Scope::Project, "shop", Period::Day, euros).await.unwrap_err();
        assert_eq!(mixed.code(), "ceiling_currency");
        assert_eq!(change(world.person(Role::Owner), Some(1_00)).await, Ok(()));
        assert_eq!(only(&world).await, (0, 4_00, 0), "below what is used it leaves no room and takes nothing back");
        world.release(&held).await;
        assert_eq!(only(&world).await, (0, 0, 1_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_price_in_another_currency_than_a_ceiling_is_refused_before_anything_is_taken() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let euros = Some(Money::from_minor(100_00, Currency::EUR));
        for period in [Period::Transaction, Period::Month] {
            try_set(&world, world.person(Role::Owner), Scope::Provider, "slipway", period, euros).await.unwrap();
            assert_eq!(world.place(&world.one("a", 1)).await.unwrap_err().code(), "ceiling_currency");
            try_set(&world, world.person(Role::Owner), Scope::Provider, "slipway", period, None).await.unwrap();
        }
        assert_eq!(world.position("slipway").await, (1_000_00, 0, 0, 1_000_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn many_at_once_never_pass_a_ceiling() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        set(&world, Scope::Organisation, "", Period::Day, 10_00).await;
        let tasks: Vec<_> = (0..24)
            .map(|i| {
                let world = world.clone();
                tokio::spawn(async move { world.place(&world.one(&format!("k{i}"), 1_00)).await.map_err(|e| e.code()) })
            })
            .collect();
        let mut placed = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => placed += 1,
                Err(code) => assert_eq!(code, "ceiling_reached"),
            }
        }
        assert_eq!((placed, only(&world).await), (10, (0, 10_00, 0)));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_ceiling_set_in_the_middle_of_a_period_counts_what_was_spent_and_is_held_in_it() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let (earlier, first) = world.held("before", 50_00).await;
        world.charge(World::ask("k0", &first, &earlier, "a", 50_00)).await;
        // Another month: only what follows is its own.
        world.clock.set("2026-12-03T09:00:00Z".parse().unwrap());
        let (hold, token) = world.held("a", 14_15).await;
        let receipt = world.charge(World::ask("k", &token, &hold, "a", 14_15)).await;
        let waiting = world.place(&world.one("b", 1_00)).await.unwrap();
        let agent = world.spender.agent.to_string();
        let grant = world.grant.to_string();
        let subjects = [
            (Scope::Organisation, ""),
            (Scope::Project, "shop"),
            (Scope::Environment, "shop/production"),
            (Scope::Agent, agent.as_str()),
            (Scope::Grant, grant.as_str()),
            (Scope::Provider, "slipway"),
            (Scope::Category, "hosting"),
        ];
        for (scope, subject) in subjects {
            set(&world, scope, subject, Period::Month, 16_00).await;
            assert_eq!(only(&world).await, (14_15, 1_00, 85), "{scope:?}");
            assert_eq!(world.place(&world.one("c", 86)).await.unwrap_err().code(), "ceiling_reached", "{scope:?}");
            try_set(&world, world.person(Role::Owner), scope, subject, Period::Month, None).await.unwrap();
        }
        for (scope, subject) in [(Scope::Project, "blog"), (Scope::Category, "host"), (Scope::Provider, "other")] {
            set(&world, scope, subject, Period::Month, 16_00).await;
            assert_eq!(only(&world).await, (0, 0, 16_00), "{subject} is not meant");
            try_set(&world, world.person(Role::Owner), scope, subject, Period::Month, None).await.unwrap();
        }
        set(&world, Scope::Organisation, "", Period::Lifetime, 16_00).await;
        assert_eq!(only(&world).await, (64_15, 1_00, 0), "what is over already leaves no room");
        try_set(&world, world.person(Role::Owner), Scope::Organisation, "", Period::Lifetime, None).await.unwrap();
        // Set again, it counts once, and follows what becomes of it.
        set(&world, Scope::Project, "shop", Period::Month, 16_00).await;
        world.release(&waiting).await;
        let ask = RefundAsk { key: "r".to_owned(), charge: receipt.id, amount: usd(4_15), reason: "part".to_owned() };
        world.refund(ask).await.unwrap();
        assert_eq!(only(&world).await, (10_00, 0, 6_00));
        world.place(&world.one("d", 6_00)).await.unwrap();
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn in_another_zone_the_running_day_keeps_what_was_charged_in_it_and_can_be_lowered() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        let zone = async |name: &'static str| {
            let zoned = world.clone();
            let write = world.db.write(move |tx| {
                let permit = zoned.person_permit::<CapSet>(Role::Owner);
                ceiling::zone_set(tx, &zoned.env, &permit, &zoned.spender.organisation, name)
            });
            drop(write.await.unwrap());
        };
        world.clock.set("2026-11-23T09:30:00Z".parse().unwrap());
        set(&world, Scope::Organisation, "", Period::Day, 10_00).await;
        let (hold, token) = world.held("a", 8_00).await;
        world.charge(World::ask("k", &token, &hold, "a", 8_00)).await;
        // Half past eleven at night: the day there began an hour before noon, UTC, of the day before.
        zone("Pacific/Kiritimati").await;
        assert_eq!(only(&world).await, (8_00, 0, 2_00), "the 23rd there is still running");
        world.clock.set("2026-11-23T10:30:00Z".parse().unwrap());
        assert_eq!(only(&world).await, (0, 0, 10_00), "the 24th there");
        let (second, token) = world.held("b", 3_00).await;
        world.charge(World::ask("k2", &token, &second, "a", 3_00)).await;
        zone("UTC").await;
        assert_eq!(only(&world).await, (11_00, 0, 0), "both were charged on the 23rd of UTC");
        set(&world, Scope::Organisation, "", Period::Day, 9_00).await;
        assert_eq!(only(&world).await, (11_00, 0, 0));
        assert_eq!(world.place(&world.one("c", 1)).await.unwrap_err().code(), "ceiling_reached");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn the_highest_ceiling_is_told_in_its_own_currency() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        for (code, most) in [("IDR", "IDR 10000000000.00"), ("KWD", "KWD 1000000.000"), ("JPY", "JPY 10000000000")] {
            let currency: Currency = code.parse().unwrap();
            let max = purser_values::limits::cap_max(currency);
            try_set(&world, world.person(Role::Owner), Scope::Organisation, "", Period::Month, Some(max)).await.unwrap();
            let over = Money::from_minor(max.minor() + 1, currency);
            let refused = try_set(&world, world.person(Role::Owner), Scope::Organisation, "", Period::Month, Some(over)).await.unwrap_err();
            assert!(refused.to_string().ends_with(&format!("and {most}")), "{refused}");
            try_set(&world, world.person(Role::Owner), Scope::Organisation, "", Period::Month, None).await.unwrap();
        }
    })
    .await;
}
