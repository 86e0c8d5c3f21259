//! A budget that is spent lets each purchase wait for a person, as the agent and the person meet it.

use std::time::Duration;

use purser_tests::{Ask, Choice, World, processes};
use serde_json::json;

const DOMAIN: &str = "slipway/registrar:domain";

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_lets_a_purchase_wait_for_a_yes_and_an_agent_cannot_change_it() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("thrift"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "thrift"]).await;
    let shell = agent.person_shell(&mut ada).await;
    let words = ["budget", "set", "5.00", "--project", "thrift", "--action", "require-approval", "--no-unusual"];
    assert_eq!(agent.refused(&words).await, "BROWSER_AUTH_REQUIRED");
    let refused = agent.run(&words).await;
    let page = refused.json["error"]["details"]["url"].as_str().unwrap().to_owned();
    let filled =
        "/limits?form=budget&amount=5.00&scope=project&subject=thrift&period=month&currency=USD&action=require_approval&act_at=100#budgets";
    assert!(page.ends_with(filled), "{page}");
    let hook = agent.run(&["webhook", "add", "https://example.com/x?y=1"]).await;
    let page = hook.json["error"]["details"]["url"].as_str().unwrap().to_owned();
    assert!(page.ends_with("/webhooks?url=https%3A%2F%2Fexample.com%2Fx%3Fy%3D1"), "{page}");
    let set = agent.run_with(&words, &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    agent.must(&["add", "slipway/workers:paid"]).await;

    let config = r#"{"domain":"thrift.test"}"#;
    let add = ["add", DOMAIN, "--config", config];
    assert_eq!(agent.refused(&add).await, "budget_approval_required");
    let looked = agent.run(&[&add[..], &["--preflight"]].concat()).await;
    assert_eq!((looked.exit, looked.code()), (8, "budget_approval_required"), "{}", looked.stdout);
    let (status, answer) =
        agent.call("PUT", "/v1/budgets", Some(&json!({"scope": "project", "subject": "thrift", "amount_minor": 99_999})), None).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("agent_not_allowed")), "{answer}");

    let ask = ["approval", "ask", DOMAIN, "--config", config, "--reason", "the shop needs an address", "--timeout", "60"];
    let asking = agent.run(&ask);
    let deciding = async {
        let id = processes::until("the request on the list", Duration::from_secs(20), async || {
            agent.run(&["approval", "list"]).await.data()["approvals"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let page = ada.open(&format!("/approvals/{id}")).await;
        let after = ada.browser.press(&page.form(&format!("/approvals/{id}")), "approve").await;
        assert!(after.body.contains("approved by ada@example.test"), "{}", after.body);
        id
    };
    let (asked, id) = tokio::join!(asking, deciding);
    assert!(asked.ok(), "{} {}", asked.stdout, asked.stderr);
    agent.must(&[&add[..], &["--approval", &id]].concat()).await;
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", r#"{"domain":"more.test"}"#]).await, "budget_approval_required");

    let spent = agent.must(&["budget", "list"]).await;
    assert_eq!((&spent["budgets"][0]["spent"]["amount_minor"], &spent["budgets"][0]["acts"]), (&json!(14_15), &json!(true)), "{spent}");
    let sums = agent.must(&["spend", "--by", "service"]).await;
    let keys: Vec<&str> = sums["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["slipway/registrar:domain", "slipway/workers:paid"]);
    let csv = agent.run_with(&["spend", "--csv"], &shell).await;
    assert!(csv.ok(), "{}", csv.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_at_the_same_time_do_not_pass_a_budget_that_asks() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("crowd"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "crowd"]).await;
    let shell = agent.person_shell(&mut ada).await;
    agent.must(&["add", "slipway/workers:free"]).await;
    let set = agent.run_with(&["budget", "set", "10.00", "--action", "require-approval", "--no-unusual"], &shell).await;
    assert!(set.ok(), "{} {}", set.stdout, set.stderr);
    let add = async |n: i32| {
        let (name, config) = (format!("domain{n}"), format!(r#"{{"domain":"crowd{n}.test"}}"#));
        agent.run(&["add", DOMAIN, "--name", &name, "--config", &config]).await
    };
    let answers: [_; 6] = tokio::join!(add(0), add(1), add(2), add(3), add(4), add(5)).into();
    let passed = answers.iter().filter(|answer| answer.ok()).count();
    assert_eq!(passed, 1, "{:?}", answers.iter().map(|answer| answer.stdout.clone()).collect::<Vec<_>>());
    assert!(answers.iter().filter(|answer| !answer.ok()).all(|answer| answer.code() == "budget_approval_required"));
}
