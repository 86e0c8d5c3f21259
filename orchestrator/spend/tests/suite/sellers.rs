//! Tokens that a seller redeems at the rail itself: what it may take is held until nothing more can be taken, on both engines.

use crate::world::{TABLES, World, usd};
use purser_authority::action::ResourceAdd;
use purser_db::DbError;
use purser_db::testing::each_engine;
use purser_spend::charge::{ChargeError, ChargeState};
use purser_spend::hold::Hold;
use purser_spend::limits::{HOLD_LIFE_S, SELLER_AUTHORISATION_S};
use purser_spend::quote::Recurs;
use purser_spend::rail::{SellerTokenOrder, SellerTokenUse};
use purser_spend::seller::{self, Out, SellerError};
use purser_spend::token::TokenError;
use purser_values::id::ChargeId;
use purser_values::{Currency, Money, Timestamp};

const SELLER: &str = "profile_1";

async fn offer(world: &World, hold: &Hold) -> Result<Option<SellerTokenOrder>, TokenError> {
    let (of, id) = (world.clone(), hold.id.clone());
    let offered = world.db.write(move |tx| seller::offer(tx, &of.env, &of.agent_permit::<ResourceAdd>(), &id, SELLER));
    offered.await.map(|done| done.value)
}

async fn issued(world: &World, charge: &ChargeId) -> Out {
    let (env, id) = (world.env.clone(), charge.clone());
    world.db.write::<_, DbError, _>(move |tx| Ok(seller::issued(tx, &env, &id, "spt_1")?.value)).await.unwrap()
}

async fn out(world: &World, charge: &ChargeId) -> Option<Out> {
    let (env, id) = (world.env.clone(), charge.clone());
    world.db.read::<_, DbError, _>(move |tx| seller::of_charge(tx, &env, &id)).await.unwrap()
}

async fn told(world: &World, charge: &ChargeId, captured: Money, ended_at: Option<Timestamp>) -> Result<ChargeState, SellerError> {
    let (env, id, used) = (world.env.clone(), charge.clone(), SellerTokenUse { captured, ended_at });
    world.db.write(move |tx| Ok(seller::settle(tx, &env, &id, &used)?.value)).await
}

/// A hold whose token is out.
async fn with_seller(world: &World, key: &str, minor: i64) -> (Hold, ChargeId) {
    let (hold, _) = world.held(key, minor).await;
    let order = offer(world, &hold).await.unwrap().unwrap();
    issued(world, &order.charge).await;
    (hold, order.charge)
}

#[tokio::test]
async fn a_sellers_token_is_as_large_and_as_long_as_its_hold_and_nothing_else_takes_that_money() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 9_15).await;
        let order = offer(&world, &hold).await.unwrap().unwrap();
        assert_eq!((order.most, order.expires_at, order.seller.as_str()), (usd(9_15), hold.expires_at, SELLER));
        assert_eq!(offer(&world, &hold).await.unwrap(), Some(order.clone()), "a crash between the writes asks for the same token");
        assert!(issued(&world, &order.charge).await.is_wanted);
        // whoever finds our own token's text gets nothing beside it
        let second = world.charge(World::ask("k", &plain, &hold, "a", 9_15)).await;
        assert_eq!((second.state, second.code.as_deref()), (ChargeState::Refused, Some("line_busy")));
        assert_eq!(told(&world, &order.charge, usd(0), None).await.unwrap(), ChargeState::Begun);
        assert_eq!(world.position("slipway").await, (100_00, 0, 9_15, 90_85));
        assert_eq!(told(&world, &order.charge, usd(9_15), Some(world.env.now())).await.unwrap(), ChargeState::Succeeded);
        assert_eq!(told(&world, &order.charge, usd(9_15), None).await.unwrap(), ChargeState::Succeeded, "news come twice");
        assert_eq!(world.position("slipway").await, (100_00, 9_15, 0, 90_85));
        assert_eq!(world.statement().await.charges.iter().filter(|charge| charge.amount == usd(9_15)).count(), 2, "the refused one too");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_given_back_stays_held_while_an_authorisation_can_be_alive() {
    for (taken, end) in [(0, ChargeState::Declined), (3_00, ChargeState::Succeeded)] {
        each_engine(TABLES, |db| async move {
            let world = World::new(db, 100_00).await;
            let (hold, charge) = with_seller(&world, "a", 5_00).await;
            world.release(&hold).await;
            assert!(!out(&world, &charge).await.unwrap().is_wanted, "it is to be revoked");
            let at = world.env.now();
            for wait in [SELLER_AUTHORISATION_S - 1, 1] {
                assert_eq!(told(&world, &charge, usd(taken), Some(at)).await.unwrap(), ChargeState::Begun);
                assert_eq!(world.position("slipway").await.2, 5_00, "nothing goes back yet");
                world.clock.advance_secs(wait);
            }
            assert_eq!(told(&world, &charge, usd(taken), Some(at)).await.unwrap(), end);
            assert!(out(&world, &charge).await.is_none());
            assert_eq!(world.position("slipway").await, (100_00, taken, 0, 100_00 - taken));
            world.is_sound().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_rail_that_says_too_much_changes_nothing() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = with_seller(&world, "a", 5_00).await;
        for lie in [usd(5_01), usd(-1), Money::from_minor(5_00, Currency::EUR)] {
            assert!(matches!(told(&world, &charge, lie, None).await, Err(SellerError::BeyondLimit(_))), "{lie}");
        }
        assert_eq!(world.position("slipway").await, (100_00, 0, 5_00, 95_00));
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn freezing_and_running_out_end_a_sellers_token_and_thawing_brings_nothing_back_by_itself() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (_, charge) = with_seller(&world, "a", 5_00).await;
        world.freeze(true).await;
        assert!(!out(&world, &charge).await.unwrap().is_wanted);
        let (env, agent) = (world.env.clone(), world.spender.agent.clone());
        let jobs = world.db.read::<_, DbError, _>(move |tx| seller::look_again(tx, &env, &agent)).await.unwrap();
        assert_eq!(jobs.len(), 1, "the rail is told at once");
        world.freeze(false).await;
        let (later, _) = world.held("b", 1_00).await;
        world.freeze(true).await;
        assert!(matches!(offer(&world, &later).await, Err(TokenError::Denied(_))), "a frozen agent gets none");
        world.freeze(false).await;
        world.clock.advance_secs(HOLD_LIFE_S + 1);
        assert!(!out(&world, &charge).await.unwrap().is_wanted, "its time is over");
        world.expire().await;
        assert_eq!(world.position("slipway").await.2, 5_00, "and what it may have taken stays held");
        world.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn where_the_rail_makes_none_or_one_token_cannot_pay_it_all_ours_is_charged() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("a", 5_00).await;
        let order = offer(&world, &hold).await.unwrap().unwrap();
        let drop_it = async |charge: ChargeId| {
            let env = world.env.clone();
            world.db.write::<_, ChargeError, _>(move |tx| seller::not_offered(tx, &env, &charge).map(|done| done.value)).await.unwrap();
        };
        drop_it(order.charge.clone()).await;
        drop_it(order.charge).await;
        assert_eq!(world.charge(World::ask("k", &plain, &hold, "a", 5_00)).await.state, ChargeState::Succeeded);
        // one that was given up before the rail answered goes back whole
        let (hold, _) = world.held("b", 2_00).await;
        let order = offer(&world, &hold).await.unwrap().unwrap();
        world.release(&hold).await;
        assert_eq!(world.position("slipway").await.2, 2_00);
        drop_it(order.charge).await;
        assert_eq!(world.position("slipway").await, (100_00, 5_00, 0, 95_00));
        for (key, lines) in [
            ("monthly", vec![World::line("a", 1_00, Recurs::Month)]),
            ("two", vec![World::line("a", 1_00, Recurs::Once), World::line("b", 1_00, Recurs::Once)]),
        ] {
            let hold = world.place(&world.purchase(key, lines)).await.unwrap();
            world.issue(&hold).await;
            assert_eq!(offer(&world, &hold).await.unwrap(), None, "{key}");
        }
        world.is_sound().await;
    })
    .await;
}
