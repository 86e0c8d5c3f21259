//! Purchases in another currency than their ceilings, on both engines.

use crate::world::{TABLES, World, usd};
use purser_authority::action::{CapSet, RateSet as RateSetAction};
use purser_authority::{Caller, Denied, Facts, Role, authorise};
use purser_db::testing::each_engine;
use purser_spend::calendar::Period;
use purser_spend::ceiling::{self, CeilingSet, Scope};
use purser_spend::charge::{ChargeAsk, ChargeState};
use purser_spend::hold::{self, Hold, Purchase};
use purser_spend::quote::{Line, Recurs};
use purser_spend::rate::{self, Rate, RateError, RateSet, Ratio};
use purser_spend::refund::RefundAsk;
use purser_spend::renewal;
use purser_values::error::PublicError as _;
use purser_values::{Currency, Money, Secret, Timestamp};

const DAY_S: i64 = 86_400;

fn eur(minor: i64) -> Money {
    Money::from_minor(minor, Currency::EUR)
}

fn rate(world: &World, ratio: &str, days: i64) -> Rate {
    let now = world.env.now();
    Rate {
        from: Currency::EUR,
        to: Currency::USD,
        ratio: Ratio::parse(ratio).unwrap(),
        deviation_bp: 200,
        source: "the test".to_owned(),
        valid_from: now,
        valid_until: now.plus_secs(days * DAY_S),
    }
}

async fn try_state(world: &World, caller: Caller, rate: Rate) -> Result<(), RateError> {
    let (env, organisation) = (world.env.clone(), world.spender.organisation.clone());
    let write = world.db.write(move |tx| {
        let permit = authorise::<RateSetAction>(&caller, &Facts::new(env.now(), "x"))?;
        rate::set(tx, &env, &permit, &RateSet { organisation: organisation.clone(), rate: rate.clone() })
    });
    write.await.map(drop)
}

async fn state(world: &World, ratio: &str, days: i64) {
    try_state(world, world.person(Role::Owner), rate(world, ratio, days)).await.unwrap();
}

fn in_euros(world: &World, key: &str, minors: &[i64], recurs: Recurs) -> Purchase {
    let line = |(n, minor): (usize, &i64)| Line { id: n.to_string(), description: "euros".to_owned(), amount: eur(*minor), recurs };
    world.purchase(key, minors.iter().enumerate().map(line).collect())
}

fn ask(key: &str, token: &Secret<String>, hold: &Hold, minor: i64) -> ChargeAsk {
    ChargeAsk { amount: eur(minor), ..World::ask(key, token, hold, "0", 0) }
}

/// (captured, held, left) of the cap, in cents.
async fn cap(world: &World) -> (i64, i64, i64) {
    let (_, captured, held, left) = world.position("slipway").await;
    (captured, held, left)
}

#[tokio::test]
async fn what_is_priced_in_euros_counts_at_the_stated_rate_and_its_bound_until_the_last_cent_is_back() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        state(&world, "1.10", 30).await;
        // 10.00 and 0.01 at 1.10, and 2 % dearer: 11.22, and 0.02 rounded up.
        let hold = world.place(&in_euros(&world, "a", &[10_00, 1], Recurs::Once)).await.unwrap();
        assert_eq!(cap(&world).await, (0, 11_22 + 2, 100_00 - 11_24));
        world.is_sound().await;

        // Another rate since then changes nothing for it.
        state(&world, "9", 30).await;
        let token = world.issue(&hold).await;
        let paid = world.charge(ask("c", &token, &hold, 7_01)).await;
        assert_eq!(paid.state, ChargeState::Succeeded, "{:?}", paid.code);
        // 7.01 × 1.122 = 7.86522
        assert_eq!(cap(&world).await, (7_87, 2, 100_00 - 7_89));
        let charges = world.statement().await.charges;
        assert_eq!(charges[0].amount, eur(7_01), "the money itself is in its own currency");

        for (key, minor, captured) in [("r1", 3_33, 4_13), ("r2", 3_67, 2), ("r3", 1, 0)] {
            let refund = RefundAsk { key: key.to_owned(), charge: paid.id.clone(), amount: eur(minor), reason: "test".to_owned() };
            world.refund(refund).await.unwrap();
            assert_eq!(cap(&world).await.0, captured, "after {key}");
            world.is_sound().await;
        }
        world.release(&hold).await;
        assert_eq!(cap(&world).await, (0, 0, 100_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_ceiling_is_never_passed_by_what_counts_at_a_rate() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 11_22).await;
        state(&world, "1.10", 30).await;
        let refused = world.place(&in_euros(&world, "one cent", &[10_01], Recurs::Once)).await.unwrap_err();
        assert_eq!(refused.code(), "cap_reached");
        let details = refused.details().unwrap();
        assert_eq!((&details["left"]["currency"], &details["asked"]["currency"]), (&"USD".into(), &"EUR".into()));
        world.place(&in_euros(&world, "all", &[10_00], Recurs::Once)).await.unwrap();
        assert_eq!(world.place(&in_euros(&world, "more", &[1], Recurs::Once)).await.unwrap_err().code(), "cap_reached");
        assert_eq!(world.place(&world.one("dollars", 1)).await.unwrap_err().code(), "cap_reached");
        // One that no number holds is more than any ceiling.
        assert_eq!(world.place(&in_euros(&world, "vast", &[i64::MAX], Recurs::Once)).await.unwrap_err().code(), "cap_reached");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_rate_in_force_nothing_is_converted_and_nothing_is_taken() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let buy = async |key: &str| world.place(&in_euros(&world, key, &[1_00], Recurs::Once)).await;
        let missing = buy("none").await.unwrap_err();
        assert_eq!(missing.code(), "cap_currency");
        assert!(missing.hint().unwrap().contains("https://purser.test/limits"), "{:?}", missing.hint());

        // Not the other way round, and not before its time.
        let turned = Rate { from: Currency::USD, to: Currency::EUR, ..rate(&world, "1.1", 30) };
        try_state(&world, world.person(Role::Owner), turned).await.unwrap();
        assert_eq!(buy("turned").await.unwrap_err().code(), "cap_currency");
        let later = Rate { valid_from: world.env.now().plus_secs(60), ..rate(&world, "1.1", 30) };
        try_state(&world, world.person(Role::Owner), later).await.unwrap();
        assert_eq!(buy("early").await.unwrap_err().code(), "rate_not_in_force");
        world.clock.advance_secs(60);
        buy("in time").await.unwrap();
        world.clock.advance_secs(30 * DAY_S - 60);
        let late = buy("late").await.unwrap_err();
        assert_eq!((late.code(), late.details().unwrap()["rate"]["source"].as_str()), ("rate_not_in_force", Some("the test")));

        // A preflight says the same, and every ceiling by itself.
        state(&world, "1.1", 30).await;
        let (env, all, purchase) = (world.env.clone(), ceilings(&world).await, in_euros(&world, "look", &[50_00], Recurs::Once));
        assert_eq!(all, 2);
        let found = world.db.read(move |tx| hold::blockers(tx, &env, &purchase)).await.unwrap();
        assert_eq!(found.iter().map(|e| e.code()).collect::<Vec<_>>(), ["ceiling_reached", "ceiling_currency"]);
        world.is_sound().await;
    })
    .await;
}

/// A ceiling for each purchase that is too low, and one in francs. Answers how many there are.
async fn ceilings(world: &World) -> usize {
    let francs = Money::from_minor(1_000_00, "CHF".parse().unwrap());
    let all =
        [(Scope::Organisation, String::new(), Period::Transaction, usd(56_09)), (Scope::Project, "shop".to_owned(), Period::Day, francs)];
    for (scope, subject, period, amount) in all.clone() {
        let set = CeilingSet { organisation: world.spender.organisation.clone(), scope, subject, period, amount: Some(amount) };
        let world = world.clone();
        let db = world.db.clone();
        let write = db.write(move |tx| ceiling::set(tx, &world.env, &world.person_permit::<CapSet>(Role::Owner), &set));
        drop(write.await.unwrap());
    }
    all.len()
}

#[tokio::test]
async fn a_renewal_counts_at_the_rate_of_its_own_day_and_without_one_is_not_set_aside() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        state(&world, "1.10", 20).await;
        let hold = world.place(&in_euros(&world, "plan", &[10_00], Recurs::Month)).await.unwrap();
        let token = world.issue(&hold).await;
        assert_eq!(world.charge(ask("first", &token, &hold, 10_00)).await.state, ChargeState::Succeeded);

        // The rate has run out when the next month is to be set aside.
        world.clock.advance_secs(29 * DAY_S);
        let (env, db) = (world.env.clone(), world.db.clone());
        let done = db.write(move |tx| renewal::reserve(tx, &env)).await.unwrap();
        assert_eq!(done.value, 1);
        assert!(format!("{:?}", done.events[0].outcome).contains("rate_not_in_force"), "{:?}", done.events[0]);

        // A person states a new one: the provider's charge finds room at that.
        world.clock.advance_secs(3 * DAY_S);
        state(&world, "1.20", 20).await;
        let period = world.env.now().month().to_string();
        let second = ChargeAsk { period: Some(period), ..ask("second", &token, &hold, 10_00) };
        let paid = world.charge(second).await;
        assert_eq!(paid.state, ChargeState::Succeeded, "{:?}", paid.code);
        assert_eq!(cap(&world).await.0, 12_24);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn money_that_is_charged_in_a_later_month_counts_there_by_its_kept_rate() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.clock.set("2026-11-30T23:30:00Z".parse().unwrap());
        state(&world, "1.10", 30).await;
        let hold = world.place(&in_euros(&world, "a", &[10_00], Recurs::Once)).await.unwrap();
        let token = world.issue(&hold).await;
        state(&world, "3", 30).await;
        world.clock.set("2026-12-01T00:10:00Z".parse().unwrap());
        assert_eq!(world.charge(ask("c", &token, &hold, 10_00)).await.state, ChargeState::Succeeded);
        assert_eq!(cap(&world).await, (11_22, 0, 100_00 - 11_22));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn only_an_owner_who_is_there_states_a_rate_that_makes_sense() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let good = rate(&world, "1.1", 30);
        let stranger = |caller: Caller| match caller {
            Caller::Person { person, role, present_at, .. } => {
                let organisation = purser_values::id::OrganisationId::mint(&world.env);
                Caller::Person { person, organisation, role, present_at }
            }
            other => other,
        };
        let absent = |caller: Caller| match caller {
            Caller::Person { person, organisation, role, .. } => Caller::Person { person, organisation, role, present_at: None },
            other => other,
        };
        for (who, caller) in [
            ("an admin", world.person(Role::Admin)),
            ("billing", world.person(Role::Billing)),
            ("the agent", world.agent()),
            ("an owner who is not there", absent(world.person(Role::Owner))),
            ("an owner of another organisation", stranger(world.person(Role::Owner))),
        ] {
            let refused = try_state(&world, caller, good.clone()).await;
            assert!(
                matches!(
                    refused,
                    Err(RateError::Denied(
                        Denied::NotFound | Denied::Role { .. } | Denied::AgentNever { .. } | Denied::StepUpRequired { .. }
                    ))
                ),
                "{who}: {refused:?}"
            );
        }
        let now = world.env.now();
        let far = now.plus_secs(401 * DAY_S);
        for (code, bad) in [
            ("rate_same_currency", Rate { to: Currency::EUR, ..good.clone() }),
            ("rate_deviation", Rate { deviation_bp: -1, ..good.clone() }),
            ("rate_deviation", Rate { deviation_bp: 5_001, ..good.clone() }),
            ("rate_source", Rate { source: "  ".to_owned(), ..good.clone() }),
            ("rate_source", Rate { source: "a\u{7}".to_owned(), ..good.clone() }),
            ("rate_time", Rate { valid_until: now, ..good.clone() }),
            ("rate_time", Rate { valid_from: Timestamp::EPOCH, valid_until: now, ..good.clone() }),
            ("rate_time", Rate { valid_until: far, ..good.clone() }),
        ] {
            assert_eq!(try_state(&world, world.person(Role::Owner), bad).await.unwrap_err().code(), code);
        }
        assert_eq!(world.place(&in_euros(&world, "a", &[1], Recurs::Once)).await.unwrap_err().code(), "cap_currency");
    })
    .await;
}
