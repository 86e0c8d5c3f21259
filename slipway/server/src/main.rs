//! The binary `slipway`.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use purser_http::log;
use purser_values::Secret;
use slipway::config::{Config, ConfigError};
use slipway::serve;

/// Longest secret that is handed over, in bytes.
const HANDED_BYTES: u64 = 256;

/// A cloud provider for agents: Workers, static sites, domains.
#[derive(Parser)]
#[command(name = "slipway", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the cloud until it is told to stop.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Always refused: `purser up --unconfined` runs Workers without a jail, nobody else does.
        #[arg(long, hide = true)]
        unconfined: bool,
    },
}

fn main() -> ExitCode {
    // First of all: a jail is built in this same program, before any thread exists.
    if let Some(code) = slipway_workers::jail::enter() {
        return code;
    }
    let Command::Serve { config, unconfined } = Arguments::parse().command;
    let loaded = if unconfined { Err(ConfigError::ByHand) } else { Config::load(&config, handed_over) };
    // a file that cannot be read says nothing of the log: people get text
    let _log = log::start(loaded.as_ref().map(|config| config.log).unwrap_or_default());
    let ended = loaded.map_err(serve::ServeError::from).and_then(run);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!(error = %e, "slipway stops");
            ExitCode::FAILURE
        }
    }
}

/// What whoever started us wrote to standard input. Nobody is asked: a terminal hands nothing over.
fn handed_over() -> Secret<String> {
    let mut text = String::new();
    let input = std::io::stdin();
    if !input.is_terminal() {
        // what is cut short or is no text is not the secret
        let _ = input.lock().take(HANDED_BYTES).read_to_string(&mut text);
    }
    Secret::new(text)
}

fn run(config: Config) -> Result<(), serve::ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::serve(config, serve::told_to_stop()))
}
