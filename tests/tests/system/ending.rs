//! A plan that ends with its period instead of at once, and money that is asked back: by the agent and by its person.

use purser_tests::{Ask, Choice, World, store};
use serde_json::json;

const PLAN: &str = "slipway/workers:paid";

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_ends_with_its_period_or_goes_on_after_all_as_its_agent_or_its_person_says() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("frugal"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "frugal"]).await;
    let added = agent.must(&["add", PLAN]).await;
    let id = added["resource"]["id"].as_str().unwrap().to_owned();
    let dir = world.system.dir.clone();
    let renews = async || store::number(&dir, "slipway.db", "select renews as n from bill_subscription").await;
    let stopped = async || store::number(&dir, "purser.db", "select count(*) as n from spend_renewal where state = 'stopped'").await;

    let ended = agent.must(&["remove", "workers-paid", "--at-period-end"]).await;
    assert!(ended["resource"]["ends_at"].is_string(), "{ended}");
    assert_eq!((renews().await, stopped().await), (0, 1));
    let status = agent.must(&["status"]).await;
    let row = &status["resources"][0];
    assert_eq!((&row["state"], &row["ends_at"]), (&json!("live"), &ended["resource"]["ends_at"]), "it works until then");

    // the person, elsewhere, by its id
    let shell = agent.person_shell(&mut ada).await;
    let kept = agent.run_with(&["remove", &id, "--keep"], &shell).await;
    assert!(kept.ok(), "{} {}", kept.stdout, kept.stderr);
    assert_eq!((renews().await, stopped().await), (1, 0));
    assert!(agent.must(&["status"]).await["resources"][0]["ends_at"].is_null());

    // what is paid once has no period
    agent.must(&["add", "slipway/registrar:domain", "--config", r#"{"domain":"frugal.test"}"#, "--name", "name"]).await;
    assert_eq!(agent.refused(&["remove", "name", "--at-period-end"]).await, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_asked_back_and_every_request_is_kept_with_its_answer() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("sorry"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "sorry"]).await;
    agent.must(&["add", "slipway/registrar:domain", "--config", r#"{"domain":"sorry.test"}"#, "--name", "name"]).await;
    agent.must(&["add", PLAN]).await;

    let refused = agent.must(&["refund", "request", "name", "--reason", "a typing error", "--yes"]).await;
    assert_eq!(refused["refund_request"]["refunded"], json!(false), "{refused}");
    assert!(refused["refund_request"]["deadline"].is_string(), "{refused}");
    let given = agent.must(&["refund", "request", "workers-paid", "--reason", "the wrong plan", "--yes"]).await;
    assert_eq!(given["refund_request"]["amount"]["amount_minor"], json!(5_00), "{given}");
    assert_eq!(given["resource"]["status"], "removed");

    let shell = agent.person_shell(&mut ada).await;
    let listed = agent.run_with(&["refund", "list"], &shell).await;
    let rows = listed.data()["refund_requests"].as_array().unwrap().clone();
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (row["state"].as_str().unwrap(), row["reason"].as_str().unwrap())).collect();
    assert_eq!(told, [("refunded", "the wrong plan"), ("not_refundable", "a typing error")]);
    assert_eq!(agent.must(&["refund", "list"]).await["refund_requests"], json!(rows));
    let page = ada.open("/spend").await.body;
    for shown in ["Asked back", "the wrong plan", "USD 5.00 comes back", "not refundable"] {
        assert!(page.contains(shown), "`{shown}` is missing in {page}");
    }
    // another organisation sees none of it
    let (mut eve, other) = (world.person("eve"), world.agent("other"));
    other.login(&mut eve, Ask::ALL, &Choice::USUAL).await;
    other.must(&["init", "other"]).await;
    assert_eq!(other.must(&["refund", "list"]).await["refund_requests"], json!([]));
    let theirs = rows[1]["resource"].as_str().unwrap();
    assert_eq!(other.refused(&["refund", "request", theirs, "--reason", "x", "--yes"]).await, "resource_not_found");
    assert_eq!(other.refused(&["remove", theirs, "--at-period-end"]).await, "resource_not_found");
    // the money is back, once
    purser_tests::processes::until("the money", std::time::Duration::from_secs(20), async || {
        let spend = agent.must(&["spend"]).await;
        let position = |what: &str| spend["providers"][0][what]["amount_minor"].as_i64();
        ((position("captured"), position("held")) == (Some(9_15), Some(0))).then_some(())
    })
    .await;
    assert_eq!(store::ledger_faults(&world.system.dir).await, Vec::<String>::new());
}
