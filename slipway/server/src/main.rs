//! The binary `slipway`.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use purser_http::log;
use purser_values::Secret;
use slipway::abuse::desk;
use slipway::config::{Config, ConfigError, check};
use slipway::registry::{self, RegistryError};
use slipway::serve;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest secret that is handed over, in bytes.
const HANDED_BYTES: u64 = 256;
/// What a configuration ends with that cannot be served, as `purser check-config` does.
const UNUSABLE: u8 = 2;

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
    /// Runs a registry of domain names alone, which speaks EPP over TLS.
    Registry {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// The abuse desk: finds and stops what bears a mark, shows reports and what is held. Answers one JSON value.
    Abuse {
        /// The configuration file of the running cloud.
        #[arg(long)]
        config: PathBuf,
        #[command(subcommand)]
        act: desk::Act,
    },
    /// Tells everything that is wrong with a configuration, without starting anything: 0 when `serve` takes it, 2 when it would not.
    CheckConfig {
        /// The configuration file.
        file: PathBuf,
        /// One JSON object with `problems` and `warnings`.
        #[arg(long)]
        json: bool,
    },
}

/// Descriptors that we ask for, where the system's own bound allows as many: every visitor, tunnel and process takes some, and what most
/// systems give at first is too few for one busy account.
const DESCRIPTORS: u64 = 65_536;

fn main() -> ExitCode {
    // First of all: a jail is built in this same program, before any thread exists.
    if let Some(code) = slipway_workers::jail::enter() {
        return code;
    }
    let (config, unconfined) = match Arguments::parse().command {
        Command::Serve { config, unconfined } => (config, unconfined),
        Command::Registry { config } => return registry(&config),
        Command::CheckConfig { file, json } => return check_config(&file, json),
        Command::Abuse { config, act } => return abuse(&config, act),
    };
    let loaded = if unconfined { Err(ConfigError::ByHand) } else { Config::load(&config, handed_over) };
    // a file that cannot be read says nothing of the log: people get text
    let _log = log::start(loaded.as_ref().map(|config| config.log).unwrap_or_default());
    raise_descriptors();
    let ended = loaded.map_err(serve::ServeError::from).and_then(run);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!(error = %e, "slipway stops");
            ExitCode::FAILURE
        }
    }
}

fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if current.is_some_and(|now| now < wanted) && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_err() {
        tracing::warn!(?current, wanted, "the bound of open files cannot be raised");
    }
    if wanted < DESCRIPTORS {
        tracing::warn!(wanted, needed = DESCRIPTORS, "the system allows few open files; raise `LimitNOFILE` of the service");
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

fn check_config(file: &Path, json: bool) -> ExitCode {
    let found = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(check::check(file)),
        Err(e) => check::Findings { problems: vec![e.to_string()], warnings: Vec::new() },
    };
    let usable = found.problems.is_empty();
    let mut out = std::io::stdout().lock();
    // nobody may read it; the exit code says the same
    let _ = if json {
        writeln!(out, "{}", serde_json::json!(found))
    } else {
        let problems = found.problems.iter().map(|problem| format!("problem: {problem}\n"));
        let warnings = found.warnings.iter().map(|warning| format!("warning: {warning}\n"));
        let verdict = if usable { "can be served" } else { "cannot be served" };
        writeln!(out, "{}`{}` {verdict}", problems.chain(warnings).collect::<String>(), file.display())
    };
    ExitCode::from(if usable { 0 } else { UNUSABLE })
}

fn registry(file: &Path) -> ExitCode {
    let _log = log::start(log::LogFormat::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RegistryError::Io);
    let ended = runtime.and_then(|runtime| runtime.block_on(registry::run(file, serve::told_to_stop())));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!(error = %e, "the registry stops");
            ExitCode::FAILURE
        }
    }
}

fn abuse(config: &Path, act: desk::Act) -> ExitCode {
    let done = Config::load(config, handed_over).map_err(serve::ServeError::from).and_then(|config| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(desk::run(&config, act))
    });
    match done {
        // nobody may read it
        Ok(said) => drop(writeln!(std::io::stdout().lock(), "{said:#}")),
        Err(e) => {
            drop(writeln!(std::io::stderr().lock(), "{e}"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(config: Config) -> Result<(), serve::ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::serve(config, serve::told_to_stop()))
}
