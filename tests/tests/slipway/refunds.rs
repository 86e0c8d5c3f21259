//! What was paid comes back: when the registry says no after the money moved, when an order is undone, and through crashes.

use std::time::Duration;

use purser_conformance::options::Payment as _;
use purser_db::{DbError, params};
use purser_values::name::DomainName;
use purser_wire::id::ResourceId;
use purser_wire::quote::Quote;
use purser_wire::resource::ResourceState;
use serde_json::json;

use crate::support::{Customer, World, order, paid};

/// What has come back, as soon as it is so much, in cents.
async fn came_back(world: &World, cents: &[i64]) {
    for _ in 0..200 {
        if world.stub.refunded().len() >= cents.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.stub.refunded().iter().map(|money| money.minor()).collect::<Vec<_>>(), cents);
}

async fn plan(world: &World, customer: &Customer, key: &str) -> ResourceId {
    let quote = world.quote(customer, "workers:paid", json!({})).await.unwrap();
    let request = paid(order("workers:paid", json!({}), "agt_1"), &quote, world.stub.good_token());
    world.create(customer, &request, key).await.unwrap().id.unwrap()
}

async fn cancel(world: &World, customer: &Customer, id: &ResourceId, key: &str) {
    let answer = world.client.resource_cancel(&customer.access, id, &key.parse().unwrap()).await.unwrap();
    assert!(matches!(answer.state, ResourceState::Removed), "{:?}", answer.state);
}

async fn domain_price(world: &World, customer: &Customer, name: &str) -> Quote {
    world.quote(customer, "registrar:domain", json!({ "domain": name })).await.unwrap()
}

/// Does to the database what a crash or the passing of time would have done.
async fn change(world: &World, sql: &'static str, id: &ResourceId) {
    let id = id.to_string();
    let changed = world.cloud.db.write::<_, DbError, _>(move |tx| tx.execute(sql, params![id])).await.unwrap();
    assert_eq!(changed, 1, "{sql}");
}

#[tokio::test]
async fn a_name_that_was_taken_after_it_was_paid_comes_back_once() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let quote = domain_price(&world, &customer, "sniped-shop.test").await;
    let token = world.stub.good_token();
    let request = paid(order("registrar:domain", json!({"domain": "sniped-shop.test"}), "agt_1"), &quote, token.clone());
    for _ in 0..2 {
        assert_eq!(world.create(&customer, &request, "k1").await.unwrap_err().code, "domain_taken");
    }
    assert_eq!(world.stub.captured(&token).len(), 1, "it was not paid, or twice");
    came_back(&world, &[915]).await;
    // Nothing else follows, also not after a start that looks for open refunds.
    let world = world.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    came_back(&world, &[915]).await;
}

#[tokio::test]
async fn an_undone_plan_comes_back_once_and_a_removed_one_does_not() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let undone = plan(&world, &customer, "k1").await;
    cancel(&world, &customer, &undone, "c1").await;
    cancel(&world, &customer, &undone, "c2").await;
    came_back(&world, &[500]).await;
    let refused = world.create(&customer, &order("workers", json!({}), "agt_1"), "k2").await.unwrap_err();
    assert_eq!(refused.code, "plan_required", "the plan goes on for nothing");

    let kept = plan(&world, &customer, "k3").await;
    world.client.resource_remove(&customer.access, &kept, &"r1".parse().unwrap()).await.unwrap();
    cancel(&world, &customer, &kept, "c3").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    came_back(&world, &[500]).await;
}

#[tokio::test]
async fn an_undone_domain_comes_back_and_costs_its_price_again() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let first = world.domain(&customer, "undone.test", "agt_1").await.id.unwrap();
    cancel(&world, &customer, &first, "c1").await;
    came_back(&world, &[915]).await;
    let name: DomainName = "undone.test".parse().unwrap();
    let registry = &world.cloud.registrar.as_ref().unwrap().registry;
    assert!(registry.info(&name).await.unwrap().is_none_or(|held| held.deleted), "it was refunded and the registry counts it as ours");
    cancel(&world, &customer, &first, "c1-again").await;
    assert_eq!(domain_price(&world, &customer, "undone.test").await.total_minor, 915, "it was given back and is free now");

    let request = paid(
        order("registrar:domain", json!({"domain": "undone.test"}), "agt_1"),
        &domain_price(&world, &customer, "undone.test").await,
        world.stub.good_token(),
    );
    let again = world.create(&customer, &request, "k2").await.unwrap().id.unwrap();
    world.client.resource_remove(&customer.access, &again, &"r1".parse().unwrap()).await.unwrap();
    assert_eq!(domain_price(&world, &customer, "undone.test").await.total_minor, 0, "what was paid and let go costs again");
    // Taken up for nothing and undone: this order paid nothing, so nothing comes back and the name stays paid.
    let mut free = order("registrar:domain", json!({"domain": "undone.test"}), "agt_1");
    free.quote_id = Some(domain_price(&world, &customer, "undone.test").await.id);
    let free = world.create(&customer, &free, "k3").await.unwrap().id.unwrap();
    cancel(&world, &customer, &free, "c2").await;
    assert_eq!(domain_price(&world, &customer, "undone.test").await.total_minor, 0);
    came_back(&world, &[915]).await;
    assert!(registry.info(&name).await.unwrap().is_some_and(|held| !held.deleted), "a name that stays paid was given back");
}

#[tokio::test]
async fn a_refund_that_nobody_hears_is_repeated_through_a_restart_until_it_is_heard_once() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let undone = plan(&world, &customer, "k1").await;
    world.stub.set_deaf(true);
    cancel(&world, &customer, &undone, "c1").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let world = world.restart().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(world.stub.refunded().is_empty());
    world.stub.set_deaf(false);
    came_back(&world, &[500]).await;
    let world = world.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    came_back(&world, &[500]).await;
    let left = world.cloud.db.read(|tx| tx.query("select id from cloud_charge where state <> 'refunded'", params![])).await.unwrap();
    assert!(left.is_empty(), "the books still say that it is owed");
}

#[tokio::test]
async fn an_order_that_a_crash_left_open_is_brought_to_its_end_and_undone() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let quote = world.quote(&customer, "workers:paid", json!({})).await.unwrap();
    let token = world.stub.good_token();
    let request = paid(order("workers:paid", json!({}), "agt_1"), &quote, token.clone());
    let open = world.create(&customer, &request, "k1").await.unwrap().id.unwrap();
    // The orchestrator was asked for the money, and its answer was never written.
    let sealed = world.cloud.keyring.seal(&world.cloud.env, &format!("payment_token/{open}"), token.expose().as_bytes()).unwrap();
    let id = open.to_string();
    let asked = world.cloud.db.write::<_, DbError, _>(move |tx| {
        let intended = "update cloud_charge set state = 'intended', orchestrator_charge = null, payment_token = $2 where resource = $1";
        tx.execute(intended, params![id, sealed])
    });
    assert_eq!(asked.await.unwrap(), 1);
    change(&world, "delete from cloud_subscription where resource = $1", &open).await;
    change(&world, "update cloud_resource set state = 'pending' where id = $1", &open).await;
    cancel(&world, &customer, &open, "c1").await;
    assert_eq!(world.stub.captured(&token).len(), 1, "it was paid twice");
    came_back(&world, &[500]).await;
}

#[tokio::test]
async fn what_was_delivered_a_day_ago_is_not_undone_by_saying_so() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("pw_a").await;
    let old = plan(&world, &customer, "k1").await;
    change(&world, "update cloud_resource set created_at = created_at - 90000000000 where id = $1", &old).await;
    cancel(&world, &customer, &old, "c1").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    came_back(&world, &[]).await;
}
