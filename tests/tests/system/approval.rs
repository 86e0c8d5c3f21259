//! One purchase beyond the grant, approved by a person by itself; and the terms of the whole story as a file.

use std::time::Duration;

use purser_tests::{Ask, Choice, World, processes};
use serde_json::Value;

const DOMAIN: &str = "slipway/registrar:domain";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves_one_domain_and_that_one_is_bought_once() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    agent.login(&mut ada, Ask { irreversible: false, export: false }, &Choice::USUAL).await;
    agent.must(&["init", "shop"]).await;
    agent.must(&["add", "slipway/workers:paid"]).await;
    let yes = r#"{"domain":"yes.test"}"#;
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", yes]).await, "irreversible_not_granted");

    let arguments = ["approval", "ask", DOMAIN, "--config", yes, "--reason", "the shop needs an address", "--timeout", "60"];
    let asking = agent.run(&arguments);
    let deciding = async {
        let id = processes::until("the request on the list", Duration::from_secs(20), async || {
            let all = agent.run(&["approval", "list"]).await;
            all.data()["approvals"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let page = ada.open("/approvals").await;
        assert!(page.text().contains("add slipway/registrar:domain"), "{}", page.text());
        let page = ada.open(&format!("/approvals/{id}")).await;
        for shown in
            ["yes.test", "the shop needs an address", "project shop, environment development", "cannot be undone", "ada@example.test"]
        {
            assert!(page.body.contains(shown), "`{shown}` is not on the page: {}", page.body);
        }
        let after = ada.browser.press(&page.form(&format!("/approvals/{id}")), "approve").await;
        assert!(after.body.contains("approved by ada@example.test"), "{}", after.body);
        id
    };
    let (asked, id) = tokio::join!(asking, deciding);
    assert!(asked.ok(), "{} {}", asked.stdout, asked.stderr);
    assert_eq!(asked.data()["state"], "approved");
    let told = |mail: &String| mail.contains("An approval is asked of you") && mail.contains(&id);
    processes::until("the mail to the person", Duration::from_secs(20), async || ada.mails().iter().any(told).then_some(())).await;

    let no = r#"{"domain":"no.test"}"#;
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", no, "--approval", &id]).await, "approval_mismatch");
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", yes, "--name", "other", "--approval", &id]).await, "approval_mismatch");
    let bought = agent.must(&["add", DOMAIN, "--config", yes, "--approval", &id]).await;
    assert_eq!(bought["charged"]["amount_minor"], 915, "{bought}");
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", yes, "--approval", &id]).await, "approval_used");
    assert_eq!(agent.refused(&["add", DOMAIN, "--config", no]).await, "irreversible_not_granted");
    let trace = agent.must(&["trace", "yes.test"]).await;
    assert!(trace["events"].to_string().contains(&id), "the trace does not lead to the approval: {trace}");

    // A person at their own shell sees the same, and agents cannot decide.
    let shell = agent.person_shell(&mut ada).await;
    let list = agent.run_with(&["approval", "list"], &shell).await;
    assert_eq!(list.data()["approvals"][0]["state"], "used", "{}", list.stdout);

    let file = agent.home.join("terms.json");
    let export = agent.run_with(&["terms", "export", "--output", file.to_str().unwrap()], &shell).await;
    assert!(export.ok(), "{} {}", export.stdout, export.stderr);
    let checked = agent.must(&["terms", "verify", file.to_str().unwrap()]).await;
    assert_eq!((&checked["acceptances"], &checked["confirmed_by_grants"]), (&Value::from(1), &Value::from(1)));
    let text = std::fs::read_to_string(&file).unwrap().replace("ada@example.test", "eve@example.test");
    std::fs::write(&file, text).unwrap();
    assert_eq!(agent.refused(&["terms", "verify", file.to_str().unwrap()]).await, "terms_bundle_signature");
}
