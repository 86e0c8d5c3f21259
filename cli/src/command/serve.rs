//! `serve`: the orchestrator alone, until it is told to stop.

use std::io;
use std::path::Path;

use purser_server::config::LogFormat;
use purser_server::{Config, ServeError};
use purser_values::Env;
use purser_values::error::Kind;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::arguments::Serve;
use crate::outcome::{Failure, Success};

/// What is logged when RUST_LOG says nothing.
const LOGGED: &str = "info";

pub(super) async fn run(arguments: &Serve) -> Result<Success, Failure> {
    let config = read(&arguments.config)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    let _ = match config.log {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    let stop = stop().map_err(|e| Failure::new(Kind::Internal, "INTERNAL", format!("signals cannot be awaited: {e}")))?;
    purser_server::serve(config, Env::system(), stop).await.map_err(|e| failed(&e))?;
    Ok(Success::new(json!({ "stopped": true }), "Stopped."))
}

/// The configuration, as `serve` takes it.
pub(super) fn read(path: &Path) -> Result<Config, Failure> {
    let unusable = |e: purser_server::config::ConfigError| {
        Failure::new(Kind::Invalid, "CONFIG_UNUSABLE", e.to_string())
            .hint(format!("`purser check-config {}` says everything that is wrong with it", path.display()))
    };
    Config::read(path).map_err(unusable)
}

fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn failed(error: &ServeError) -> Failure {
    let kind = match error {
        ServeError::Part { .. } => Kind::Invalid,
        ServeError::Listen { .. } => Kind::Conflict,
        ServeError::Store(_) | ServeError::Audit(_) => Kind::Unavailable,
    };
    Failure::new(kind, "SERVE_FAILED", error.to_string())
}
