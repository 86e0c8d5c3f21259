//! `serve`: the orchestrator alone, until it is told to stop.

use std::io;
use std::path::Path;

use purser_http::log::{self, LogFormat};
use purser_server::{Config, ServeError};
use purser_values::Env;
use purser_values::error::Kind;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Serve;
use crate::context::Context;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Serve) -> Result<Success, Failure> {
    let config = read(&arguments.config)?;
    context.logs_json.set(config.log == LogFormat::Json);
    let _log = log::start(config.log);
    let stop = stop().map_err(|e| Failure::new(Kind::Internal, "INTERNAL", format!("signals cannot be awaited: {e}")))?;
    purser_server::serve(config, Env::system(), stop).await.map_err(|e| failed(&e))?;
    Ok(Success::new(json!({ "stopped": true }), "Stopped."))
}

/// The configuration, as `serve` takes it.
pub(super) fn read(path: &Path) -> Result<Config, Failure> {
    let unusable = |e: purser_server::config::ConfigError| {
        let hint = match path.is_file() {
            true => format!("`purser check-config {}` says everything that is wrong with it", path.display()),
            false => "name a file that is there; docs/examples/orchestrator.toml is a whole one to begin with".to_owned(),
        };
        Failure::new(Kind::Invalid, "CONFIG_UNUSABLE", e.to_string()).hint(hint)
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
