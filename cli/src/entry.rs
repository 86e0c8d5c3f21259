//! From the words that were typed to the exit code: the only place that prints a result.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use purser_values::error::Kind;
use serde_json::json;

use crate::arguments::{Arguments, Command};
use crate::context::Context;
use crate::outcome::{self, Failure, Meta, Success};
use crate::{command, operation, screen};

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    let typed = operation::expand(std::env::args_os().collect());
    match Arguments::try_parse_from(&typed) {
        Ok(arguments) => run(arguments),
        Err(error) => usage(&error, &typed),
    }
}

fn run(arguments: Arguments) -> ExitCode {
    // the first provider stays; that there is one already is no error
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let words = arguments.command.words();
    let context = Context::new(words, arguments.global);
    let runtime = match &arguments.command {
        Command::Serve(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
        // the supervisor's children live as long as the thread that started them: the main one
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(command::perform(&context, &arguments.command)),
        Err(error) => Err(Failure::new(Kind::Internal, "INTERNAL", format!("the runtime cannot start: {error}"))),
    };
    print(&context, &outcome);
    ExitCode::from(exit_code(&outcome))
}

fn exit_code(outcome: &Result<Success, Failure>) -> u8 {
    match outcome {
        Ok(done) => done.exit_code,
        Err(failure) => failure.kind.exit_code(),
    }
}

fn print(context: &Context, outcome: &Result<Success, Failure>) {
    if context.global.json && !context.announced.get() {
        return screen::result(&outcome::envelope(context.words, outcome, &context.meta()));
    }
    match outcome {
        Ok(_) if context.global.json => {}
        Ok(done) => success(done),
        Err(failure) => complain(failure),
    }
}

pub(crate) fn success(done: &Success) {
    if !done.text.is_empty() {
        screen::result(&screen::plain(&done.text));
    }
    for warning in &done.warnings {
        screen::note(&format!("warning: {warning}"));
    }
    if !done.next_steps.is_empty() {
        screen::progress(&format!("next: {}", done.next_steps.join("   ")));
    }
}

fn complain(failure: &Failure) {
    screen::note(&format!("error: {} ({})", failure.message, failure.code));
    if let Some(hint) = &failure.hint {
        screen::note(&format!("hint: {hint}"));
    }
}

/// Whether `--json` was typed before the `--` that ends our own flags: asked of words that could not be parsed.
fn wants_json(typed: &[OsString]) -> bool {
    typed.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// The command that was meant, as far as the words name one.
fn words(typed: &[OsString]) -> String {
    let mut here = Arguments::command();
    let mut words = Vec::new();
    for word in typed.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(next) = here.find_subcommand(word).filter(|found| !found.is_hide_set()).cloned() else { continue };
        words.push(next.get_name().to_owned());
        here = next;
    }
    words.join(" ")
}

fn words_and_space(typed: &[OsString]) -> String {
    let words = words(typed);
    if words.is_empty() { words } else { words + " " }
}

/// What is wrong, in one line.
fn said(error: &clap::Error, text: &str) -> String {
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => "a command is missing".to_owned(),
        _ => {
            let message = text.trim().trim_start_matches("error: ");
            let first = message.split_once("\n\n").map_or(message, |(first, _)| first);
            first.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

/// Help, version, and words that mean nothing.
fn usage(error: &clap::Error, typed: &[OsString]) -> ExitCode {
    let json = wants_json(typed);
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = error.render().to_string();
    if !json {
        if asked {
            screen::result(text.trim_end());
        } else {
            screen::note(text.trim_end());
        }
        return ExitCode::from(if asked { 0 } else { Kind::Invalid.exit_code() });
    }
    let outcome = if asked {
        Ok(Success::new(json!({ "text": text }), String::new()))
    } else {
        Err(Failure::new(Kind::Invalid, "USAGE", said(error, &text)).hint(format!("run `purser {}--help`", words_and_space(typed))))
    };
    screen::result(&outcome::envelope(&words(typed), &outcome, &Meta::default()));
    ExitCode::from(exit_code(&outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_cannot_be_parsed_still_name_their_command() {
        let typed = |text: &str| words(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(typed("purser --json status --bogus"), "status");
        assert_eq!(typed("purser agent freeze"), "agent freeze");
        assert_eq!(typed("purser --json bogus"), "");
        assert_eq!(typed("purser supervised"), "", "what is for ourselves is not shown");
    }

    #[test]
    fn the_flags_of_another_command_are_its_own() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("purser status --json --bad")));
        assert!(!wants_json(&words("purser run --bad -- wrangler --json")));
    }
}
