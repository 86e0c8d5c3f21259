use serde_json::json;

use super::support::{Ran, World};

#[test]
fn an_agent_changes_no_limit_card_or_terms_and_each_try_is_recorded() {
    let world = World::ready();
    let tries: [(&[&str], &str, &str, &str); 4] = [
        (
            &["billing", "update", "--limit", "1000", "--provider", "slipway", "--yes", "--json"],
            "POST /v1/caps",
            "BROWSER_AUTH_REQUIRED",
            "/limits",
        ),
        (&["billing", "add", "--json"], "POST /v1/payment_methods", "BROWSER_AUTH_REQUIRED", "/card"),
        (&["add", "slipway/workers", "--accept-tos", "--yes", "--json"], "POST /v1/terms_acceptances", "TOS_ACCEPTANCE_REQUIRED", "/"),
        (&["cap_set", "--limit", "1000", "--json"], "POST /v1/caps", "BROWSER_AUTH_REQUIRED", "/limits"),
    ];
    for (arguments, route, code, page) in tries {
        let before = world.orchestrator.requests(route).len();
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (8, Some(code)), "{arguments:?}");
        let envelope = ran.envelope();
        let url = envelope["error"]["details"]["url"].as_str().unwrap();
        assert_eq!(url.split('?').next().unwrap(), format!("{}{page}", world.url), "the page, perhaps filled in");
        assert_eq!(world.orchestrator.requests(route).len(), before + 1, "{arguments:?} was not recorded");
    }
    assert!(world.orchestrator.requests("POST /v1/resources").is_empty(), "something was added");
}

#[test]
fn the_agents_session_does_not_freeze_agents() {
    let world = World::ready();
    let ran = world.run(&["agent", "freeze", "agt_00000000000000000000000000", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (8, Some("BROWSER_AUTH_REQUIRED")));
}

#[test]
fn a_person_signs_in_for_one_shell_and_freezes() {
    let world = World::new();
    world.orchestrator.decide("granted");
    let ran = world.run(&["login", "--person"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("export PURSER_PERSON_TOKEN=access-1; export PURSER_PERSON_KEY="), "{}", ran.stdout);
    assert!(!world.home().exists(), "a person's token touched the disk");
    let read = |name: &str| ran.stdout.split_once(&format!("{name}=")).unwrap().1.split(';').next().unwrap().to_owned();
    let confirmed = json!({ "frozen_at": "2026-11-23T00:00:00Z", "confirmed": ["slipway"], "not_confirmed": ["other"] });
    world.orchestrator.answer("POST /v1/agents/agt_00000000000000000000000000/freeze", 200, &confirmed);
    let mut freeze = world.command(&["agent", "freeze", "agt_00000000000000000000000000", "--dark", "--json"]);
    freeze.env("PURSER_PERSON_TOKEN", read("PURSER_PERSON_TOKEN")).env("PURSER_PERSON_KEY", read("PURSER_PERSON_KEY"));
    let ran = Ran::of(&freeze.output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.envelope()["warnings"][0].as_str().unwrap().contains("other"));
    assert_eq!(world.orchestrator.seen.lock().unwrap().last().unwrap().json(), json!({"dark": true}));
}

#[test]
fn what_is_looked_at_in_a_persons_shell_is_the_persons_and_an_agent_is_named_by_its_name() {
    let world = World::ready();
    world.orchestrator.decide("granted");
    let signed_in = world.run(&["login", "--person"]);
    let read = |name: &str| signed_in.stdout.split_once(&format!("{name}=")).unwrap().1.split([';', '\n']).next().unwrap().to_owned();
    let shell = ["PURSER_PERSON_TOKEN", "PURSER_PERSON_KEY"].map(|name| (name, read(name)));
    let as_person = |arguments: &[&str]| Ran::of(&world.command(arguments).envs(shell.clone()).output().unwrap());
    world.orchestrator.answer("GET /v1/billing", 200, &json!({ "caps": [], "ceilings": [], "budgets": [] }));
    assert_eq!(as_person(&["billing", "show", "--json"]).code, 0);
    let asked = world.orchestrator.requests("GET /v1/billing");
    assert_eq!(asked[0].headers["authorization"], format!("DPoP {}", shell[0].1), "the agent of the same home asked");

    let id = "agt_00000000000000000000000000";
    world.orchestrator.answer("GET /v1/agents", 200, &json!({ "agents": [{ "id": id, "name": "bot" }] }));
    world.orchestrator.answer("PUT /v1/budgets", 200, &json!({ "budget": { "id": "bdg_1" } }));
    let ran = as_person(&["budget", "set", "5", "--agent", "bot", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(world.orchestrator.requests("PUT /v1/budgets")[0].json()["subject"], id);
}

#[test]
fn a_persons_token_goes_into_no_envelope() {
    let world = World::new();
    world.orchestrator.decide("granted");
    let ran = world.run(&["login", "--person", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (2, Some("PERSON_TOKEN_NEEDS_SHELL")));
}

#[test]
fn thawing_is_done_on_a_page() {
    let world = World::new();
    let ran = world.run(&["agent", "thaw", "agt_00000000000000000000000000", "--json"]);
    assert_eq!(ran.envelope()["data"]["url"], format!("{}/agents#agt_00000000000000000000000000", world.url));
    assert!(world.orchestrator.seen.lock().unwrap().is_empty());
}
