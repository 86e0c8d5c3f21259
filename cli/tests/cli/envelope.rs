//! With `--json`, whatever is typed, exactly one JSON value reaches stdout.

use purser_cli::operation::OPERATIONS;
use serde_json::Value;

use super::support::{Ran, bare};

/// What is put behind each command. The two that stay are given words they cannot stay with.
const BEHIND: &[&[&str]] = &[
    &[],
    &["--help"],
    &["--version"],
    &["--no-such-flag"],
    &["x"],
    &["x", "y", "z"],
    &["--config", "{"],
    &["--timeout", "soon"],
    &["../..", "--name", "\u{1b}[2J"],
    &["--url", "http://example.com"],
    &["--url", "http://127.0.0.1:9"],
    &["--accept-tos"],
    &["--", "true"],
];

#[test]
fn every_command_prints_exactly_one_envelope() {
    let dir = tempfile::tempdir().unwrap();
    let mut all: Vec<Vec<&str>> = OPERATIONS.iter().map(|row| row.command.split(' ').collect()).collect();
    all.extend([vec![], vec!["nonsense"], vec!["agent"], vec!["billing"], vec!["audit"]]);
    for command in all {
        for behind in BEHIND {
            // a catalogue is read without a session, so it would wait for the orchestrator that is not there
            let waits = behind.contains(&"http://127.0.0.1:9") && matches!(command.first(), Some(&"catalog" | &"search" | &"login"));
            let starts = command == ["up"] && !behind.iter().any(|word| word.starts_with("--"));
            if waits || starts {
                continue;
            }
            let words: Vec<&str> = ["--json"].iter().chain(&command).chain(*behind).copied().collect();
            let mut run = bare(&words);
            run.env("PURSER_HOME", dir.path().join("home"))
                .env("HOME", dir.path())
                .env("SLIPWAY_BIN", "/nonexistent")
                .current_dir(dir.path());
            let ran = Ran::of(&run.output().unwrap());
            check(&words, &ran);
        }
    }
}

fn check(words: &[&str], ran: &Ran) {
    let value: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{words:?}: {e}: {:?} {:?}", ran.stdout, ran.stderr));
    assert_eq!(ran.stdout.lines().count(), 1, "{words:?}");
    assert_eq!(value["version"], "0.1", "{words:?}");
    for (member, kind) in
        [("warnings", value["warnings"].is_array()), ("next_steps", value["next_steps"].is_array()), ("meta", value["meta"].is_object())]
    {
        assert!(kind, "{words:?} has no {member}");
    }
    assert_eq!(value["ok"].as_bool().unwrap(), ran.code == 0, "{words:?} {}", ran.stdout);
    if ran.code != 0 {
        assert!((1..=10).contains(&ran.code), "{words:?} ended with {}", ran.code);
        for member in ["code", "message"] {
            assert!(value["error"][member].as_str().is_some_and(|text| !text.is_empty()), "{words:?} has no {member}");
        }
    }
}
