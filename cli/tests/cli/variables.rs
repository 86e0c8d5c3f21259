use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use serde_json::json;

use super::support::{World, texts};

fn deliver(world: &World) {
    world.orchestrator.answer("POST /v1/variables/export", 200, &json!({ "variables": {"CLOUDFLARE_API_TOKEN": "slp_secret"} }));
}

#[test]
fn a_command_gets_the_variables_and_its_exit_code_comes_through() {
    let world = World::ready();
    deliver(&world);
    let ran = world.run(&["run", "--", "sh", "-c", "printf %s \"$CLOUDFLARE_API_TOKEN\"; exit 42"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (42, "slp_secret"));
}

#[test]
fn with_json_the_commands_own_words_go_beside_the_envelope() {
    let world = World::ready();
    deliver(&world);
    let ran = world.run(&["run", "--json", "--", "sh", "-c", "echo said; exit 3"]);
    assert_eq!(ran.code, 3);
    assert_eq!(ran.envelope()["data"], json!({"exit_code": 3, "variables": ["CLOUDFLARE_API_TOKEN"]}));
    assert_eq!(ran.stderr, "said\n");
}

#[test]
fn a_persons_token_is_not_passed_on() {
    let world = World::ready();
    deliver(&world);
    let output =
        world.command(&["run", "--", "env"]).env("PURSER_PERSON_TOKEN", "person-secret").env("PURSER_PERSON_KEY", "k").output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("PURSER_PERSON"));
}

#[test]
fn a_command_that_is_not_there_is_not_found() {
    let world = World::ready();
    deliver(&world);
    let ran = world.run(&["run", "--json", "--", "no-such-command-here"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (5, Some("COMMAND_NOT_STARTED")));
}

#[test]
fn a_provider_cannot_steer_the_programs_of_this_machine() {
    let world = World::ready();
    for arguments in [&["run", "--json", "--", "true"][..], &["env", "--pull", "--json"]] {
        world.orchestrator.answer("POST /v1/variables/export", 200, &json!({ "variables": {"LD_PRELOAD": "/tmp/evil.so"} }));
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (9, Some("VARIABLE_DANGEROUS")));
    }
    assert!(!world.site().join(".env").exists());
}

#[test]
fn pulled_values_are_in_one_private_file_and_nowhere_else() {
    let world = World::ready();
    fs::write(world.site().join(".env"), "MINE=1\n").unwrap();
    deliver(&world);
    let ran = world.run(&["env", "--pull", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(!ran.stdout.contains("slp_secret") && !ran.stderr.contains("slp_secret"));
    let file = world.site().join(".env");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("MINE=1\n") && text.contains("CLOUDFLARE_API_TOKEN=slp_secret\n"), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(!texts(&world.home()).contains("slp_secret"));
}

#[test]
fn nothing_is_fetched_for_a_file_that_git_would_commit() {
    let world = World::ready();
    assert!(Command::new("git").args(["init", "--quiet"]).arg(world.site()).status().unwrap().success());
    let ran = world.run(&["env", "--pull", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (6, Some("ENV_FILE_NOT_IGNORED")));
    assert!(world.orchestrator.requests("POST /v1/variables/export").is_empty());
    fs::write(world.site().join(".gitignore"), ".env\n").unwrap();
    deliver(&world);
    assert_eq!(world.run(&["env", "--pull", "--json"]).code, 0);
}

#[test]
fn names_are_listed_without_values() {
    let world = World::ready();
    let listed = json!({ "variables": [{"name": "CLOUDFLARE_API_TOKEN", "resource": "workers", "secret": true, "value": "***"}] });
    world.orchestrator.answer("GET /v1/variables", 200, &listed);
    let ran = world.run(&["env"]);
    assert_eq!(ran.stdout, "CLOUDFLARE_API_TOKEN  ***  workers\n");
}
