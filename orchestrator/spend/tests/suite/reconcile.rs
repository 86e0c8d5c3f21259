//! Books that do not add up stop new holds in their currency, until the operator has looked.

use crate::world::{TABLES, World};
use purser_authority::action::LedgerAcknowledge;
use purser_authority::{Caller, Facts, authorise};
use purser_db::testing::each_engine;
use purser_db::{DbError, params};
use purser_spend::hold::{self, HoldError};
use purser_spend::{reconcile, verify};
use purser_values::error::PublicError as _;

/// One round, as housekeeping does it. Answers how much is new.
async fn round(world: &World) -> usize {
    let found = world.db.read::<_, DbError, _>(verify::check).await.unwrap();
    let env = world.env.clone();
    let done = world.db.write(move |tx| reconcile::stop(tx, &env, &found)).await.unwrap();
    assert_eq!(done.events.len(), done.value, "each difference is recorded once");
    done.value
}

async fn plant(world: &World, minor: i64) {
    let plant = "update ledger_account set balance = balance + $1 where id like 'cap/%/room'";
    assert_eq!(world.db.write(move |tx| tx.execute(plant, params![minor])).await.unwrap(), 1);
}

#[tokio::test]
async fn a_balance_that_somebody_changed_stops_new_holds_until_the_operator_has_looked_and_stops_them_again_when_it_grows() {
    each_engine(TABLES, |db| async move {
        let world = World::new(db, 100_00).await;
        let (hold, plain) = world.held("first", 10_00).await;
        assert_eq!(round(&world).await, 0);
        plant(&world, 5_00).await;
        // The sum of all balances, what the movements say, and the cap itself.
        assert_eq!(round(&world).await, 3);
        assert_eq!(round(&world).await, 0, "what is known is not told again");
        let purchase = world.one("second", 1_00);
        let refused = world.place(&purchase).await.unwrap_err();
        assert!(matches!(refused, HoldError::Stopped { .. }), "{refused}");
        assert_eq!(refused.code(), "ledger_stopped");
        let (env, asked) = (world.env.clone(), purchase.clone());
        let all = world.db.read::<_, DbError, _>(move |tx| hold::blockers(tx, &env, &asked)).await.unwrap();
        assert!(all.iter().any(|blocker| blocker.code() == "ledger_stopped"), "the preflight says it too");
        // What was agreed before goes on.
        let receipt = world.charge(World::ask("charge", &plain, &hold, "a", 10_00)).await;
        assert_eq!(receipt.code, None);

        let env = world.env.clone();
        let seen = world.db.write(move |tx| {
            let permit = authorise::<LedgerAcknowledge>(&Caller::Operator, &Facts::new(env.now(), "ledger")).unwrap();
            reconcile::acknowledge(tx, &env, &permit)
        });
        assert_eq!(seen.await.unwrap().value.len(), 3);
        assert_eq!(round(&world).await, 0, "what was acknowledged and did not grow stops nothing");
        world.place(&purchase).await.unwrap();

        plant(&world, 1).await;
        assert_eq!(round(&world).await, 3);
        assert!(matches!(world.place(&world.one("third", 1_00)).await, Err(HoldError::Stopped { .. })));
        plant(&world, -5_01).await;
        assert_eq!(round(&world).await, 0);
        world.place(&world.one("third", 1_00)).await.unwrap();
        world.is_sound().await;
    })
    .await;
}

#[test]
fn nobody_but_the_operator_acknowledges() {
    let world = futures_free_world();
    for caller in [world.person(purser_authority::Role::Owner), world.agent(), Caller::Anonymous] {
        assert!(authorise::<LedgerAcknowledge>(&caller, &Facts::new(world.env.now(), "ledger")).is_err(), "{caller:?}");
    }
}

/// People and an agent; no store is needed to ask who may.
fn futures_free_world() -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    World::bare(runtime.block_on(purser_db::testing::sqlite(TABLES)), 7)
}
