//! Leases: whoever asks at once gets them one after the other, and the dead hold nothing for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use purser_db::testing::{START, each_place};
use purser_db::{Db, Lease};
use purser_values::Env;

#[tokio::test]
async fn nodes_take_turns_and_a_lease_outlives_its_dead_holder_by_its_length_only() {
    each_place(|config| async move {
        if !matches!(config, purser_db::DbConfig::Postgres { .. }) {
            return;
        }
        let (env, clock) = Env::test(START, 1);
        let nodes = [Db::open(&config).await.unwrap(), Db::open(&config).await.unwrap()];
        nodes[0].migrate(&env, &[purser_db::MIGRATIONS]).await.unwrap();

        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let turns = (0..8).map(|n| {
            let (db, env, inside, most) = (nodes[n % 2].clone(), env.clone(), inside.clone(), most.clone());
            tokio::spawn(async move {
                let _lease = Lease::take(&db, &env, "account/one", 60).await.unwrap();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        });
        for turn in turns.collect::<Vec<_>>() {
            turn.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 1, "two held one lease at once");

        // a node that dies does not give back
        std::mem::forget(Lease::take(&nodes[0], &env, "account/one", 60).await.unwrap());
        let waits = tokio::time::timeout(Duration::from_millis(300), Lease::take(&nodes[1], &env, "account/one", 60)).await;
        assert!(waits.is_err(), "a lease that is held was taken");
        clock.advance_secs(60);
        let after = tokio::time::timeout(Duration::from_secs(10), Lease::take(&nodes[1], &env, "account/one", 60)).await;
        after.expect("a dead node holds the lease for ever").unwrap();
    })
    .await;
}
