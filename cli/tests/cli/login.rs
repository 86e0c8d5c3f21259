use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::{Ran, World};

#[test]
fn a_login_leaves_private_files_and_shows_no_token() {
    let world = World::new();
    world.orchestrator.decide("granted");
    let ran = world.run(&["login", "--name", "bot", "--cap", "25", "--export", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stderr, "open http://localhost/device?user_code=WDJB-MJHT  code WDJB-MJHT\n");
    let envelope = ran.envelope();
    assert_eq!(envelope["meta"], json!({"authenticated": true, "project_initialized": false, "profile": "sandbox"}));
    assert_eq!(envelope["data"]["person"]["email"], "ada@example.test");
    assert!(!ran.stdout.contains("access-1") && !ran.stdout.contains("refresh-1"));
    for name in ["agent.key", "session.json"] {
        assert_eq!(fs::metadata(world.home().join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(world.home()).unwrap().mode() & 0o777, 0o700);
    assert!(!world.home().join("login.json").exists());
    let asked = world.orchestrator.requests("POST /oauth/device_authorization")[0].form();
    assert_eq!((asked["client_name"].as_str(), asked["project"].as_str(), asked["cap_minor"].as_str()), ("bot", "site", "2500"));
    assert_eq!((asked["export"].as_str(), asked.get("irreversible")), ("1", None));
}

#[test]
fn a_driver_reads_the_url_while_the_command_waits() {
    let world = World::new();
    let mut child = world.command(&["login", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let file = world.home().join("login.json");
    let start = Instant::now();
    let waiting: Value = loop {
        if let Some(waiting) = fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok()) {
            break waiting;
        }
        assert!(start.elapsed() < Duration::from_secs(10) && child.try_wait().unwrap().is_none(), "no login.json");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(waiting["user_code"], "WDJB-MJHT");
    assert_eq!(waiting["verification_uri_complete"], "http://localhost/device?user_code=WDJB-MJHT");
    world.orchestrator.decide("granted");
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_login_that_gave_up_is_taken_up_again() {
    let world = World::new();
    let ran = world.run(&["login", "--timeout", "0", "--json"]);
    assert_eq!(ran.code, 8);
    assert_eq!(ran.envelope()["error"]["code"], "BROWSER_AUTH_TIMEOUT");
    assert_eq!(ran.envelope()["error"]["details"]["user_code"], "WDJB-MJHT");
    world.orchestrator.decide("granted");
    assert_eq!(world.run(&["login", "--json"]).code, 0);
    assert_eq!(world.orchestrator.requests("POST /oauth/device_authorization").len(), 1, "it asked the person twice");
}

#[test]
fn a_no_is_a_no() {
    let world = World::new();
    world.orchestrator.decide("denied");
    let ran = world.run(&["login", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (4, Some("access_denied")));
    assert!(!world.home().join("session.json").exists() && !world.home().join("login.json").exists());
}

#[test]
fn parallel_commands_refresh_once_and_burn_nothing() {
    let world = World::ready();
    world.orchestrator.forget_access_tokens();
    let children: Vec<_> =
        (0..8).map(|_| world.command(&["whoami", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    for child in children {
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
    assert!(!world.orchestrator.family_burnt(), "a refresh token was used twice");
    let refreshes = world.orchestrator.requests("POST /oauth/token").iter().filter(|r| r.form()["grant_type"] == "refresh_token").count();
    assert_eq!(refreshes, 1);
}

#[test]
fn an_ended_grant_says_how_to_get_another() {
    let world = World::ready();
    world.orchestrator.forget_access_tokens();
    world.orchestrator.answer("POST /oauth/token", 400, &json!({ "error": "invalid_grant" }));
    let ran = world.run(&["whoami", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (3, Some("NOT_AUTHENTICATED")));
    assert_eq!(ran.envelope()["next_steps"][0], "purser login");
}

#[test]
fn tokens_are_never_sent_to_another_orchestrator() {
    let (world, other) = (World::ready(), World::new());
    let ran = Ran::of(&world.command(&["whoami", "--json"]).env("PURSER_URL", &other.url).output().unwrap());
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (3, Some("NOT_AUTHENTICATED")));
    assert!(other.orchestrator.seen.lock().unwrap().is_empty(), "the other one was asked");
}

#[test]
fn an_exposed_key_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::ready();
    fs::set_permissions(world.home().join("agent.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = world.run(&["whoami", "--json"]);
    assert_eq!((ran.code, ran.envelope()["error"]["code"].as_str()), (4, Some("FILE_EXPOSED")));
}
