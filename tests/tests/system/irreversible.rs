//! What cannot be undone is called so wherever somebody meets it, before and after it is bought.

use std::time::Duration;

use purser_tests::{Agent, Ask, Choice, Person, World, processes};
use serde_json::Value;

const DOMAIN: &str = "slipway/registrar:domain";

/// What a person reads who is not a program.
async fn words(agent: &Agent, arguments: &[&str]) -> String {
    let ran = agent.command(arguments).output().await.unwrap();
    assert!(ran.status.success(), "`purser {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// The page on which a person would let the agent in; nobody decides.
async fn consent_page(agent: &Agent, ada: &mut Person) -> String {
    let _asking = agent.command(&["--json", "login", "--name", "second", "--project", "second", "--irreversible"]).spawn().unwrap();
    let invitation = agent.home.join("login.json");
    let url = processes::until("the URL for the person", Duration::from_secs(30), async || {
        let asked: Value = serde_json::from_str(&std::fs::read_to_string(&invitation).ok()?).ok()?;
        asked["verification_uri_complete"].as_str().map(str::to_owned)
    })
    .await;
    let path = &url[url.find("/device").unwrap_or_else(|| panic!("`{url}` is no page of ours"))..];
    ada.open(path).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_says_so_in_every_place() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("shop"));
    let mut places: Vec<(&str, String, &str)> = Vec::new();

    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    places.push((
        "consent page",
        consent_page(&world.agent("second"), &mut ada).await,
        "<strong>Cannot be undone once bought:</strong> registrar:domain",
    ));
    agent.must(&["init", "shop"]).await;
    agent.must(&["add", "slipway/workers:paid"]).await;

    let config = r#"{"domain":"last.test"}"#;
    let catalogue = agent.must(&["catalog", DOMAIN]).await;
    places.push(("catalogue", catalogue["services"][0]["price"].to_string(), "\"irreversible\":true"));
    places.push(("catalogue in words", words(&agent, &["catalog", DOMAIN]).await, "cannot be undone"));
    let preflight = agent.run(&["add", DOMAIN, "--config", config, "--preflight"]).await;
    places.push(("preflight's cost", preflight.data()["cost"].to_string(), "\"irreversible\":true"));
    places.push(("preflight's warnings", preflight.json["warnings"].to_string(), "cannot be undone"));
    let asked = agent.must(&["approval", "ask", DOMAIN, "--config", config, "--reason", "why not", "--timeout", "0"]).await;
    places.push(("approval", asked["request"]["price"].to_string(), "\"irreversible\":true"));
    let page = ada.open(&format!("/approvals/{}", asked["id"].as_str().unwrap())).await;
    places.push(("approval page", page.body, "No: it cannot be undone or refunded."));
    let bought = agent.must(&["add", DOMAIN, "--config", config]).await;
    places.push(("answer to the add", bought["resource"].to_string(), "\"irreversible\":true"));
    places.push((
        "answer to the add in words",
        words(&agent, &["add", DOMAIN, "--config", r#"{"domain":"very-last.test"}"#]).await,
        "this cannot be undone",
    ));

    let spend = agent.must(&["spend"]).await;
    let charges = spend["charges"].as_array().unwrap();
    let of = |what: &str| charges.iter().find(|c| c["description"].as_str().unwrap().contains(what)).unwrap()["irreversible"].clone();
    assert_eq!((of("last.test"), of("workers:paid")), (true.into(), false.into()));
    places.push(("statement in words", words(&agent, &["spend"]).await, "(cannot be undone)"));
    places.push(("statement page", ada.open("/spend").await.body, "cannot be undone"));
    let csv = ada.open("/spend.csv").await.body;
    let (head, rows) = csv.split_once("\r\n").unwrap();
    assert_eq!(head.split(',').next_back(), Some("irreversible"), "{head}");
    let row = rows.split("\r\n").find(|row| row.contains("last.test")).unwrap();
    places.push(("CSV", row.to_owned(), ",yes"));
    places.push(("audit log", agent.must(&["trace", "last.test"]).await.to_string(), "\"irreversible\":true"));

    for (place, text, mark) in &places {
        assert!(text.contains(mark), "the {place} does not say `{mark}`: {text}");
    }
}
