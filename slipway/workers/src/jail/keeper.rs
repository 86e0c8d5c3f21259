//! The process that stays outside: maps the inmate's uid, gives up its own rights, and passes signals on.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Uid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;

use super::descriptors::receive;
use super::spec::{INSIDE, Spot};
use super::{JailError, Step, inmate, sys};

/// Builds the jail and waits for its end.
pub fn run() -> Result<u8, JailError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("bind its life to slipway's")?;
    let stdin = std::io::stdin();
    // A session of its own: a Ctrl-C in slipway's terminal is slipway's to handle.
    let _ = nix::unistd::setsid();
    let request = receive(stdin.as_fd())?;
    match &request.spec.confinement {
        Spot::Unconfined { program, folder } => {
            still_there(stdin.as_fd())?;
            Err(inmate::run_unconfined(&program.clone(), &folder.clone(), request, stdin.as_fd()))
        }
        Spot::Jail { host_id, .. } => {
            let host_id = *host_id;
            let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD]);
            sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None).step("block signals")?;
            if host_id.is_some() {
                nix::unistd::setgroups(&[]).step("drop supplementary groups")?;
            }
            let (ready, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make a pipe")?;
            let Some(child) = sys::fork_into_namespaces().step("make namespaces")? else {
                drop(go);
                let failure = inmate::run(request, ready, stdin.as_fd());
                return Err(failure);
            };
            drop(ready);
            drop(request);
            let mut go = fs::File::from(go);
            map_ids(child, host_id)?;
            go.write_all(b"g").step("let the inmate begin")?;
            give_up(host_id)?;
            still_there(stdin.as_fd())?;
            // `go` stays open until the end: its closing tells the inmate that the keeper has gone.
            let code = keep(child, &signals);
            drop(go);
            code
        }
    }
}

fn map_ids(child: Pid, host_id: Option<u32>) -> Result<(), JailError> {
    let proc = PathBuf::from(format!("/proc/{}", child.as_raw_nonzero()));
    let (uid, gid) = host_id.map_or_else(|| (Uid::current().as_raw(), Gid::current().as_raw()), |id| (id, id));
    fs::write(proc.join("setgroups"), "deny").step("forbid groups inside")?;
    fs::write(proc.join("gid_map"), format!("{INSIDE} {gid} 1")).step("map the gid")?;
    fs::write(proc.join("uid_map"), format!("{INSIDE} {uid} 1")).step("map the uid")
}

/// The keeper ends with the rights of its inmate, not with slipway's.
fn give_up(host_id: Option<u32>) -> Result<(), JailError> {
    if let Some(id) = host_id {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        nix::unistd::setresgid(gid, gid, gid).step("give up its gid")?;
        nix::unistd::setresuid(uid, uid, uid).step("give up its uid")?;
    }
    nix::sys::prctl::set_no_new_privs().step("forbid new privileges")?;
    // INVARIANT (die-together): a change of uid clears it, so it is set again here.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("bind its life to slipway's")
}

/// Fails when slipway died before the parent-death signal was set: its end of the socket is closed then.
fn still_there(socket: BorrowedFd<'_>) -> Result<(), JailError> {
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    poll(&mut fds, Some(&rustix::time::Timespec::default())).step("look for slipway")?;
    if fds[0].revents().intersects(PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR) {
        return Err("slipway has gone").step("go on");
    }
    Ok(())
}

fn keep(child: Pid, signals: &SigSet) -> Result<u8, JailError> {
    let child = nix::unistd::Pid::from_raw(child.as_raw_nonzero().get());
    loop {
        match signals.wait().step("wait for a signal")? {
            Signal::SIGCHLD => match waitpid(child, Some(WaitPidFlag::WNOHANG)).step("wait for the inmate")? {
                WaitStatus::Exited(_, code) => return Ok(u8::try_from(code).unwrap_or(1)),
                WaitStatus::Signaled(_, signal, _) => return Ok(128 + u8::try_from(signal as i32).unwrap_or(0)),
                _ => {}
            },
            signal => {
                let _ = nix::sys::signal::kill(child, signal);
            }
        }
    }
}
