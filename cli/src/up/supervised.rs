//! The step between the supervisor and a half: bind its life to the supervisor's, then become it.
//!
//! The parent-death signal survives the exec, as none of our programs changes its user when it starts. Doing this in a program
//! of its own needs no unsafe code between fork and exec.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use purser_values::error::Kind;

use crate::arguments::Supervised;
use crate::outcome::Failure;

/// Becomes the command. Comes back only when it cannot.
#[must_use]
pub fn supervised(arguments: &Supervised) -> Failure {
    let failure = |message: String| Failure::new(Kind::Internal, "START_FAILED", message);
    if let Err(error) = set_pdeathsig(Signal::SIGKILL) {
        return failure(format!("the parent-death signal cannot be set: {error}"));
    }
    // a parent that died before the signal was set has not sent it
    if getppid() != Pid::from_raw(arguments.parent) {
        return failure("the supervisor is gone".to_owned());
    }
    let Some((program, rest)) = arguments.command.split_first() else { return Failure::invalid("there is no command") };
    let error = Command::new(program).args(rest).exec();
    failure(format!("`{}` cannot be started: {error}", program.to_string_lossy()))
}
