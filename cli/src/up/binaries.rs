//! Where the programs are.

use std::path::{Path, PathBuf};

use super::UpError;
use crate::arguments::Up;

#[derive(Clone, Debug)]
pub(super) struct Binaries {
    /// This program, which binds the life of each half to ours.
    pub purser: PathBuf,
    /// The program that serves as orchestrator: this one, or the one that PURSER_BIN names.
    pub orchestrator: PathBuf,
    pub slipway: PathBuf,
    pub workerd: PathBuf,
}

pub(super) fn find(arguments: &Up) -> Result<Binaries, UpError> {
    let purser = std::env::current_exe().map_err(|_| UpError::NoProgram { name: "purser", at: None })?;
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let beside = purser.with_file_name("slipway");
    let slipway = program("slipway", named("SLIPWAY_BIN").unwrap_or(beside))?;
    let orchestrator = program("purser", named("PURSER_BIN").unwrap_or_else(|| purser.clone()))?;
    let workerd = match &arguments.workerd {
        Some(path) => program("workerd", path.clone())?,
        None => usual_workerd(&purser).ok_or(UpError::NoProgram { name: "workerd", at: None })?,
    };
    Ok(Binaries { purser, orchestrator, slipway, workerd })
}

fn program(name: &'static str, path: PathBuf) -> Result<PathBuf, UpError> {
    path.canonicalize().ok().filter(|path| path.is_file()).ok_or(UpError::NoProgram { name, at: Some(path) })
}

/// Beside our own program, or where `cargo xtask` puts the pinned one: `target/peers`, when we were built there.
fn usual_workerd(purser: &Path) -> Option<PathBuf> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "64" };
    let pinned = format!("peers/workerd/node_modules/@cloudflare/workerd-linux-{architecture}/bin/workerd");
    let beside = purser.with_file_name("workerd");
    let fetched = purser.ancestors().map(|above| above.join(&pinned));
    std::iter::once(beside).chain(fetched).find(|path| path.is_file())
}
