//! The log of a process that serves: one line an event on stderr, as text or as one JSON object, and nothing there in any other form.
//!
//! Secrets have no textual form, so none can get in.

mod gathered;

pub use gathered::LogEnd;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write as _;

use purser_values::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::gathered::Gathered;

/// What is logged when `RUST_LOG` says nothing.
const LOGGED: &str = "info";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log; `RUST_LOG` chooses how much. From now on a panic of any thread is a line of it, too: it would be plain text otherwise.
pub fn start(format: LogFormat) -> LogEnd {
    let (lines, end) = Gathered::start(std::io::stderr());
    let log = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
    let log = match format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    // the first one stays: a test may have started it
    let _ = tracing_subscriber::registry().with(filter(std::env::var(EnvFilter::DEFAULT_ENV).ok().as_deref())).with(log).try_init();
    std::panic::set_hook(Box::new(panicked));
    end
}

/// What is logged. A choice by place and level alone is made once for each place in the program, and not for each request.
fn filter(chosen: Option<&str>) -> Box<dyn Layer<Registry> + Send + Sync> {
    let chosen = chosen.filter(|text| !text.trim().is_empty()).unwrap_or(LOGGED);
    match (chosen.parse::<Targets>(), EnvFilter::try_new(chosen)) {
        (Ok(by_place), _) => by_place.boxed(),
        (Err(_), Ok(by_span)) => by_span.boxed(),
        (Err(_), Err(_)) => EnvFilter::new(LOGGED).boxed(),
    }
}

fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let said = panic.payload();
    let message = said.downcast_ref::<&str>().copied().or_else(|| said.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        tracing::error!(panic = message, place, thread, %trace, "a thread panicked");
    } else {
        tracing::error!(panic = message, place, thread, "a thread panicked");
    }
}

/// One of the few lines that whoever starts us waits for: it appears whatever `RUST_LOG` says. `text` is for people; programs get
/// `message` with `facts`.
pub fn announce(format: LogFormat, now: Timestamp, text: &str, message: &str, facts: &[(&str, String)]) {
    let line = line(format, now, text, message, facts);
    // nobody may read stderr; that is no reason to stop
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn line(format: LogFormat, now: Timestamp, text: &str, message: &str, facts: &[(&str, String)]) -> String {
    if format == LogFormat::Text {
        return text.to_owned();
    }
    let mut object = Map::new();
    let fixed = [("timestamp", now.to_string()), ("level", "INFO".to_owned()), ("message", message.to_owned())];
    object.extend(fixed.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    object.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    object.insert("target".to_owned(), json!(module_path!()));
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_chosen_by_place_by_level_or_not_at_all() {
        let on = |chosen| {
            let subscriber = tracing_subscriber::registry().with(filter(chosen));
            tracing::subscriber::with_default(subscriber, || {
                (tracing::enabled!(tracing::Level::INFO), tracing::enabled!(target: "loud", tracing::Level::DEBUG))
            })
        };
        assert_eq!((on(None), on(Some(" "))), ((true, false), (true, false)));
        assert_eq!((on(Some("warn,loud=debug")), on(Some("debug"))), ((false, true), (true, true)));
        assert_eq!(on(Some("error,[request{path}]=error")), (false, false), "by a span's fields");
    }

    #[test]
    fn a_program_reads_an_object_and_a_person_a_line() {
        let facts = [("url", "https://purser.example.com/".to_owned())];
        let said = |format| line(format, Timestamp::from_micros(0), "ready https://purser.example.com/", "ready", &facts);
        assert_eq!(said(LogFormat::Text), "ready https://purser.example.com/");
        let object: Value = serde_json::from_str(&said(LogFormat::Json)).unwrap();
        assert_eq!(
            (&object["message"], &object["url"], &object["level"]),
            (&json!("ready"), &json!("https://purser.example.com/"), &json!("INFO"))
        );
    }
}
