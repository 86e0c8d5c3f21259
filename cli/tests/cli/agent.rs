use std::fs;

use serde_json::json;

use super::support::{Ran, World, bare};

#[test]
fn a_project_file_holds_no_secret_and_no_address() {
    let world = World::ready();
    let text = fs::read_to_string(world.site().join(".purser/state.json")).unwrap();
    assert!(text.contains("\"prj_1\"") && !text.contains("localhost") && !text.contains("access"), "{text}");
    let ran = world.run(&["init", "other", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (6, Some("PROJECT_MISMATCH")));
}

#[test]
fn a_resource_is_added_and_its_saga_followed() {
    let world = World::ready();
    world.orchestrator.answer("POST /v1/resources", 202, &json!({ "saga": "sag_1", "state": "running" }));
    world.orchestrator.answer("GET /v1/sagas/sag_1", 200, &json!({ "saga": "sag_1", "state": "running" }));
    let resource =
        json!({ "id": "res_1", "name": "workers", "service": "slipway/workers", "endpoints": [], "variables": ["CLOUDFLARE_API_TOKEN"] });
    world.orchestrator.answer(
        "GET /v1/sagas/sag_1",
        200,
        &json!({ "saga": "sag_1", "state": "done", "resource": resource, "charged": null }),
    );
    let ran = world.run(&["add", "slipway/workers", "--config", r#"{"a":1}"#, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(ran.envelope()["data"]["resource"]["id"], "res_1");
    let sent = &world.orchestrator.requests("POST /v1/resources")[0];
    assert_eq!(sent.json()["configuration"], json!({"a": 1}));
    assert_eq!((&sent.json()["project"], &sent.json()["environment"]), (&json!("site"), &json!("development")));
    assert!(sent.headers["idempotency-key"].len() >= 32);
    assert!(world.orchestrator.requests("GET /v1/sagas/sag_1")[0].target.contains("wait="));
}

#[test]
fn a_change_is_sent_again_with_the_same_key() {
    let world = World::ready();
    world.orchestrator.answer_raw("POST /v1/resources", 503, "");
    world.orchestrator.answer("POST /v1/resources", 200, &json!({ "state": "done", "resource": {"name": "w", "service": "s/w"} }));
    assert_eq!(world.run(&["add", "slipway/workers", "--json"]).code, 0);
    let sent = world.orchestrator.requests("POST /v1/resources");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].headers["idempotency-key"], sent[1].headers["idempotency-key"]);
    assert_ne!(sent[0].headers["dpop"], sent[1].headers["dpop"], "a proof was used twice");
}

#[test]
fn a_refusal_keeps_its_code_hint_and_facts() {
    let world = World::ready();
    let problem = json!({
        "type": "x", "title": "x", "status": 402, "code": "cap_reached", "kind": "payment", "detail": "USD 5.00 would pass the cap",
        "hint": "a person can raise it", "details": {"left_minor": 100},
    });
    world.orchestrator.answer("POST /v1/resources", 402, &problem);
    let ran = world.run(&["add", "slipway/workers:paid", "--json"]);
    let error = &ran.envelope()["error"];
    assert_eq!(ran.code, 7);
    assert_eq!(
        (&error["code"], &error["hint"], &error["details"]),
        (&json!("cap_reached"), &json!("a person can raise it"), &json!({"left_minor": 100}))
    );
    assert_eq!(world.orchestrator.requests("POST /v1/resources").len(), 1, "a decision was argued with");
}

#[test]
fn a_saga_that_was_undone_fails_with_its_cause() {
    let world = World::ready();
    let error = json!({ "code": "card_declined", "kind": "payment", "message": "the card was declined" });
    world.orchestrator.answer("POST /v1/resources", 200, &json!({ "saga": "sag_1", "state": "undone", "error": error }));
    let ran = world.run(&["add", "slipway/workers:paid", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (7, Some("card_declined")));
    assert_eq!(ran.envelope()["error"]["details"]["saga"], json!({"id": "sag_1", "state": "undone"}));
}

#[test]
fn garbage_and_silence_are_told_apart() {
    let world = World::ready();
    world.orchestrator.answer_raw("GET /v1/whoami", 200, "<html>");
    let ran = world.run(&["whoami", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (10, Some("UNEXPECTED_ANSWER")));
    let ran = Ran::of(
        &bare(&["catalog", "--json", "--url", "http://127.0.0.1:9"]).env("PURSER_HOME", world.dir.path().join("new")).output().unwrap(),
    );
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (10, Some("ORCHESTRATOR_UNREACHABLE")));
}

#[test]
fn removing_needs_a_yes() {
    let world = World::ready();
    let ran = world.run(&["remove", "res_1", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (2, Some("JSON_REQUIRES_CONFIRMATION")));
    assert!(world.orchestrator.requests("POST /v1/resources/res_1/remove").is_empty());
    world.orchestrator.answer("POST /v1/resources/res_1/remove", 200, &json!({ "state": "done" }));
    assert_eq!(world.run(&["remove", "res_1", "--yes", "--json"]).code, 0);
}

#[test]
fn a_resource_is_found_by_its_name() {
    let world = World::ready();
    world.orchestrator.answer("GET /v1/projects/site", 200, &json!({ "resources": [{"id": "res_7", "name": "workers"}] }));
    world.orchestrator.answer("POST /v1/resources/res_7/rotate", 200, &json!({ "state": "done" }));
    assert_eq!(world.run(&["rotate", "workers", "--json"]).code, 0);
    world.orchestrator.answer("GET /v1/projects/site", 200, &json!({ "resources": [] }));
    let ran = world.run(&["rotate", "workers", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (5, Some("RESOURCE_NOT_FOUND")));
}

#[test]
fn a_name_cannot_leave_its_place_in_a_path() {
    let world = World::ready();
    let ran = world.run(&["rotate", "res_1/../../agents/x", "--json"]);
    assert_ne!(ran.code, 0);
    let seen = world.orchestrator.seen.lock().unwrap();
    assert!(seen.iter().all(|r| !r.path().contains("/agents/")), "{:?}", seen.last());
}

#[test]
fn an_answer_cannot_drive_the_terminal() {
    let world = World::ready();
    world.orchestrator.answer(
        "GET /v1/catalog",
        200,
        &json!({ "services": [{"ref": "evil/x", "description": "\u{1b}[2J\u{1b}]0;owned\u{7}", "price": null}] }),
    );
    let ran = world.run(&["catalog"]);
    assert!(ran.stdout.contains("evil/x") && !ran.stdout.contains('\u{1b}') && !ran.stdout.contains('\u{7}'), "{:?}", ran.stdout);
}
