//! The two system calls that have no safe wrapper.
#![allow(unsafe_code, reason = "clone without a new stack, and close_range, are not offered safely by nix or rustix")]

use std::io;

use rustix::process::Pid;

/// Forks into new user, network, pid, mount, ipc, uts and cgroup namespaces. `None` in the child.
///
/// The process must be single-threaded: then the child is a plain copy, as after `fork`, and may do whatever the parent may.
pub fn fork_into_namespaces() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::SIGCHLD;
    // SAFETY: no CLONE_VM and no stack, so this is fork with namespaces; the caller is single-threaded.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0_usize, 0_usize, 0_usize, 0_usize) };
    match i32::try_from(pid) {
        Ok(pid) if pid >= 0 => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Marks every descriptor above standard error close-on-exec.
pub fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: closes nothing now; it only sets a flag on descriptors.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
