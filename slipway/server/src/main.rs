//! The binary `slipway`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use slipway::config::{self, Config};
use slipway::serve;

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
        /// Run Workers without a jail where none can be built. For `purser up` only; every page then says so.
        #[arg(long, hide = true)]
        unconfined: bool,
        /// What `purser up` adds; without it `--unconfined` is refused.
        #[arg(long, hide = true)]
        started_by_up: bool,
    },
}

fn main() -> ExitCode {
    // First of all: a jail is built in this same program, before any thread exists.
    if let Some(code) = slipway_workers::jail::enter() {
        return code;
    }
    let Command::Serve { config, unconfined, started_by_up } = Arguments::parse().command;
    start_log();
    let loaded = config::unconfined(unconfined, started_by_up).and_then(|unconfined| Config::load(&config, unconfined));
    let ended = loaded.map_err(serve::ServeError::from).and_then(run);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!(error = %e, "slipway stops");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), serve::ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::serve(config, serve::told_to_stop()))
}

/// One line per event on standard error; `RUST_LOG` chooses how many. Secrets have no textual form, so none can get in.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
