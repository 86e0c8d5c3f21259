//! What people read: the help of every command and the main errors, word for word.
//!
//! Each file in `tests/transcripts` is one run: the line that was typed, what came, and the exit code. After a change on purpose,
//! `PURSER_BLESS=1 cargo test -p purser --test cli` writes them anew; read the difference before you commit it.

use std::fs;
use std::path::Path;

use purser_cli::operation::OPERATIONS;

use super::support::{Ran, World, bare};

fn compare(name: &str, typed: &str, ran: &Ran, hide: &[(&str, &str)]) {
    let mut text = format!("$ {typed}\n{}", ran.stdout);
    if !ran.stderr.is_empty() {
        text.push_str(&format!("--- stderr\n{}", ran.stderr));
    }
    text.push_str(&format!("--- exit {}\n", ran.code));
    for (from, to) in hide {
        text = text.replace(from, to);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
    if std::env::var_os("PURSER_BLESS").is_some() {
        return fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{} differs; see this file's header", path.display());
}

#[test]
fn help_is_as_it_was_read_last() {
    let commands = std::iter::once("").chain(OPERATIONS.iter().map(|row| row.command));
    for command in commands {
        let words: Vec<&str> = command.split(' ').filter(|w| !w.is_empty()).chain(["--help"]).collect();
        let ran = Ran::of(&bare(&words).output().unwrap());
        let name = if command.is_empty() { "help".to_owned() } else { format!("help-{}", command.replace(' ', "-")) };
        compare(&name, &format!("purser {}", words.join(" ")), &ran, &[(env!("CARGO_PKG_VERSION"), "VERSION")]);
    }
}

#[test]
fn the_main_errors_say_what_to_do() {
    let world = World::new();
    let dir = world.dir.path().display().to_string();
    let hide: &[(&str, &str)] = &[(&world.url, "URL"), (&dir, "DIR")];
    for (name, typed) in [
        ("error-no-session", "whoami"),
        ("error-no-project", "status"),
        ("error-unknown-command", "provision x"),
        ("error-bad-service", "add workers"),
        ("error-terms", "add slipway/workers --accept-tos"),
        ("error-limit", "billing update --limit 1000"),
        ("error-person-needed", "agent list"),
        ("error-url", "catalog --url http://example.com"),
        ("error-no-log", "audit verify --data empty"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        compare(name, &format!("purser {typed}"), &world.run(&words), hide);
    }
    let mut nowhere = bare(&["login"]);
    nowhere.env("PURSER_HOME", world.home()).env("HOME", world.dir.path()).current_dir(world.site());
    compare("error-no-orchestrator", "purser login", &Ran::of(&nowhere.output().unwrap()), hide);
}
