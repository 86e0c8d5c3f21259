//! Words that no command understands: what is wrong with them, in our words, and what was probably meant.
//!
//! The parser knows where it stopped; what it would print speaks of subcommands and digits in strings, and suggests commands that are
//! for ourselves. So its findings are read here, and said as every other error is: message, code, hint.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use purser_values::error::Kind;
use serde_json::json;

use crate::arguments::Arguments;
use crate::operation::OPERATIONS;
use crate::outcome::Failure;

/// What people type who know another tool, and what it is called here.
const CALLED_HERE: &[(&str, &str)] = &[
    ("provision", "add"),
    ("create", "add"),
    ("buy", "add"),
    ("delete", "remove"),
    ("rm", "remove"),
    ("ls", "status"),
    ("list", "status"),
    ("ps", "status"),
    ("publish", "deploy"),
    ("services", "catalog"),
    ("prices", "catalog"),
    ("auth", "login"),
    ("signin", "login"),
    ("me", "whoami"),
    ("who", "trace"),
    ("secrets", "env"),
    ("exec", "run"),
    ("start", "up"),
    ("server", "serve"),
    ("config", "check-config"),
    ("limits", "billing show"),
    ("new", "init"),
];

/// Most commands that one hint names.
const SUGGESTIONS: usize = 3;

/// What was typed, as an error that says what to type instead.
#[must_use]
pub fn failure(error: &clap::Error, typed: &[OsString]) -> Failure {
    let command = command(typed);
    let about = |what: ContextKind| values(error.get(what));
    let help = if command.is_empty() {
        "`purser help` lists the commands".to_owned()
    } else {
        format!("`purser help {command}` says what it takes")
    };
    let prefix = if command.is_empty() { "purser".to_owned() } else { format!("purser {command}") };
    let (message, hint) = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let groups = children(&command);
            let hint = if command.is_empty() { help } else { format!("say what to do: `purser {command} {}`", groups.join("`, `")) };
            (format!("a command is missing behind `{prefix}`"), hint)
        }
        ErrorKind::InvalidSubcommand => {
            let word = about(ContextKind::InvalidSubcommand).join(" ");
            let meant = meant(&command, &word);
            let whole = format!("{command} {word}").trim().to_owned();
            (format!("there is no command `{whole}`"), if meant.is_empty() { help } else { did_you_mean(&meant) })
        }
        ErrorKind::UnknownArgument => {
            let flag = about(ContextKind::InvalidArg).join(" ");
            let meant = about(ContextKind::SuggestedArg);
            let message = if flag.starts_with('-') {
                format!("`{prefix}` has no flag `{flag}`")
            } else {
                format!("`{flag}` is one word too many for `{prefix}`")
            };
            (message, meant.first().map_or(help, |flag| format!("did you mean `{flag}`?")))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = about(ContextKind::InvalidArg);
            let verb = if missing.len() == 1 { "is" } else { "are" };
            (format!("`{}` {verb} missing behind `{prefix}`", missing.join("`, `")), help)
        }
        ErrorKind::ArgumentConflict => {
            let (one, other) = (about(ContextKind::InvalidArg).join(" "), about(ContextKind::PriorArg));
            let message = match other.as_slice() {
                [] => format!("`{one}` does not go with the other words"),
                [same] if *same == one => format!("`{one}` is there more than once"),
                _ => format!("`{one}` and `{}` do not go together", other.join("`, `")),
            };
            (message, format!("leave one of them away; {help}"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (flag, value) = (about(ContextKind::InvalidArg).join(" "), about(ContextKind::InvalidValue).join(" "));
            match (value.is_empty(), expected(&flag)) {
                (true, _) => (format!("`{flag}` has no value"), format!("put a value behind it; {help}")),
                (false, Some(wanted)) => (format!("`{value}` is no value for `{flag}`"), format!("it takes {wanted}")),
                (false, None) => (format!("`{value}` is no value for `{flag}`"), help),
            }
        }
        ErrorKind::InvalidUtf8 => {
            ("a word is not valid UTF-8".to_owned(), "type it in UTF-8, or name a file that has such a name".to_owned())
        }
        _ => (first_line(error), help),
    };
    let mut failure = Failure::new(Kind::Invalid, "USAGE", message).hint(hint);
    let usage = error.get(ContextKind::Usage).map(|usage| usage.to_string());
    if let Some(usage) = usage.as_deref().map(one_line).filter(|usage| !usage.is_empty()) {
        failure = failure.details(json!({ "usage": usage }));
    }
    failure
}

/// The command that was meant, as far as the words name one.
#[must_use]
pub fn command(typed: &[OsString]) -> String {
    let mut here = Arguments::command();
    let mut words = Vec::new();
    for word in typed.iter().skip(1).take_while(|word| *word != "--").filter_map(|word| word.to_str()) {
        let Some(next) = here.find_subcommand(word).filter(|found| !found.is_hide_set()).cloned() else { continue };
        words.push(next.get_name().to_owned());
        here = next;
    }
    words.join(" ")
}

/// `purser help agent freeze`, and `purser agent help freeze`: the same as `purser agent freeze --help`.
#[must_use]
pub fn help(mut typed: Vec<OsString>) -> Vec<OsString> {
    let mut here = Arguments::command();
    for (i, word) in typed.iter().enumerate().skip(1) {
        let Some(word) = word.to_str() else { return typed };
        if word == "help" {
            typed.remove(i);
            typed.push("--help".into());
            return typed;
        }
        match here.find_subcommand(word).cloned() {
            Some(next) if next.has_subcommands() => here = next,
            None if word.starts_with('-') => {}
            _ => return typed,
        }
    }
    typed
}

/// The words that may follow those of a group.
fn children(command: &str) -> Vec<String> {
    let mut here = Arguments::command();
    for word in command.split(' ').filter(|word| !word.is_empty()) {
        match here.find_subcommand(word).cloned() {
            Some(next) => here = next,
            None => return Vec::new(),
        }
    }
    here.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| sub.get_name().to_owned()).collect()
}

/// The commands that look like what was typed behind `group`, most alike first.
fn meant(group: &str, word: &str) -> Vec<String> {
    let word = word.to_lowercase();
    if let Some((_, name)) = CALLED_HERE.iter().find(|(typed, _)| group.is_empty() && *typed == word) {
        return vec![(*name).to_owned()];
    }
    let near = |name: &str| {
        let steps = steps_between(&word, name);
        (steps <= (word.chars().count().max(name.chars().count()) / 3).max(1)).then_some(steps)
    };
    let mut found: Vec<(usize, String)> = Vec::new();
    for name in children(group) {
        let whole = format!("{group} {name}").trim().to_owned();
        found.extend(near(&name).map(|steps| (steps, whole)));
    }
    if found.is_empty() {
        // the right word in the wrong place: `freeze` is `agent freeze`
        let last = |command: &'static str| command.rsplit(' ').next().unwrap_or(command);
        found.extend(OPERATIONS.iter().filter(|row| last(row.command) == word).map(|row| (0, row.command.to_owned())));
    }
    found.sort();
    let best = found.first().map_or(0, |(steps, _)| *steps);
    found.into_iter().filter(|(steps, _)| *steps <= best + 1).take(SUGGESTIONS).map(|(_, name)| name).collect()
}

/// How many letters were left out, added, changed or swapped with their neighbour (optimal string alignment).
fn steps_between(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

fn did_you_mean(commands: &[String]) -> String {
    let named: Vec<String> = commands.iter().map(|command| format!("`purser {command}`")).collect();
    format!("did you mean {}?", named.join(" or "))
}

/// What a flag takes, by the word that stands for its value.
fn expected(flag: &str) -> Option<&'static str> {
    Some(match flag.split_once('<')?.1.trim_end_matches(['>', '.']) {
        "SECONDS" => "seconds as a whole number, such as `60`",
        "PORT" => "a port from 1 to 65535, such as `7310`",
        "HOST:PORT" => "an address with its port, such as `127.0.0.1:7310`",
        _ => return None,
    })
}

fn values(found: Option<&ContextValue>) -> Vec<String> {
    match found {
        Some(ContextValue::String(one)) => vec![one.clone()],
        Some(ContextValue::Strings(all)) => all.clone(),
        Some(other @ ContextValue::StyledStr(_)) => vec![other.to_string()],
        _ => Vec::new(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let message = text.trim().trim_start_matches("error: ");
    one_line(message.split_once("\n\n").map_or(message, |(first, _)| first))
}

fn one_line(text: &str) -> String {
    text.trim().trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn said(text: &str) -> Failure {
        let typed = help(words(text));
        failure(&Arguments::try_parse_from(&typed).unwrap_err(), &typed)
    }

    #[test]
    fn every_wrong_line_is_told_what_is_wrong_and_what_to_type() {
        for (typed, message, hint) in [
            ("purser stauts", "there is no command `stauts`", "did you mean `purser status`?"),
            ("purser agent freze x", "there is no command `agent freze`", "did you mean `purser agent freeze`?"),
            ("purser freeze x", "there is no command `freeze`", "did you mean `purser agent freeze`?"),
            ("purser delete x", "there is no command `delete`", "did you mean `purser remove`?"),
            ("purser zzzzzz", "there is no command `zzzzzz`", "`purser help` lists the commands"),
            ("purser status --jsn", "`purser status` has no flag `--jsn`", "did you mean `--json`?"),
            ("purser add a b", "`b` is one word too many for `purser add`", "`purser help add` says what it takes"),
            ("purser add", "`<SERVICE>` is missing behind `purser add`", "`purser help add` says what it takes"),
            (
                "purser add x --timeout soon",
                "`soon` is no value for `--timeout <SECONDS>`",
                "it takes seconds as a whole number, such as `60`",
            ),
            ("purser add x --timeout", "`--timeout <SECONDS>` has no value", "put a value behind it; `purser help add` says what it takes"),
            (
                "purser up --port-base 70000",
                "`70000` is no value for `--port-base <PORT>`",
                "it takes a port from 1 to 65535, such as `7310`",
            ),
            (
                "purser login --cap 1 --cap 2",
                "`--cap <USD>` is there more than once",
                "leave one of them away; `purser help login` says what it takes",
            ),
        ] {
            let failure = said(typed);
            assert_eq!((failure.code.as_str(), failure.message.as_str()), ("USAGE", message), "{typed}");
            assert_eq!(failure.hint.as_deref(), Some(hint), "{typed}");
        }
    }

    #[test]
    fn a_group_without_its_command_lists_what_may_follow() {
        assert_eq!(said("purser audit").hint.as_deref(), Some("say what to do: `purser audit verify`"));
        assert!(said("purser agent").advice().contains("`freeze`"));
    }

    #[test]
    fn what_is_for_ourselves_is_never_suggested() {
        for typed in ["purser supervis", "purser supervisd", "purser"] {
            let failure = said(typed);
            let told = format!("{} {:?} {}", failure.message, failure.hint, failure.details);
            assert!(!told.contains("supervised"), "{told}");
        }
        assert_eq!(command(&words("purser supervised")), "");
    }

    #[test]
    fn help_may_be_a_word_in_front() {
        assert_eq!(help(words("purser help")), words("purser --help"));
        assert_eq!(help(words("purser --json help agent freeze")), words("purser --json agent freeze --help"));
        assert_eq!(help(words("purser agent help freeze")), words("purser agent freeze --help"));
        assert_eq!(help(words("purser run -- help")), words("purser run -- help"));
        assert_eq!(help(words("purser search help")), words("purser search help"));
    }

    #[test]
    fn words_that_cannot_be_parsed_still_name_their_command() {
        for (typed, named) in [
            ("purser --json status --bogus", "status"),
            ("purser agent freeze", "agent freeze"),
            ("purser --json bogus", ""),
            ("purser run -- status", "run"),
        ] {
            assert_eq!(command(&words(typed)), named);
        }
    }
}
