//! No secret in a log, an envelope, or the arguments of a process.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use purser_tests::processes::{descendants, files_below};
use purser_tests::{Ask, Choice, World, site};

use crate::story::token_of;

/// Shortest random part of a token of ours; ids are shorter.
const TOKEN_RANDOM: usize = 36;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_a_log_an_envelope_or_the_arguments_of_a_process() {
    let Some(world) = World::start().await else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                seen.extend(descendants(std::process::id()).into_iter().map(|process| process.command));
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        }
    });
    let (mut ada, agent) = (world.person("ada"), world.agent("quiet"));
    agent.ready(&mut ada, Ask::ALL, &Choice::USUAL).await;
    site::write_worker(&agent.site, "quiet");
    let (mut secrets, mut said) = (Vec::new(), String::new());
    secrets.push(("an API token".to_owned(), token_of(&agent).await));
    let shell = agent.person_shell(&mut ada).await;
    for arguments in [
        vec!["deploy", "."],
        vec!["whoami"],
        vec!["env"],
        vec!["status"],
        vec!["spend"],
        vec!["trace", "workers"],
        vec!["rotate", "workers"],
        vec!["env", "--pull"],
        vec!["run", "--", "true"],
        vec!["add", "slipway/nonsense"],
        vec!["add", "slipway/registrar:domain", "--config", r#"{"domain":"taken.test"}"#],
        vec!["login", "--person"],
        vec!["remove", "workers", "--yes"],
    ] {
        let envelope = agent.run(&arguments).await;
        // the thumbprint of the agent's key is public, and one in twenty has the form of a token
        let key = envelope.data()["agent"]["key"].as_str().unwrap_or("no thumbprint");
        said.push_str(&envelope.stdout.replace(key, "(thumbprint)"));
        said.push_str(&envelope.stderr);
        if arguments[0] == "rotate" {
            secrets.push(("a rotated API token".to_owned(), token_of(&agent).await));
        }
    }
    let frozen = agent.run_with(&["agent", "freeze", &agent.id()], &shell).await;
    said.push_str(&frozen.stdout);
    stop.store(true, Ordering::Relaxed);
    let arguments = watcher.await.unwrap().into_iter().collect::<Vec<_>>().join("\n");
    assert!(arguments.contains("slipway.toml") && arguments.contains("workerd"), "no process was seen: {arguments}");

    let session = agent.session();
    for name in ["access_token", "refresh_token"] {
        secrets.push((name.to_owned(), session[name].as_str().unwrap().to_owned()));
    }
    secrets.extend(shell.iter().cloned());
    let key: String = fs::read_to_string(agent.home.join("agent.key")).unwrap().lines().nth(1).unwrap().to_owned();
    secrets.push(("the agent's key".to_owned(), key));
    for (path, bytes) in files_below(&world.system.dir.join("keys")) {
        if let Ok(text) = String::from_utf8(bytes) {
            let lines = text.lines().map(str::trim).filter(|line| line.len() >= 32 && !line.starts_with("-----"));
            secrets.extend(lines.map(|line| (path.display().to_string(), line.to_owned())));
        }
    }
    assert!(secrets.len() >= 8, "too few secrets are looked for");
    let logs = world.system.logs();
    assert!(logs.len() > 1000, "there are no logs to look into");
    for (place, text) in [("a log", &logs), ("an envelope", &said), ("an argument", &arguments)] {
        for (name, secret) in &secrets {
            assert!(!text.contains(secret.as_str()), "{name} is in {place}: …{}…", around(text, secret));
        }
        for code in &ada.codes {
            assert!(!words(text).any(|word| word == code), "a sign-in code is in {place}: …{}…", around(text, code));
        }
        if let Some(token) = words(text).find(|word| looks_like_a_token(word)) {
            panic!("`{token}` is in {place}: …{}…", around(text, token));
        }
    }
}

/// Words; the fraction of a second is part of its number, and so is never taken for a code.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
}

/// `prefix_` and many random letters and digits: payment tokens, session cookies and device codes, whose text nobody here knows.
fn looks_like_a_token(word: &str) -> bool {
    let Some((prefix, random)) = word.rsplit_once('_') else { return false };
    let mixed = random.bytes().any(|b| b.is_ascii_uppercase()) && random.bytes().any(|b| b.is_ascii_digit());
    !prefix.is_empty() && random.len() >= TOKEN_RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric()) && mixed
}

fn around(text: &str, secret: &str) -> String {
    let at = text.find(secret).unwrap_or_default();
    let start = text[..at].char_indices().rev().nth(160).map_or(0, |(at, _)| at);
    text[start..at].to_owned()
}
