//! Receiving the spec, and arranging descriptors for workerd.

use std::fs::File;
use std::io::{IoSliceMut, Read as _, Seek as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::io::FdFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::spec::Spec;
use super::{JailError, Step, sys};

/// Everything that came with the request.
pub struct Received {
    pub spec: Spec,
    pub files: File,
    pub control: OwnedFd,
    pub listening: Vec<OwnedFd>,
}

/// Most descriptors in one message (SCM_MAX_FD).
const MOST: usize = 253;

/// Waits for the request.
pub fn receive(socket: impl AsFd) -> Result<Received, JailError> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0_u8; 1];
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).step("receive the request")?;
    let mut fds = ancillary
        .drain()
        .filter_map(|m| if let RecvAncillaryMessage::ScmRights(fds) = m { Some(fds) } else { None })
        .flatten()
        .collect::<Vec<_>>()
        .into_iter();
    let (Some(spec), Some(files), Some(control)) = (fds.next(), fds.next(), fds.next()) else {
        let cause = if got.bytes == 0 { "slipway has gone" } else { "descriptors are missing" };
        return Err(cause).step("receive the request");
    };
    let mut text = Vec::new();
    let mut spec = File::from(spec);
    spec.rewind().and_then(|()| spec.read_to_end(&mut text)).step("read the request")?;
    let spec: Spec = serde_json::from_slice(&text).step("understand the request")?;
    let listening: Vec<OwnedFd> = fds.collect();
    if listening.len() != spec.sockets.len() {
        return Err("a listening socket is missing").step("receive the request");
    }
    Ok(Received { spec, files: File::from(files), control, listening })
}

/// Arranges the descriptors that workerd keeps, closes all others at exec, and answers its full argument list.
///
/// The caller must keep `control` and `listening` open until then.
pub fn hand_over(program: &str, spec: &Spec, control: &OwnedFd, listening: &[OwnedFd]) -> Result<Vec<String>, JailError> {
    let (silent, _) = rustix::pipe::pipe().step("make a silent standard input")?;
    rustix::stdio::dup2_stdin(&silent).step("silence standard input")?;
    sys::close_others_on_exec().step("close other descriptors")?;
    let mut args = vec![program.to_owned()];
    args.extend(spec.args.iter().cloned());
    let keep = |fd: &OwnedFd| rustix::io::fcntl_setfd(fd, FdFlags::empty()).step("pass a descriptor on");
    keep(control)?;
    args.push(format!("--control-fd={}", control.as_raw_fd()));
    for (name, fd) in spec.sockets.iter().zip(listening) {
        keep(fd)?;
        args.push(format!("--socket-fd={name}={}", fd.as_raw_fd()));
    }
    Ok(args)
}
