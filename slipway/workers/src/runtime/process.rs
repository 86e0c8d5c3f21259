//! One workerd process, from spawn to end.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purser_values::Secret;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::AsyncBufReadExt as _;
use tokio::process::Child;

use crate::jail::spec::{FAILED, FileSpec, JAIL_FAILED, Limits, STARTING, Spec, Spot};
use crate::limits;
use crate::runtime::cage::{Bounds, Cage};
use crate::runtime::output::Output;
use crate::runtime::spares::{Spare, Spares};

/// How slipway calls its own hidden subcommand.
#[derive(Clone, Debug)]
pub struct JailProgram {
    pub program: PathBuf,
    pub args: Vec<String>,
}

impl Default for JailProgram {
    /// This very program, even when its file was replaced since.
    fn default() -> Self {
        Self { program: "/proc/self/exe".into(), args: vec![crate::jail::SUBCOMMAND.to_owned()] }
    }
}

/// Everything that one process needs.
pub struct Launch<'a> {
    pub account: Arc<str>,
    pub spot: Spot,
    pub args: Vec<String>,
    /// The files in the order of their bytes; the first is the configuration, which holds secrets.
    pub files: Vec<(String, Secret<Vec<u8>>)>,
    pub sockets: Vec<(String, &'a UnixListener)>,
    pub limits: Limits,
    pub bounds: Bounds,
}

/// A process that listens.
pub struct Process {
    child: Child,
    pub pid: u32,
    pub output: Output,
    readers: Vec<tokio::task::JoinHandle<()>>,
    pub startup: Duration,
    /// How much landlock enforces: `full`, `partial` or `none`.
    pub landlock: String,
    pub cage: Arc<Cage>,
}

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// workerd refused the configuration or the code; its own words.
    #[error("{0}")]
    Refused(String),
    #[error("it was not ready within {} seconds", limits::START.as_secs())]
    TooSlow,
    /// The jail could not be built: nothing that a tenant can do about.
    #[error("{0}")]
    Jail(String),
    #[error("the process could not be started: {0}")]
    Io(#[from] io::Error),
}

impl Process {
    /// Starts a process and waits until it listens on all its sockets.
    pub async fn start(spares: &Spares, launch: Launch<'_>) -> Result<Self, StartError> {
        let begun = Instant::now();
        let (control, control_far) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        rustix::io::ioctl_fionbio(&control, true).map_err(io::Error::from)?;
        let Spare { mut child, near, cage } = spares.take(launch.bounds).await?;
        let output = Output::default();
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(output.follow(pipe, launch.account.clone()));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(output.follow(pipe, launch.account.clone()));
        }
        let wanted = launch.sockets.len();
        send(&near, control_far, &launch)?;
        let ready = tokio::time::timeout(limits::START, listening(control, wanted)).await;
        let said = words(&near)?;
        match (ready, said) {
            (Ok(Ok(true)), said) => {
                if let Some(folder) = said.folder {
                    unlink(&folder, &launch.files);
                }
                let pid = child.id().unwrap_or_default();
                let landlock = said.landlock;
                spares.refill();
                Ok(Self { child, pid, output, readers, startup: begun.elapsed(), landlock, cage: Arc::new(cage) })
            }
            (_, Words { failure: Some(text), .. }) => Err(StartError::Jail(text)),
            (Ok(_), _) => {
                let ended = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
                for reader in readers {
                    let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
                }
                match ended {
                    Ok(Ok(status)) if status.code() == Some(i32::from(JAIL_FAILED)) => Err(StartError::Jail(output.text())),
                    _ => Err(StartError::Refused(output.text())),
                }
            }
            (Err(_), _) => Err(StartError::TooSlow),
        }
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        }
    }

    /// Waits for the end, and leaves everything else as it is.
    pub async fn child_ended(&mut self) -> String {
        self.ended().await
    }

    /// Whether it printed `text`, once everything it printed has arrived.
    pub async fn said(&mut self, text: &str) -> bool {
        self.last_words().await.contains(text)
    }

    /// The end of what it printed, once that has ended or everything has arrived.
    pub async fn last_words(&mut self) -> String {
        for reader in self.readers.drain(..) {
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        self.output.text()
    }

    /// Asks it to finish what is under way and end.
    pub fn terminate(&self) {
        if let Some(pid) = self.child.id().and_then(|p| i32::try_from(p).ok()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
}

fn send(near: &OwnedFd, control: OwnedFd, launch: &Launch<'_>) -> io::Result<()> {
    let spec = Spec {
        confinement: launch.spot.clone(),
        args: launch.args.clone(),
        sockets: launch.sockets.iter().map(|(name, _)| name.clone()).collect(),
        files: launch.files.iter().map(|(name, b)| FileSpec { name: name.clone(), bytes: b.expose().len() as u64 }).collect(),
        limits: launch.limits.clone(),
    };
    let spec = memory_file("spec", [serde_json::to_vec(&spec)?.as_slice()])?;
    let files = memory_file("files", launch.files.iter().map(|(_, bytes)| bytes.expose().as_slice()))?;
    let mut fds: Vec<BorrowedFd<'_>> = vec![spec.as_fd(), files.as_fd(), control.as_fd()];
    fds.extend(launch.sockets.iter().map(|(_, listener)| listener.as_fd()));
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(fds.len()))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(near, &[IoSlice::new(b"R")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn memory_file<'a>(name: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?);
    for part in parts {
        file.write_all(part)?;
    }
    Ok(file)
}

/// Reads control messages until `wanted` sockets listen; false when the process ended before. When none is wanted the end is.
async fn listening(control: OwnedFd, wanted: usize) -> io::Result<bool> {
    let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(control)?;
    let mut lines = tokio::io::BufReader::new(pipe).lines();
    let mut seen = 0;
    while seen < wanted || wanted == 0 {
        match lines.next_line().await? {
            Some(line) if line.contains("\"event\":\"listen\"") => seen += 1,
            Some(_) => {}
            None => return Ok(wanted == 0),
        }
    }
    Ok(true)
}

#[derive(Default)]
struct Words {
    folder: Option<OwnedFd>,
    landlock: String,
    failure: Option<String>,
}

/// What the jail has said so far, without waiting.
fn words(near: &OwnedFd) -> io::Result<Words> {
    let mut words = Words::default();
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0_u8; 1024];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let got = match rustix::net::recvmsg(near, &mut [io::IoSliceMut::new(&mut text)], &mut ancillary, flags) {
            Ok(got) => got.bytes,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNRESET) => return Ok(words),
            Err(e) => return Err(e.into()),
        };
        match text[..got].split_first() {
            None => return Ok(words),
            Some((&STARTING, rest)) => {
                words.landlock = String::from_utf8_lossy(rest).into_owned();
                words.folder =
                    ancillary.drain().find_map(|m| if let RecvAncillaryMessage::ScmRights(mut fds) = m { fds.next() } else { None });
            }
            Some((&FAILED, rest)) => words.failure = Some(String::from_utf8_lossy(rest).into_owned()),
            Some(_) => {}
        }
    }
}

/// workerd has read its files: what it was told, secrets included, exists in its memory only from now on.
fn unlink(folder: &OwnedFd, files: &[(String, Secret<Vec<u8>>)]) {
    for (name, _) in files {
        if let Err(e) = rustix::fs::unlinkat(folder, name.as_str(), rustix::fs::AtFlags::empty()) {
            tracing::warn!(error = %e, "a worker's file could not be unlinked");
        }
    }
}
