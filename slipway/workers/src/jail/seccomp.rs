//! Which system calls workerd may make: a list of those that are allowed, everything else fails.
//!
//! Three filters, of which the kernel obeys the strictest: what is not on the list is refused with EPERM; what only an attack
//! asks for ends the process, so that it is seen; and `clone3`, whose flags a filter cannot read, does not exist (ENOSYS), after
//! which libc uses `clone`, whose flags can be read.
//!
//! INVARIANT (no-new-walls-down): the filters come last, right before workerd is executed, and outlive that. `execve` is on the
//! list because that call itself needs it; what can be executed is landlock's and the root's to say.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{JailError, Step};

/// What workerd does: seen under strace for plain Workers, WebSockets, Wasm, Durable Objects, queues, R2 and D1, and what libc and
/// V8 may do in their place.
const ALLOWED: &[c_long] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_connect,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpeername,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_linkat,
    libc::SYS_listen,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mkdirat,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pipe2,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_sendfile,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_tgkill,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_wait4,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The older calls that exist on this processor only.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// What nobody calls by accident: the process ends with SIGSYS, and slipway notes it.
const FATAL: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_mount_setattr,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_pidfd_getfd,
];

/// Flags of `clone` that make namespaces.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// What `prctl` may be asked for: names of threads and of memory areas.
const PRCTL: &[u64] = &[libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, libc::PR_SET_VMA as u64];
/// What `ioctl` may be asked for: blocking or not, how much there is to read, whether it is a terminal.
const IOCTL: &[u64] = &[libc::FIONBIO, libc::FIOCLEX, libc::FIONREAD, libc::TCGETS];

/// Confines this thread, and every thread and program that it starts from now on.
pub fn confine() -> Result<(), JailError> {
    for program in programs()? {
        seccompiler::apply_filter(&program).step("install a filter of system calls")?;
    }
    Ok(())
}

fn programs() -> Result<[BpfProgram; 3], JailError> {
    let plain = |calls: &[c_long]| calls.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<i64, Vec<SeccompRule>>>();
    let mut allowed = plain(ALLOWED);
    allowed.extend(plain(ALLOWED_HERE));
    let unix = || one_of(0, &[libc::AF_UNIX as u64]);
    allowed.insert(libc::SYS_socket, unix()?);
    allowed.insert(libc::SYS_socketpair, unix()?);
    let no_namespaces = condition(0, Op::MaskedEq(NAMESPACES as u32 as u64), 0)?;
    allowed.insert(libc::SYS_clone, vec![no_namespaces]);
    allowed.insert(libc::SYS_prctl, one_of(0, PRCTL)?);
    allowed.insert(libc::SYS_ioctl, one_of(1, IOCTL)?);
    // its own limits only
    allowed.insert(libc::SYS_prlimit64, one_of(0, &[0])?);
    Ok([
        program(plain(&[libc::SYS_clone3]), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?,
        program(plain(FATAL), SeccompAction::Allow, SeccompAction::KillProcess)?,
        program(allowed, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?,
    ])
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, otherwise: SeccompAction, listed: SeccompAction) -> Result<BpfProgram, JailError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).step("know this processor's system calls")?;
    let filter = SeccompFilter::new(rules, otherwise, listed, arch).step("make a filter of system calls")?;
    filter.try_into().step("compile a filter of system calls")
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, JailError> {
    values.iter().map(|value| condition(argument, Op::Eq, *value)).collect()
}

fn condition(argument: u8, op: Op, value: u64) -> Result<SeccompRule, JailError> {
    let condition = SeccompCondition::new(argument, Len::Dword, op, value).step("make a filter of system calls")?;
    SeccompRule::new(vec![condition]).step("make a filter of system calls")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    const CHILD: &str = "SLIPWAY_SECCOMP_CHILD";

    /// Not a test of its own: what the tests below run in a process of theirs.
    #[test]
    fn child() {
        let Ok(wanted) = std::env::var(CHILD) else { return };
        confine().unwrap();
        match wanted.as_str() {
            "refused" => {
                use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
                for family in [AddressFamily::Inet, AddressFamily::Inet6, AddressFamily::Netlink, AddressFamily::Packet] {
                    let refused = socket(family, SockType::Raw, SockFlag::empty(), None);
                    assert_eq!(refused.err(), Some(nix::errno::Errno::EPERM), "{family:?}");
                }
                let here = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None);
                assert!(here.is_ok(), "{here:?}");
                let thread = std::thread::spawn(|| 7).join();
                assert_eq!(thread.unwrap(), 7, "threads are made by `clone` when there is no `clone3`");
                assert_eq!(nix::sys::prctl::set_dumpable(true).err(), Some(nix::errno::Errno::EPERM));
                assert_eq!(nix::unistd::setsid().err(), Some(nix::errno::Errno::EPERM));
                std::process::exit(7);
            }
            "unshare" => drop(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)),
            "setns" => drop(nix::sched::setns(std::io::stdin(), nix::sched::CloneFlags::CLONE_NEWNET)),
            "mount" => drop(nix::mount::umount("/nowhere")),
            _ => {}
        }
        std::process::exit(9);
    }

    fn run(what: &str) -> std::process::ExitStatus {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["jail::seccomp::tests::child", "--exact", "--nocapture"]).env(CHILD, what);
        command.output().unwrap().status
    }

    #[test]
    fn what_is_not_on_the_list_fails_and_what_workerd_needs_does_not() {
        assert_eq!(run("refused").code(), Some(7));
    }

    #[test]
    fn what_only_an_attack_asks_for_ends_the_process() {
        for what in ["unshare", "setns", "mount"] {
            assert_eq!(run(what).signal(), Some(libc::SIGSYS), "{what}");
        }
    }
}
