//! From the words that were typed to the exit code: the only place that prints a result.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use purser_values::error::Kind;
use serde_json::json;

use crate::arguments::{Arguments, Command};
use crate::context::Context;
use crate::outcome::{self, Failure, Meta, Success};
use crate::{command, operation, screen, usage};

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    let typed = operation::expand(usage::help(std::env::args_os().collect()));
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
    let outcome = outcome.map_err(|failure| failure.of_command(words));
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
        _ if context.logs_json.get() => log(context, outcome),
        Ok(_) if context.global.json => {}
        Ok(done) => success(done),
        Err(failure) => complain(failure),
    }
}

pub(crate) fn success(done: &Success) {
    if done.is_file {
        screen::file(&done.text);
    } else if !done.text.is_empty() {
        screen::result(&screen::plain(&done.text));
    }
    for warning in &done.warnings {
        screen::note(&format!("warning: {warning}"));
    }
    if !done.next_steps.is_empty() {
        screen::progress(&format!("next: {}", done.next_steps.join("   ")));
    }
}

/// The last line of a process whose log is JSON.
fn log(context: &Context, outcome: &Result<Success, Failure>) {
    let timestamp = context.env.now();
    let line = match outcome {
        Ok(done) => json!({ "timestamp": timestamp, "level": "INFO", "message": done.text, "target": module_path!() }),
        Err(failure) => json!({
            "timestamp": timestamp, "level": "ERROR", "message": failure.message, "code": failure.code, "hint": failure.advice(),
            "target": module_path!(),
        }),
    };
    screen::note(&line.to_string());
}

fn complain(failure: &Failure) {
    // a message of several lines is a list below its first one
    let (first, rest) = failure.message.split_once('\n').map_or((failure.message.as_str(), None), |(first, rest)| (first, Some(rest)));
    screen::note(&format!("error: {first} ({})", failure.code));
    if let Some(rest) = rest {
        screen::note(rest);
    }
    screen::note(&format!("hint: {}", failure.advice()));
}

/// Whether `--json` was typed before the `--` that ends our own flags: asked of words that could not be parsed.
fn wants_json(typed: &[OsString]) -> bool {
    typed.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// Help, version, and words that mean nothing.
fn usage(error: &clap::Error, typed: &[OsString]) -> ExitCode {
    let text = error.render().to_string();
    let outcome = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Success::new(json!({ "text": text }), text.trim_end())),
        _ => Err(usage::failure(error, typed)),
    };
    if wants_json(typed) {
        screen::result(&outcome::envelope(&usage::command(typed), &outcome, &Meta::default()));
        return ExitCode::from(exit_code(&outcome));
    }
    match &outcome {
        Ok(asked) => screen::result(&asked.text),
        Err(failure) => {
            if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                screen::note(&format!("{}\n", text.trim_end()));
            }
            complain(failure);
            if let Some(line) = failure.details["usage"].as_str() {
                screen::note(&format!("usage: {line}"));
            }
        }
    }
    ExitCode::from(exit_code(&outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_another_command_are_its_own() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("purser status --json --bad")));
        assert!(!wants_json(&words("purser run --bad -- wrangler --json")));
    }
}
