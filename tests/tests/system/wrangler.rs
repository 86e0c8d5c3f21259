//! The unmodified wranglers through the token that `purser add slipway/workers` delivered, run by `purser run`.

use std::path::Path;
use std::time::Duration;

use purser_tests::{Ask, Choice, World, binaries, processes, site};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn both_wranglers_deploy_and_redeploy_with_the_token_that_was_delivered_and_are_traced() {
    let Some(new) = binaries::named("PURSER_WRANGLER_NEW", || None) else { return };
    let Some(old) = binaries::named("PURSER_WRANGLER_OLD", || None) else { return };
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("wrangled"));
    agent.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["add", "slipway/registrar:domain", "--config", r#"{"domain":"wrangled.test"}"#]).await;
    let config = json!({"name": "wrangled", "main": "index.js", "compatibility_date": "2026-04-01", "routes": [{"pattern": "wrangled.test", "custom_domain": true}]});
    std::fs::write(agent.site.join("wrangler.json"), config.to_string()).unwrap();
    for (wrangler, text) in [(&new, "new one"), (&new, "new two"), (&old, "old one"), (&old, "old two")] {
        site::write_worker(&agent.site, text);
        deploy(&agent, wrangler).await;
        site::await_live(&world.system.run, "wrangled.test", "/", text).await;
    }
    // nobody told the orchestrator but the provider
    let told = processes::until("the provider's word on four deployments", Duration::from_secs(10), async || {
        let told = agent.must(&["trace", "https://wrangled.test"]).await;
        (told["deployments"].as_array().unwrap().len() == 4).then_some(told)
    })
    .await;
    assert_eq!((&told["person"]["email"], &told["agent"]["id"]), (&json!("ada@example.test"), &json!(agent.id())), "{told}");
    assert_eq!(told["code_digest"], told["deployments"][0]["code_digest"], "{told}");
}

async fn deploy(agent: &purser_tests::Agent, wrangler: &Path) {
    let mut command = agent.command(&["run", "--", wrangler.to_str().unwrap(), "deploy"]);
    command.env("CI", "true").env("WRANGLER_SEND_METRICS", "false").env("NO_COLOR", "1");
    let ended = tokio::time::timeout(Duration::from_secs(120), command.output()).await.expect("wrangler hangs").unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "`purser run -- {} deploy` failed:\n{said}", wrangler.display());
}
