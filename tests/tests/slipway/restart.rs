//! What was live before a restart is live after it, and the orchestrator hears of every deployment.

use std::time::Duration;

use crate::support::World;
use http::Method;
use purser_wire::event::EventKind;
use serde_json::json;

#[tokio::test]
async fn a_site_is_live_again_after_a_restart_and_its_deployment_was_reported_once() {
    let Some(world) = World::start().await else { return };
    let customer = world.customer("ada").await;
    let workers = world.workers(&customer, "agt_ada").await;
    world.domain(&customer, "stays.test", "agt_ada").await;
    world.upload(&workers, "site", "export default { fetch() { return new Response('still here') } }").await;
    let path = format!("/accounts/{}/workers/scripts/site/domains/records", workers.account);
    world.api(&workers.token, Method::PUT, &path, Some(json!({"origins": [{"hostname": "stays.test"}]}))).await;
    assert_eq!(world.visit("stays.test").await.1, "still here");

    let world = world.restart().await;
    assert_eq!(world.visit("stays.test").await, (200, "still here".to_owned()));
    let (_, body) = world.api(&workers.token, Method::GET, "/accounts", None).await;
    assert_eq!(body["success"], true);

    let mut reported = Vec::new();
    for _ in 0..100 {
        reported = world.stub.events();
        if reported.iter().any(|e| e.deployment.as_ref().is_some_and(|d| d.endpoints.iter().any(|p| p.value == "https://stays.test"))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let event = reported.last().unwrap();
    assert_eq!((&event.kind, event.agent_id.as_ref().map(|a| a.as_str())), (&EventKind::DeploymentCreated, Some("agt_ada")));
    assert_eq!(event.resource_id.as_ref().map(|r| r.as_str()), Some(workers.resource.as_str()));
    let mut ids: Vec<_> = reported.iter().map(|e| e.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), reported.len(), "an event was sent twice");
}
