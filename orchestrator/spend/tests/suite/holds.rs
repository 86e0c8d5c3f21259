//! Caps and holds, on both engines.

use std::collections::BTreeMap;

use crate::world::{TABLES, World, usd};
use purser_authority::action::{CapSet as CapSetAction, GrantDecide};
use purser_authority::{Caller, Denied, Facts, Role, authorise};
use purser_db::DbError;
use purser_db::testing::each_engine;
use purser_spend::cap::{self, CapError, CapSet};
use purser_spend::charge::ChargeStep;
use purser_spend::hold::{self, HoldError, Purchase};
use purser_spend::quote::Recurs;
use purser_spend::rail::RailOutcome;
use purser_spend::rail::sandbox::SandboxCard;
use purser_spend::{Share, Spender, token};
use purser_values::Currency;
use purser_values::error::PublicError as _;
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId};

#[tokio::test]
async fn a_purchase_takes_room_and_a_release_gives_it_back() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let hold = world.place(&world.one("a", 30_00)).await.unwrap();
        assert_eq!(world.position("slipway").await, (100_00, 0, 30_00, 70_00));
        for _ in 0..2 {
            world.release(&hold).await;
            assert_eq!(world.position("slipway").await, (100_00, 0, 0, 100_00), "releasing twice gives back once");
        }
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_purchase_over_the_cap_is_refused_with_what_is_left_and_who_can_raise_it() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        world.place(&world.one("a", 7_00)).await.unwrap();
        let refusal = world.place(&world.one("b", 3_01)).await.unwrap_err();
        assert_eq!(refusal.code(), "cap_reached");
        let details = refusal.details().unwrap();
        assert_eq!((details["left"]["amount_minor"].as_i64(), details["asked"]["amount_minor"].as_i64()), (Some(3_00), Some(3_01)));
        assert_eq!((&details["raise_url"], &details["who_can_raise"][0]), (&"https://purser.test/limits".into(), &"owner".into()));
        world.place(&world.one("c", 3_00)).await.unwrap();
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn the_same_key_is_one_hold_and_another_purchase_under_it_is_refused() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let purchase = world.one("a", 5_00);
        let first = world.place(&purchase).await.unwrap();
        assert_eq!(world.place(&purchase).await.unwrap().id, first.id);
        let mut other = purchase.clone();
        other.quote.lines[0].amount = usd(5_01);
        assert!(matches!(world.place(&other).await, Err(HoldError::KeyReused)));
        assert_eq!(world.position("slipway").await.2, 5_00);
    })
    .await;
}

#[tokio::test]
async fn the_cap_is_per_agent_and_provider_and_month() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        world.place(&world.one("a", 10_00)).await.unwrap();
        let mut elsewhere = world.one("b", 10_00);
        elsewhere.provider = "other".parse().unwrap();
        world.place(&elsewhere).await.unwrap();
        let another_grant = World { grant: purser_values::id::GrantId::mint(&world.env), ..world.clone() };
        assert_eq!(another_grant.place(&another_grant.one("c", 1)).await.unwrap_err().code(), "cap_reached", "a second grant adds nothing");
        world.clock.set("2026-12-01T00:00:00Z".parse().unwrap());
        world.place(&world.one("d", 10_00)).await.unwrap();
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_cap_or_a_card_nothing_is_bought_and_all_blockers_are_named() {
    each_engine(TABLES, |db| async move {
        let world = World::bare(db, 3);
        let mut purchase = world.one("a", 5_00);
        purchase.quote.irreversible = true;
        let (env, asked) = (world.env.clone(), purchase.clone());
        let found = world.db.read(move |tx| hold::blockers(tx, &env, &asked)).await.unwrap();
        let codes: Vec<_> = found.iter().map(|blocker| blocker.code()).collect();
        assert_eq!(codes, ["irreversible_not_granted", "payment_method_missing", "cap_missing"]);
        purchase.irreversible_allowed = true;
        world.card(SandboxCard::Pays).await;
        assert_eq!(world.place(&purchase).await.unwrap_err().code(), "cap_missing");
        world.grant_cap(5_00).await;
        world.place(&purchase).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_quote_that_does_not_add_up_holds_nothing() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let line = |id: &str, minor| World::line(id, minor, Recurs::Once);
        let mut mixed = vec![line("a", 1), line("b", 1)];
        mixed[1].amount = purser_values::Money::from_minor(1, Currency::EUR);
        let bad = [
            Vec::new(),
            vec![line("a", 0)],
            vec![line("a", 5), line("b", -1)],
            vec![line("a", 1), line("a", 1)],
            mixed,
            vec![line("a", i64::MAX), line("b", 1)],
        ];
        for (i, lines) in bad.into_iter().enumerate() {
            let refusal = world.place(&world.purchase(&format!("k{i}"), lines)).await.unwrap_err();
            assert_eq!(refusal.code(), "quote_not_acceptable", "{i}");
        }
        let mut euros = world.one("e", 1);
        euros.quote.lines[0].amount = purser_values::Money::from_minor(1, Currency::EUR);
        assert_eq!(world.place(&euros).await.unwrap_err().code(), "cap_currency");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn lowering_a_cap_below_what_is_used_leaves_no_room_and_takes_nothing_back() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.place(&world.one("a", 60_00)).await.unwrap();
        world.set_cap(None, 50_00).await;
        assert_eq!(world.position("slipway").await, (50_00, 0, 60_00, 0));
        assert_eq!(world.place(&world.one("b", 1)).await.unwrap_err().code(), "cap_reached");
        world.set_cap(Some("slipway"), 61_00).await;
        world.set_cap(None, 1_00).await;
        assert_eq!(world.position("slipway").await.0, 61_00, "the provider's own cap is not the agent's");
        world.place(&world.one("c", 1_00)).await.unwrap();
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_cannot_get_a_permit_to_set_its_cap_and_a_stranger_sets_nobody_elses() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let denied = authorise::<CapSetAction>(&world.agent(), &Facts::new(world.env.now(), "x"));
        assert!(matches!(denied, Err(Denied::AgentNever { .. })));
        let stranger = World::bare(world.db.clone(), 99);
        let set = |spender: Spender| CapSet { spender, provider: None, amount: usd(1_000_00) };
        // With its own organisation's name on the other's agent, and with the other's organisation.
        let forged = Spender { organisation: stranger.spender.organisation.clone(), agent: world.spender.agent.clone() };
        for spender in [forged, world.spender.clone()] {
            let (who, set) = (stranger.clone(), set(spender));
            let outcome = world.db.write(move |tx| cap::set(tx, &who.env, &who.person_permit(Role::Owner), &set)).await;
            assert!(matches!(outcome, Err(CapError::Denied(Denied::NotFound))));
        }
        assert_eq!(world.position("slipway").await.0, 10_00);
    })
    .await;
}

#[tokio::test]
async fn a_later_grant_lowers_the_cap_for_all_and_raises_it_only_for_leaders() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let grant = |role: Role, minor: i64| {
            let world = world.clone();
            async move {
                let who = world.clone();
                let write = world.db.write(move |tx| {
                    cap::grant(tx, &who.env, &who.person_permit::<GrantDecide>(role), &who.spender, usd(minor), &BTreeMap::new())
                });
                write.await.unwrap().value.minor()
            }
        };
        assert_eq!(grant(Role::Member, 20_00).await, 10_00);
        assert_eq!(grant(Role::Member, 8_00).await, 8_00);
        assert_eq!(grant(Role::Admin, 20_00).await, 20_00);
    })
    .await;
}

#[tokio::test]
async fn a_cap_out_of_range_is_refused() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        for minor in [-1, i64::MAX] {
            let (who, set) = (world.clone(), CapSet { spender: world.spender.clone(), provider: None, amount: usd(minor) });
            let outcome = world.db.write(move |tx| cap::set(tx, &who.env, &who.person_permit(Role::Owner), &set)).await;
            assert!(matches!(outcome, Err(CapError::Amount(_))));
        }
    })
    .await;
}

#[tokio::test]
async fn a_frozen_agent_holds_nothing_and_gets_no_token_until_it_is_thawed() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let hold = world.place(&world.one("a", 1_00)).await.unwrap();
        world.freeze(true).await;
        assert_eq!(world.place(&world.one("b", 1_00)).await.unwrap_err().code(), "agent_frozen");
        let (who, id) = (world.clone(), hold.id.clone());
        let refused = world.db.write(move |tx| token::issue(tx, &who.env, &who.agent_permit(), &id)).await;
        assert_eq!(refused.unwrap_err().code(), "agent_frozen");
        world.freeze(false).await;
        world.place(&world.one("b", 1_00)).await.unwrap();
        world.issue(&hold).await;
    })
    .await;
}

#[tokio::test]
async fn a_hold_that_nobody_charges_expires_and_its_token_with_it() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let (hold, plain) = world.held("a", 4_00).await;
        assert_eq!(world.expire().await, 0);
        world.clock.advance_secs(3_600);
        assert_eq!(world.expire().await, 1);
        assert_eq!(world.expire().await, 0);
        assert_eq!(world.position("slipway").await, (10_00, 0, 0, 10_00));
        let receipt = world.charge(World::ask("k", &plain, &hold, "a", 4_00)).await;
        assert_eq!(receipt.code.as_deref(), Some("payment_token_revoked"));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn another_organisation_or_agent_cannot_touch_a_hold_or_token() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let (hold, _) = world.held("a", 4_00).await;
        let stranger = World::bare(world.db.clone(), 99);
        let colleague = Caller::Agent {
            agent: AgentId::mint(&stranger.env),
            grant: stranger.grant.clone(),
            on_behalf_of: PersonId::mint(&stranger.env),
            organisation: world.spender.organisation.clone(),
            chain: Vec::new(),
        };
        for caller in [stranger.person(Role::Owner), stranger.agent(), colleague] {
            let (env, id, who) = (world.env.clone(), hold.id.clone(), caller.clone());
            let released = world.db.write(move |tx| hold::release(tx, &env, &who, &id)).await;
            assert!(matches!(released, Err(HoldError::Denied(Denied::NotFound))));
            let (env, id) = (world.env.clone(), hold.id.clone());
            let revoked = world.db.write(move |tx| {
                let token = token::of_hold(tx, &id)?.unwrap();
                token::revoke(tx, &env, &caller, &token.id)
            });
            assert!(revoked.await.is_err());
        }
        assert_eq!(world.position("slipway").await.2, 4_00);
        let organisation = OrganisationId::mint(&stranger.env);
        let prefix = world
            .db
            .read({
                let id = hold.id.clone();
                move |tx| token::of_hold(tx, &id)
            })
            .await
            .unwrap()
            .unwrap()
            .prefix;
        let (shown, own) = (prefix.clone(), world.spender.organisation.clone());
        assert!(world.db.read(move |tx| token::by_prefix(tx, &organisation, &shown)).await.unwrap().is_empty());
        assert_eq!(world.db.read(move |tx| token::by_prefix(tx, &own, &prefix)).await.unwrap().len(), 1);
    })
    .await;
}

/// A second agent of the organisation, with a cap of its own, that acts within the world's agent's grant.
async fn helper(world: &World, cap_minor: i64) -> World {
    let mut helper = world.clone();
    helper.spender.agent = AgentId::mint(&world.env);
    helper.grant = GrantId::mint(&world.env);
    helper.grant_cap(cap_minor).await;
    helper
}

fn within(world: &World, helper: &World, key: &str, minor: i64, totals: [Option<i64>; 2]) -> Purchase {
    let mut purchase = helper.one(key, minor);
    purchase.total = totals[0].map(usd);
    purchase.above = vec![Share { agent: world.spender.agent.clone(), grant: world.grant.clone(), total: totals[1].map(usd) }];
    purchase
}

#[tokio::test]
async fn what_a_helper_buys_takes_room_at_its_own_cap_and_at_every_agent_above_or_nowhere() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let helper = helper(&world, 8_00).await;
        let hold = helper.place(&within(&world, &helper, "a", 6_00, [None, None])).await.unwrap();
        assert_eq!((world.position("slipway").await.3, helper.position("slipway").await.3), (4_00, 2_00));
        // Its own cap is the first to be full, then the one above; nothing stays taken in the other.
        let own = helper.place(&within(&world, &helper, "b", 3_00, [None, None])).await;
        assert!(matches!(own, Err(HoldError::CapReached { agent: None, .. })), "{own:?}");
        world.place(&world.one("c", 3_00)).await.unwrap();
        let refused = helper.place(&within(&world, &helper, "d", 2_00, [None, None])).await;
        assert!(matches!(&refused, Err(HoldError::CapReached { agent: Some(a), .. }) if *a == world.spender.agent), "{refused:?}");
        assert_eq!((world.position("slipway").await.3, helper.position("slipway").await.3), (1_00, 2_00));
        world.is_sound().await;
        // A charge captures in both, and what was not charged goes back in both.
        let plain = helper.issue(&hold).await;
        let receipt = helper.charge(World::ask("x", &plain, &hold, "a", 5_00)).await;
        assert_eq!(receipt.code, None);
        assert_eq!((world.position("slipway").await.1, helper.position("slipway").await.1), (5_00, 5_00));
        assert_eq!((world.position("slipway").await.3, helper.position("slipway").await.3), (2_00, 3_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_provider_takes_is_in_the_log_under_the_grants_that_bought() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 10_00).await;
        let helper = helper(&world, 8_00).await;
        let hold = helper.place(&within(&world, &helper, "a", 6_00, [None, None])).await.unwrap();
        let plain = helper.issue(&hold).await;
        let chain = serde_json::json!([
            { "agent": helper.spender.agent, "grant": helper.grant }, { "agent": world.spender.agent, "grant": world.grant },
        ]);
        let refused = helper.begun_as("slipway", World::ask("w", &plain, &hold, "a", 9_00)).await.unwrap();
        let begun = helper.begun_as("slipway", World::ask("x", &plain, &hold, "a", 6_00)).await.unwrap();
        let ChargeStep::Capture(order) = begun.value else { panic!("a fresh charge is captured") };
        let paid = RailOutcome::Captured { reference: "r".to_owned() };
        let ended = helper.finish(&order.charge, paid).await;
        for event in refused.events.iter().chain(&begun.events).chain(&ended.events).filter(|event| event.verb == "charge_create") {
            assert_eq!(event.data["under"], chain, "{event:?}");
            for id in [helper.grant.as_str(), world.grant.as_str(), world.spender.agent.as_str()] {
                assert!(event.related.iter().any(|related| related == id), "{event:?} is not found by {id}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_total_of_a_grant_holds_over_months_and_over_the_grants_derived_from_it() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let helper = helper(&world, 100_00).await;
        let mut first = world.one("a", 6_00);
        first.total = Some(usd(10_00));
        let first = world.place(&first).await.unwrap();
        let refused = helper.place(&within(&world, &helper, "b", 5_00, [None, Some(10_00)])).await;
        assert!(
            matches!(&refused, Err(HoldError::TotalReached { grant, left, .. }) if *grant == world.grant && left.minor() == 4_00),
            "{refused:?}"
        );
        assert_eq!(helper.position("slipway").await.3, 100_00);
        let second = helper.place(&within(&world, &helper, "c", 3_00, [Some(3_00), Some(10_00)])).await.unwrap();
        let own = helper.place(&within(&world, &helper, "d", 1_00, [Some(3_00), Some(10_00)])).await;
        assert!(matches!(&own, Err(HoldError::TotalReached { grant, .. }) if *grant == helper.grant), "{own:?}");
        world.is_sound().await;
        // Another month has room again, a total has not; what is given back counts again.
        helper.release(&second).await;
        world.release(&first).await;
        world.clock.advance_secs(40 * 86_400);
        let mut later = world.one("e", 10_01);
        later.total = Some(usd(10_00));
        assert!(matches!(world.place(&later).await, Err(HoldError::TotalReached { .. })));
        later.quote.lines = vec![World::line("a", 10_00, Recurs::Once)];
        world.place(&later).await.unwrap();
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_freeze_above_stops_the_helpers_purchases_and_the_charges_of_what_it_holds() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let helper = helper(&world, 100_00).await;
        let hold = helper.place(&within(&world, &helper, "a", 6_00, [None, None])).await.unwrap();
        let plain = helper.issue(&hold).await;
        world.freeze(true).await;
        let refused = helper.place(&within(&world, &helper, "b", 1_00, [None, None])).await;
        assert!(matches!(refused, Err(HoldError::Denied(Denied::Frozen))), "{refused:?}");
        assert_eq!(helper.charge(World::ask("x", &plain, &hold, "a", 6_00)).await.code.as_deref(), Some("agent_frozen"));
        world.freeze(false).await;
        assert_eq!(helper.charge(World::ask("y", &plain, &hold, "a", 6_00)).await.code, None);
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_transfer_is_never_changed_or_removed_even_by_hand() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        world.place(&world.one("a", 1_00)).await.unwrap();
        for sql in ["update ledger_transfer set amount = amount + 1", "delete from ledger_transfer"] {
            let by_hand: Result<u64, DbError> = world.db.write(move |tx| tx.execute(sql, &[])).await;
            let said = by_hand.unwrap_err().to_string();
            assert!(said.contains("a transfer is never"), "{sql}: {said}");
        }
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_month_that_begins_while_a_purchase_is_written_splits_nothing() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 1_000_00).await;
        for n in 0..40 {
            world.clock.run(0);
            world.clock.set("2026-12-01T00:00:00Z".parse().unwrap());
            world.clock.advance_micros(-n * 250);
            world.clock.run(1_000);
            let (hold, token) = world.held(&format!("k{n}"), 1_00).await;
            world.clock.run(0);
            world.clock.set("2027-01-01T00:00:00Z".parse().unwrap());
            world.clock.advance_micros(-n * 250);
            world.clock.run(1_000);
            if n % 2 == 0 {
                world.charge(World::ask(&format!("c{n}"), &token, &hold, "a", 1_00)).await;
            } else {
                world.release(&hold).await;
            }
            world.is_sound().await;
            world.clock.run(0);
            world.clock.set(purser_db::testing::START);
        }
    })
    .await;
}
