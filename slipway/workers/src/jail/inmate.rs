//! The process that becomes workerd.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Gid, Uid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::descriptors::{Received, hand_over};
use super::spec::{INSIDE, JAIL_FAILED, PROGRAM, SPACE, STARTING, Spec, Spot, report};
use super::{JailError, Step, landlock, mounts, seccomp};

/// Never returns when it succeeds: the process is workerd then.
pub fn run(mut request: Received, ready: OwnedFd, socket: BorrowedFd<'_>) -> JailError {
    match confine(&mut request, &ready, socket) {
        Ok(never) => match never {},
        Err(e) => {
            report(socket, &e.to_string());
            std::process::exit(i32::from(JAIL_FAILED));
        }
    }
}

/// As [`run`], with slipway's own rights. Only the life is bound.
pub fn run_unconfined(program: &Path, folder: &Path, mut request: Received, socket: BorrowedFd<'_>) -> JailError {
    let done = (|| {
        fs::DirBuilder::new().mode(0o700).create(folder).step("make a private folder")?;
        write_files(folder, &request.spec, &mut request.files)?;
        announce(folder, "none", socket)?;
        std::env::set_current_dir(folder).step("enter its folder")?;
        become_workerd(program, &request, false)
    })();
    match done {
        Ok(never) => match never {},
        Err(e) => e,
    }
}

fn confine(request: &mut Received, ready: &OwnedFd, socket: BorrowedFd<'_>) -> Result<std::convert::Infallible, JailError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("bind its life to the keeper's")?;
    let mut go = [0_u8; 1];
    File::from(ready.try_clone().step("wait for the keeper")?).read_exact(&mut go).step("wait for the keeper")?;
    let Spot::Jail { skeleton, binds, .. } = &request.spec.confinement else {
        return Err("the request changed").step("go on");
    };
    nix::unistd::sethostname("worker").step("name the host")?;
    mounts::enter(skeleton, binds, request.spec.limits.space)?;
    let (uid, gid) = (Uid::from_raw(INSIDE), Gid::from_raw(INSIDE));
    nix::unistd::setresgid(gid, gid, gid).step("take its gid")?;
    nix::unistd::setresuid(uid, uid, uid).step("take its uid")?;
    let space = Path::new("/").join(SPACE);
    write_files(&space, &request.spec, &mut request.files)?;
    std::env::set_current_dir(&space).step("enter its space")?;
    limit(&request.spec)?;
    drop_rights()?;
    let enforced = landlock::confine(binds)?;
    announce(&space, enforced, socket)?;
    // INVARIANT (die-together): the changes of uid and capabilities cleared it, so it is set again, and the keeper checked after.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("bind its life to the keeper's")?;
    keeper_lives(ready)?;
    // What passes the largest file fails and does not end the process.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::from(Signal::SIGXFSZ)), None).step("unblock signals")?;
    become_workerd(&Path::new("/").join(PROGRAM), request, true)
}

fn write_files(folder: &Path, spec: &Spec, bytes: &mut File) -> Result<(), JailError> {
    bytes.rewind().step("read the files")?;
    for file in &spec.files {
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(&file.name)).step("write a file")?;
        let copied = io::copy(&mut io::Read::take(&mut *bytes, file.bytes), &mut out).step("write a file")?;
        if copied != file.bytes {
            return Err("its bytes are missing").step("write a file");
        }
        out.flush().step("write a file")?;
    }
    Ok(())
}

/// Gives slipway the folder, so that it can unlink the files once workerd has read them, and says what landlock enforces.
fn announce(folder: &Path, enforced: &str, socket: BorrowedFd<'_>) -> Result<(), JailError> {
    let folder = File::open(folder).step("open its folder")?;
    let fds = [folder.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(socket, &[IoSlice::new(&[STARTING]), IoSlice::new(enforced.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)
        .step("tell slipway")
        .map(drop)
}

fn limit(spec: &Spec) -> Result<(), JailError> {
    let limits = &spec.limits;
    for (resource, value) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, limits.files),
        (Resource::RLIMIT_NPROC, limits.tasks),
        (Resource::RLIMIT_DATA, limits.memory),
        (Resource::RLIMIT_FSIZE, limits.file),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
    ] {
        setrlimit(resource, value, value).step("set a limit")?;
    }
    Ok(())
}

/// No capability in any set, none to be had again, no privileges from executing a file.
fn drop_rights() -> Result<(), JailError> {
    use CapabilitiesSecureBits as Bits;
    let bits = Bits::NO_ROOT | Bits::NO_ROOT_LOCKED | Bits::NO_SETUID_FIXUP | Bits::NO_SETUID_FIXUP_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits | Bits::NO_CAP_AMBIENT_RAISE | Bits::NO_CAP_AMBIENT_RAISE_LOCKED)
        .step("lock the secure bits")?;
    rustix::thread::clear_ambient_capability_set().step("clear ambient capabilities")?;
    for number in 0..64 {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel knows no capability of this number, nor any above it.
            Err(rustix::io::Errno::INVAL) => break,
            Err(e) => return Err(e).step("empty the bounding set"),
        }
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .step("drop its capabilities")?;
    nix::sys::prctl::set_no_new_privs().step("forbid new privileges")
}

fn keeper_lives(ready: &OwnedFd) -> Result<(), JailError> {
    let mut fds = [PollFd::new(ready, PollFlags::IN)];
    poll(&mut fds, Some(&rustix::time::Timespec::default())).step("look for the keeper")?;
    if fds[0].revents().contains(PollFlags::HUP) { Err("the keeper has gone").step("go on") } else { Ok(()) }
}

fn become_workerd(program: &Path, request: &Received, filtered: bool) -> Result<std::convert::Infallible, JailError> {
    let path = CString::new(program.as_os_str().as_encoded_bytes()).step("name the program")?;
    let args = hand_over("workerd", &request.spec, &request.control, &request.listening)?;
    let args: Result<Vec<CString>, _> = args.into_iter().map(CString::new).collect();
    let args = args.step("pass the arguments")?;
    let empty: [CString; 0] = [];
    if filtered {
        seccomp::confine()?;
    }
    nix::unistd::execve(&path, &args, &empty).step("start workerd")
}
