//! The jail: what `slipway jail` does between being spawned and becoming workerd.
//!
//! slipway starts itself again through `/proc/self/exe` with this hidden subcommand, hands over a [`spec::Spec`] and descriptors
//! on a socket that is the child's standard input, and gets workerd in namespaces of its own:
//!
//! - the **keeper** (this process) makes a child in new user, network, pid, mount, ipc, uts and cgroup namespaces, maps its one
//!   uid, gives up its own rights, and then only passes SIGTERM on and reports the child's end;
//! - the **inmate** (pid 1 in there) builds its read-only root, writes configuration and modules into a private tmpfs, drops
//!   everything, says to the kernel what files it may touch (landlock) and what it may ask for at all (seccomp), and becomes
//!   workerd.
//!
//! INVARIANT (die-together): both set the parent-death signal after their last change of uid and check that the parent still
//! lives after that, so that SIGKILL of slipway reaches workerd. The process that spawns must do so from a thread that lives
//! as long as itself, because that signal is bound to the thread.
//!
//! Everything here runs single-threaded and before any runtime exists.

mod descriptors;
mod inmate;
mod keeper;
mod landlock;
mod mounts;
mod seccomp;
pub(crate) mod spec;
mod sys;

use std::fmt;
use std::process::ExitCode;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "jail";

/// Runs the hidden subcommand when it is the one asked for. Call it first thing in `main`, before any thread exists.
#[must_use]
pub fn enter() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    (args.next().is_some_and(|a| a == SUBCOMMAND)).then(main)
}

/// Becomes the keeper of one inmate; returns the inmate's end as an exit code.
#[must_use]
pub fn main() -> ExitCode {
    match keeper::run() {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            spec::report(std::io::stdin(), &e.to_string());
            ExitCode::from(spec::JAIL_FAILED)
        }
    }
}

/// Which step of building the jail failed.
#[derive(Debug)]
pub(crate) struct JailError {
    step: &'static str,
    cause: String,
}

impl fmt::Display for JailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.step, self.cause)
    }
}

/// Names the step of a failure.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, JailError>;
}

impl<T, E: fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, JailError> {
        self.map_err(|e| JailError { step, cause: e.to_string() })
    }
}
