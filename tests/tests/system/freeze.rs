//! Freezing an agent: what stops, how fast, what goes on, and what comes back.

use std::time::{Duration, Instant};

use purser_tests::system::Half;
use purser_tests::{Agent, Ask, Choice, Person, World, processes, site};
use serde_json::json;

use crate::story::{is_taken, token_of};

/// The promise: a second from the command to the last refusal.
pub const PROMISE: Duration = Duration::from_secs(1);

async fn refuses(agent: &Agent) -> bool {
    let body = json!({"project": agent.project, "environment": "development", "service": "slipway/workers", "configuration": {}});
    let (status, answer) = agent.call("POST", "/v1/resources", Some(&body), None).await;
    status == 403 && answer["code"] == "agent_frozen"
}

async fn freeze(agent: &Agent, ada: &mut Person) -> serde_json::Value {
    let shell = agent.person_shell(ada).await;
    freeze_in(agent, &shell).await
}

/// Freezes the agent from a shell of its person's; what the command said.
pub async fn freeze_in(agent: &Agent, shell: &[(String, String)]) -> serde_json::Value {
    let begun = Instant::now();
    let envelope = agent.run_with(&["agent", "freeze", &agent.id()], shell).await;
    assert!(envelope.ok(), "{} {}", envelope.stdout, envelope.stderr);
    assert!(begun.elapsed() < PROMISE, "the command took {:?}", begun.elapsed());
    envelope.data().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_agent_is_stopped_within_a_second_others_go_on_and_a_thaw_restores_the_same_values() {
    let Some(world) = World::start().await else { return };
    let mut ada = world.person("ada");
    let (cold, warm) = (world.agent("cold"), world.agent("warm"));
    cold.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    warm.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    warm.must(&["init", "warm"]).await;
    warm.must(&["add", "slipway/workers"]).await;
    site::write_worker(&cold.site, "still here");
    let live = cold.must(&["deploy", "."]).await["live_url"].as_str().unwrap().to_owned();
    let host = live.trim_start_matches("https://").to_owned();
    let (cold_token, warm_token) = (token_of(&cold).await, token_of(&warm).await);
    assert_ne!(cold_token, warm_token);

    let told = freeze(&cold, &mut ada).await;
    assert_eq!((&told["confirmed"], &told["not_confirmed"]), (&json!(["slipway"]), &json!([])), "{told}");
    assert!(refuses(&cold).await, "its access token still works");
    assert!(!is_taken(&world, &cold_token).await, "its API token still works");
    for arguments in [
        vec!["add", "slipway/registrar:domain", "--config", r#"{"domain":"cold.test"}"#],
        vec!["deploy", "."],
        vec!["env", "--pull"],
        vec!["rotate", "workers"],
        vec!["remove", "workers", "--yes"],
    ] {
        assert_eq!(cold.refused(&arguments).await, "agent_frozen", "{arguments:?}");
    }
    assert_eq!(cold.refused(&["status"]).await, "agent_frozen");

    assert!(is_taken(&world, &warm_token).await, "another agent's token was stopped too");
    site::write_worker(&warm.site, "warm");
    warm.must(&["deploy", "."]).await;
    site::await_live(&world.system.run, &host, "/", "still here").await;

    assert_eq!(ada.thaw(&cold.id()).await.status, 200);
    processes::until("the thaw at slipway", Duration::from_secs(5), async || is_taken(&world, &cold_token).await.then_some(())).await;
    assert_eq!(token_of(&cold).await, cold_token, "a thaw changed the token");
    site::write_worker(&cold.site, "again");
    cold.must(&["deploy", "."]).await;
    site::await_live(&world.system.run, &host, "/", "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_confirm_is_named_and_asked_until_it_does_and_a_restart_forgets_nothing() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("silent"));
    agent.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    let token = token_of(&agent).await;

    world.system.signal(Half::Cloud, "STOP");
    let told = freeze(&agent, &mut ada).await;
    assert_eq!((&told["confirmed"], &told["not_confirmed"]), (&json!([]), &json!(["slipway"])), "{told}");
    assert!(refuses(&agent).await);
    assert!(ada.open("/agents").await.text().contains("not confirmed"));
    world.system.signal(Half::Cloud, "CONT");
    processes::until("slipway's confirmation", Duration::from_secs(20), async || (!is_taken(&world, &token).await).then_some(())).await;
    processes::until("the page to say so", Duration::from_secs(10), async || {
        (!ada.open("/agents").await.text().contains("not confirmed")).then_some(())
    })
    .await;

    for half in [Half::Orchestrator, Half::Cloud] {
        assert!(world.system.kill(half));
        tokio::time::sleep(Duration::from_millis(150)).await;
        world.system.await_healthy().await;
        assert!(refuses(&agent).await && !is_taken(&world, &token).await, "a restart of {half:?} thawed the agent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn going_dark_takes_an_agents_own_sites_off_the_net_and_a_thaw_brings_them_back() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("lone"));
    agent.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    site::write_worker(&agent.site, "on the net");
    let live = agent.must(&["deploy", "."]).await["live_url"].as_str().unwrap().to_owned();
    let host = live.trim_start_matches("https://").to_owned();
    site::await_live(&world.system.run, &host, "/", "on the net").await;

    let shell = agent.person_shell(&mut ada).await;
    let told = agent.run_with(&["agent", "freeze", &agent.id(), "--dark"], &shell).await;
    let told = told.data();
    assert_eq!((&told["confirmed"], &told["not_dark"]), (&json!(["slipway"]), &json!([])), "{told}");
    let answer = site::visit(&world.system.run, &host, "/").await;
    assert!(answer.as_ref().is_none_or(|(status, _)| *status != 200), "{answer:?}");

    assert_eq!(ada.thaw(&agent.id()).await.status, 200);
    site::await_live(&world.system.run, &host, "/", "on the net").await;
}
