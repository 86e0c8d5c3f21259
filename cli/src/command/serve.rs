//! `serve`: the orchestrator alone.

use purser_server::config::ConfigError;
use purser_server::{Config, ServeError};
use purser_values::Env;
use purser_values::error::Kind;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Serve;
use crate::outcome::{Failure, Success};

pub(super) async fn run(arguments: &Serve) -> Result<Success, Failure> {
    let config = Config::read(&arguments.config).map_err(|e| unusable(&e))?;
    let listen = config.listen;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| Failure::new(Kind::Internal, "INTERNAL", e.to_string()))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    purser_server::serve(config, Env::system(), stop).await.map_err(|e| failed(&e))?;
    Ok(Success::new(serde_json::json!({ "listen": listen }), "stopped".to_owned()))
}

fn unusable(e: &ConfigError) -> Failure {
    Failure::new(Kind::Invalid, "CONFIG_INVALID", e.to_string())
}

fn failed(e: &ServeError) -> Failure {
    Failure::new(Kind::Internal, "SERVE_FAILED", e.to_string())
}
