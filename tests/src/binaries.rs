//! Where the real programs are: as `cargo xtask test` names them, else where cargo builds them.

use std::path::PathBuf;

/// The programs that a system is started from.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub purser: PathBuf,
    pub slipway: PathBuf,
    pub workerd: PathBuf,
}

impl Binaries {
    /// The programs, or nothing, said loudly, when one of them is missing.
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self {
            purser: named("PURSER_BIN", || built("purser"))?,
            slipway: named("SLIPWAY_BIN", || built("slipway"))?,
            workerd: named("PURSER_WORKERD", pinned_workerd)?,
        })
    }
}

/// A program that the environment names, or that lies in its usual place.
pub fn named(variable: &str, usual: impl FnOnce() -> Option<PathBuf>) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).or_else(usual).filter(|path| path.is_file());
    if found.is_none() {
        missing(variable);
    }
    found
}

/// Says what a test cannot run without. Where every peer was promised, that is a failure: nobody reads what a test that passed has printed.
///
/// # Panics
/// When `PURSER_PEERS` is `all`, which `cargo xtask test` sets.
pub fn missing(variable: &str) {
    let promised = std::env::var_os("PURSER_PEERS").is_some_and(|value| value == "all");
    assert!(!promised, "{variable} names nothing, though every peer of the tests should be here");
    eprintln!("NOT TESTED: {variable} names nothing that is there; run `cargo xtask test`");
}

/// A binary beside the folder of this test's own executable.
fn built(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().skip(1).map(|above| above.join(name)).find(|path| path.is_file())
}

fn pinned_workerd() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "64" };
    let pinned = format!("peers/workerd/node_modules/@cloudflare/workerd-linux-{architecture}/bin/workerd");
    own.ancestors().map(|above| above.join(&pinned)).find(|path| path.is_file())
}
