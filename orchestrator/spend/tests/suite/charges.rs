//! Payment tokens and charges, on both engines.

use crate::world::{TABLES, World, usd};
use purser_authority::Role;
use purser_db::testing::each_engine;
use purser_db::{DbError, params};
use purser_spend::charge::{self, ChargeError, ChargeState, ChargeStep};
use purser_spend::quote::Recurs;
use purser_spend::rail::sandbox::{SandboxCard, SandboxRail};
use purser_spend::rail::{Rail as _, RailOutcome};
use purser_spend::{limits, method, renewal, token};
use purser_values::{Secret, Timestamp};

#[tokio::test]
async fn a_charge_turns_the_hold_into_captured_money_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let first = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!(first.state, ChargeState::Succeeded);
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 0, 95_00));
        let again = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!(again, first, "the same key gets the first answer");
        let other = world.begin(World::ask("k", &plain, &hold, "a", 4_00)).await;
        assert!(matches!(other, Err(ChargeError::KeyReused)));
        let second = world.charge(World::ask("k2", &plain, &hold, "a", 5_00)).await;
        assert_eq!((second.state, second.code.as_deref()), (ChargeState::Refused, Some("payment_token_spent")));
        assert_eq!(world.statement().await.charges.len(), 2);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_smaller_charge_frees_the_rest_of_its_line() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        world.charge(World::ask("k", &plain, &hold, "a", 3_00)).await;
        assert_eq!(world.position("slipway").await, (100_00, 3_00, 0, 97_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn whatever_is_not_the_accepted_line_is_refused_and_recorded_as_a_dispute() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let (elsewhere, other_plain) = world.held("b", 1_00).await;
        let ask = |key: &str| World::ask(key, &plain, &hold, "a", 5_00);
        let mut euros = ask("k6");
        euros.amount = purser_values::Money::from_minor(1, purser_values::Currency::EUR);
        let cases = [
            (World::ask("k1", &plain, &hold, "a", 5_01), "amount_over_line"),
            (World::ask("k2", &plain, &hold, "b", 5_00), "line_unknown"),
            (World::ask("k3", &plain, &elsewhere, "a", 1_00), "quote_mismatch"),
            (World::ask("k4", &plain, &hold, "a", 0), "amount_invalid"),
            (World::ask("k5", &plain, &hold, "a", -5_00), "amount_invalid"),
            (euros, "currency_mismatch"),
            (World::ask("k7", &Secret::new("spt_nonsense".to_owned()), &hold, "a", 5_00), "payment_token_unknown"),
            (World::ask("k8", &other_plain, &hold, "a", 1_00), "quote_mismatch"),
        ];
        let count = cases.len();
        for (ask, code) in cases {
            let receipt = world.charge(ask).await;
            assert_eq!((receipt.state, receipt.code.as_deref()), (ChargeState::Refused, Some(code)));
        }
        let stolen = world.begin_as("other", ask("k9")).await.unwrap();
        assert!(
            matches!(stolen, ChargeStep::Ended(r) if r.code.as_deref() == Some("payment_token_unknown")),
            "a token is its provider's alone"
        );
        let disputes = world.db.read::<_, DbError, _>(|tx| tx.query("select code from spend_dispute", params![])).await.unwrap();
        assert_eq!(disputes.len(), count + 1);
        assert_eq!(world.charge(ask("k10")).await.state, ChargeState::Succeeded, "refusals took nothing");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn cards_that_decline_leave_the_hold_as_it_was() {
    for (card, code) in
        [(SandboxCard::Declines, "card_declined"), (SandboxCard::LacksFunds, "insufficient_funds"), (SandboxCard::Expired, "expired_card")]
    {
        each_engine(TABLES, |db| async move {
            let world = World::new(db, 100_00).await;
            world.clock.advance_secs(1);
            world.card(card).await;
            let (hold, plain) = world.held("a", 5_00).await;
            let receipt = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
            assert_eq!((receipt.state, receipt.code.as_deref()), (ChargeState::Declined, Some(code)));
            assert_eq!(world.position("slipway").await, (100_00, 0, 5_00, 95_00));
            world.release(&hold).await;
            assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00));
            world.is_sound().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_crash_between_the_intent_and_the_outcome_pays_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let ask = || World::ask("k", &plain, &hold, "a", 5_00);
        let ChargeStep::Capture(order) = world.begin(ask()).await.unwrap() else { panic!("a fresh charge is captured") };
        // The process dies here, before or after the rail was asked. Another charge of the line cannot slip in.
        let rival = world.charge(World::ask("k2", &plain, &hold, "a", 5_00)).await;
        assert_eq!(rival.code.as_deref(), Some("line_busy"));
        let rail = SandboxRail::new(world.db.clone(), world.env.clone(), "https://purser.test");
        let paid = rail.capture(&order).await.unwrap();
        assert!(matches!(paid, RailOutcome::Captured { .. }));
        // The provider comes back with its key, and so does the resuming job; both get the same order.
        let ChargeStep::Capture(again) = world.begin(ask()).await.unwrap() else { panic!("it has no outcome yet") };
        assert_eq!(again, order);
        let found = world
            .db
            .read({
                let id = order.charge.clone();
                move |tx| charge::order(tx, &id)
            })
            .await
            .unwrap();
        assert_eq!(found, Some(order.clone()));
        let waiting = world.db.read(move |tx| charge::unfinished(tx, Timestamp::from_micros(i64::MAX))).await.unwrap();
        assert_eq!(waiting, std::slice::from_ref(&order.charge));
        assert_eq!(rail.capture(&again).await.unwrap(), paid, "the rail answers a known order with its first answer");
        let first = world.finish(&order.charge, paid.clone()).await;
        let second = world.finish(&order.charge, paid).await;
        assert_eq!(first.value, second.value);
        assert!(second.events.is_empty() && second.jobs.is_empty(), "the second finish does nothing");
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 0, 95_00));
        let at_rail =
            world.db.read::<_, DbError, _>(|tx| tx.query("select request_key from rail_sandbox_charge", params![])).await.unwrap();
        assert_eq!(at_rail.len(), 1);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_release_while_the_rail_is_asked_takes_nothing_from_the_charge() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        for (key, outcome, captured) in [
            ("a", RailOutcome::Captured { reference: "r".to_owned() }, 5_00),
            ("b", RailOutcome::Declined { code: "card_declined".to_owned(), message: "no".to_owned() }, 5_00),
        ] {
            let (hold, plain) = world.held(key, 5_00).await;
            let ChargeStep::Capture(order) = world.begin(World::ask(key, &plain, &hold, "a", 5_00)).await.unwrap() else { panic!() };
            world.release(&hold).await;
            assert_eq!(world.position("slipway").await.2, 5_00, "what is being charged stays held");
            world.is_sound().await;
            drop(world.finish(&order.charge, outcome).await);
            assert_eq!(world.position("slipway").await, (100_00, captured, 0, 100_00 - captured));
            world.is_sound().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_its_hold_goes_back() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let (env, id, caller) = (world.env.clone(), hold.id.clone(), world.person(Role::Member));
        let revoke = world.db.write(move |tx| {
            let token = token::of_hold(tx, &id)?.unwrap();
            token::revoke(tx, &env, &caller, &token.id)
        });
        drop(revoke.await.unwrap());
        assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00));
        let receipt = world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await;
        assert_eq!(receipt.code.as_deref(), Some("payment_token_revoked"));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_freeze_refuses_charges_and_a_thaw_restores_the_same_token() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        world.freeze(true).await;
        assert_eq!(world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await.code.as_deref(), Some("agent_frozen"));
        world.freeze(false).await;
        assert_eq!(world.charge(World::ask("k2", &plain, &hold, "a", 5_00)).await.state, ChargeState::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_freeze_after_the_rail_has_paid_does_not_hide_the_payment() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let ChargeStep::Capture(order) = world.begin(World::ask("k", &plain, &hold, "a", 5_00)).await.unwrap() else { panic!() };
        world.freeze(true).await;
        let done = world.finish(&order.charge, RailOutcome::Captured { reference: "r".to_owned() }).await;
        assert_eq!(done.value.state, ChargeState::Succeeded);
        assert_eq!(world.position("slipway").await.1, 5_00);
    })
    .await;
}

#[tokio::test]
async fn a_removed_card_is_not_charged() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let (who, method) = (world.clone(), hold.payment_method.clone());
        drop(world.db.write(move |tx| method::remove(tx, &who.env, &who.person_permit(Role::Billing), &method)).await.unwrap());
        assert_eq!(world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await.code.as_deref(), Some("payment_method_removed"));
        assert_eq!(world.place(&world.one("b", 1)).await.unwrap_err().to_string(), "there is no payment method");
    })
    .await;
}

#[tokio::test]
async fn what_is_charged_in_the_next_month_counts_in_the_next_month() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        world.clock.set("2026-11-30T23:59:00Z".parse().unwrap());
        let (hold, plain) = world.held("a", 8_00).await;
        world.clock.set("2026-12-01T00:01:00Z".parse().unwrap());
        let (rival, rival_plain) = world.held("b", 5_00).await;
        let receipt = world.charge(World::ask("k", &plain, &hold, "a", 8_00)).await;
        assert_eq!(receipt.code.as_deref(), Some("cap_reached"), "December has room for 5.00 more, not for 8.00");
        world.is_sound().await;
        world.release(&rival).await;
        drop(rival_plain);
        assert_eq!(world.charge(World::ask("k2", &plain, &hold, "a", 8_00)).await.state, ChargeState::Succeeded);
        assert_eq!(world.position("slipway").await, (10_00, 8_00, 0, 2_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_hold_ends_at_its_time_even_before_the_sweep_comes_by() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        // The token of what comes again outlives the hold by far.
        let hold = world.place(&world.purchase("a", vec![World::line("plan", 5_00, Recurs::Month)])).await.unwrap();
        let plain = world.issue(&hold).await;
        world.clock.advance_secs(limits::HOLD_LIFE_S);
        let late = world.charge(World::ask("k1", &plain, &hold, "plan", 5_00)).await;
        assert_eq!((late.state, late.code.as_deref()), (ChargeState::Refused, Some("hold_expired")));
        assert_eq!(world.position("slipway").await, (10_00, 0, 5_00, 5_00), "the sweep gives it back, not the refusal");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_subscription_is_charged_again_only_for_a_period_that_is_set_aside() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let hold = world.place(&world.purchase("a", vec![World::line("plan", 5_00, Recurs::Month)])).await.unwrap();
        let plain = world.issue(&hold).await;
        let ask = |key: &str, period: Option<&str>| {
            let mut ask = World::ask(key, &plain, &hold, "plan", 5_00);
            ask.period = period.map(str::to_owned);
            ask
        };
        let reserve = || {
            let env = world.env.clone();
            world.db.write(move |tx| renewal::reserve(tx, &env))
        };
        assert_eq!(world.charge(ask("k1", Some("2026-11"))).await.state, ChargeState::Succeeded);
        assert_eq!(world.charge(ask("k2", Some("2026-12"))).await.code.as_deref(), Some("period_not_reserved"));
        assert_eq!(reserve().await.unwrap().value, 0, "it is not due yet");
        world.clock.set("2026-12-21T00:00:00Z".parse().unwrap());
        assert_eq!(reserve().await.unwrap().value, 1);
        assert_eq!(reserve().await.unwrap().value, 0);
        assert_eq!(world.position("slipway").await, (10_00, 0, 5_00, 5_00));
        assert_eq!(world.charge(ask("k3", Some("2026-12"))).await.state, ChargeState::Succeeded);
        assert_eq!(world.charge(ask("k4", Some("2026-12"))).await.code.as_deref(), Some("line_charged"));
        // January's renewal finds no room: it is refused before the provider asks.
        world.clock.set("2027-01-21T00:00:00Z".parse().unwrap());
        world.place(&world.one("b", 6_00)).await.unwrap();
        let done = reserve().await.unwrap();
        assert_eq!(format!("{:?}", done.events[0].outcome), "Refused(\"cap_reached\")");
        assert_eq!(world.charge(ask("k5", Some("2027-01"))).await.code.as_deref(), Some("period_not_reserved"));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn alerts_come_at_50_80_and_100_percent_of_a_cap_once_each() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let mut raised = Vec::new();
        for (key, minor) in [("z", 4_99), ("a", 3_00), ("b", 1), ("c", 1_00), ("d", 1_00)] {
            let (hold, plain) = world.held(key, minor).await;
            let ChargeStep::Capture(order) = world.begin(World::ask(key, &plain, &hold, "a", minor)).await.unwrap() else { panic!() };
            let done = world.finish(&order.charge, RailOutcome::Captured { reference: "r".to_owned() }).await;
            let told = done.events.iter().filter(|event| event.verb == purser_spend::alert::VERB);
            assert_eq!(done.jobs.len(), told.clone().count(), "each is sent by one job");
            raised.push(told.filter_map(|event| event.data["threshold_percent"].as_i64()).collect::<Vec<_>>());
        }
        assert_eq!(raised, [vec![], vec![50], vec![80], vec![], vec![100]]);
        assert!(world.set_cap(None, 30_00).await.is_empty(), "a third of a raised cap is no alert");
        assert_eq!(world.set_cap(None, 12_00).await.len(), 2, "a changed cap can be reached anew");
        assert!(world.set_cap(None, 12_00).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_token_is_stored_as_its_digest_and_shown_once() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let (hold, plain) = world.held("a", 1_00).await;
        let who = world.clone();
        let again = world
            .db
            .write({
                let id = hold.id.clone();
                move |tx| token::issue(tx, &who.env, &who.agent_permit(), &id)
            })
            .await;
        assert!(matches!(again, Err(token::TokenError::Exists(_))));
        let rows = world.db.read::<_, DbError, _>(|tx| tx.query("select * from payment_token", params![])).await.unwrap();
        assert!(!format!("{rows:?}").contains(plain.expose().as_str()));
        assert_eq!(usd(1_00), hold.amount);
    })
    .await;
}
