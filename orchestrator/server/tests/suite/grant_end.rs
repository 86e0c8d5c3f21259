//! What the end of a grant means to the providers: they are told to disable the agent's credentials, and only then.

use crate::world::{Agent, Browser, World};
use http::StatusCode;
use purser_authority::{Attempt, Caller};
use purser_db::DbError;
use purser_provisioning::{grant_end, perform};
use serde_json::Value;

/// What is wanted of the agent's credentials at its provider.
async fn wanted(world: &World, tokens: &Value) -> Option<String> {
    let agent = tokens["agent_id"].as_str().unwrap().parse().unwrap();
    let told =
        world.front.core.db.read::<_, DbError, _>(move |tx| purser_provisioning::store::control::of_agent(tx, &agent)).await.unwrap();
    told.into_iter().next().map(|control| control.wanted)
}

async fn revoke(person: &mut Browser, tokens: &Value) {
    let page = person.get("/agents").await;
    let (_, fields) = page.form(1);
    let done = person.post(&format!("/grants/{}/revoke", tokens["grant_id"].as_str().unwrap()), &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
}

async fn again(world: &World, person: &mut Browser, agent: &Agent) -> Value {
    world.grant(person, agent, "shop").await
}

#[tokio::test]
async fn revoking_the_last_grant_disables_the_agents_credentials_and_a_new_one_enables_them() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, first) = world.granted(&mut ada).await;
    world.resource(&agent, &first, "slipway").await;
    let second = again(&world, &mut ada, &agent).await;
    revoke(&mut ada, &first).await;
    assert_eq!(wanted(&world, &first).await, None, "another grant is in force");
    revoke(&mut ada, &second).await;
    assert_eq!(wanted(&world, &first).await.as_deref(), Some("disabled"));
    again(&world, &mut ada, &agent).await;
    assert_eq!(wanted(&world, &first).await.as_deref(), Some("enabled"));
}

#[tokio::test]
async fn the_mailed_link_disables_them_too() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    world.resource(&agent, &tokens, "slipway").await;
    let mail = world.mail_to("ada@example.test").await.pop().unwrap();
    let path = mail
        .split_whitespace()
        .find_map(|w| w.strip_prefix("http://localhost:4000").filter(|p| p.starts_with("/revoke")))
        .unwrap()
        .to_owned();
    let mut anybody = world.browser();
    let page = anybody.get(&path).await;
    assert_eq!(anybody.submit(&page, 0, &[], None).await.status, StatusCode::OK);
    assert_eq!(wanted(&world, &tokens).await.as_deref(), Some("disabled"));
}

#[tokio::test]
async fn a_grant_that_runs_out_disables_them_once() {
    let world = World::new().await;
    let mut ada = world.person("ada@example.test").await;
    let (agent, tokens) = world.granted(&mut ada).await;
    world.resource(&agent, &tokens, "slipway").await;
    let end = async || {
        let env = world.env.clone();
        perform::<_, DbError, _>(&world.front.core, Attempt::new("grant_end", &Caller::System, "grant_end"), move |tx| grant_end(tx, &env))
            .await
            .unwrap()
    };
    assert_eq!(end().await, 0);
    world.clock.advance_secs(31 * 86_400);
    assert_eq!(end().await, 1);
    assert_eq!(wanted(&world, &tokens).await.as_deref(), Some("disabled"));
    assert_eq!(end().await, 0, "a grant ends once");
}
