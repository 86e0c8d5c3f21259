//! What slipway and its jail say to each other, over the socket that is the jail's standard input.
//!
//! Down: one message with the descriptors `[spec, files, control, listening socket…]`; `spec` is a memory file that holds a
//! [`Spec`] as JSON, `files` one that holds the configuration and the modules one after the other. Secrets are in there only:
//! never in an argument, an environment variable or a file on disk.
//! Up: [`STARTING`] with a descriptor of the folder that holds the files (slipway unlinks them when workerd has read them), or
//! [`FAILED`] and a sentence.

use std::os::fd::AsFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The exit code of a jail that could not be built.
pub const JAIL_FAILED: u8 = 125;
/// First byte of the message that precedes workerd; how much landlock enforces follows.
pub const STARTING: u8 = b'S';
/// First byte of the message that reports a failure.
pub const FAILED: u8 = b'F';
/// The uid and gid inside.
pub const INSIDE: u32 = 1_000;
/// Where files and temporary space are inside.
pub const SPACE: &str = "tmp";
/// Where the folder of Durable Objects is inside, if there is one.
pub const OBJECTS: &str = "objects";
/// Where the socket of the bindings is inside.
pub const HOST_SOCKET: &str = "run/host.sock";
/// Where the socket for everything outbound is inside.
pub const EGRESS_SOCKET: &str = "run/egress.sock";
/// The program inside.
pub const PROGRAM: &str = "workerd";
/// The configuration's file name; relative, so that it is right inside and outside a jail.
pub const CONFIG: &str = "config.capnp";
/// The constant in it.
pub const CONSTANT: &str = "config";

/// One process to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    pub confinement: Spot,
    /// Arguments of workerd before the descriptors are added.
    pub args: Vec<String>,
    /// Names of the listening sockets, in the order of their descriptors.
    pub sockets: Vec<String>,
    /// Files in the order of their bytes.
    pub files: Vec<FileSpec>,
    pub limits: Limits,
}

/// Where the process runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Spot {
    /// In namespaces of its own.
    Jail {
        /// The folder that becomes the root; holds an empty file for each bind.
        skeleton: PathBuf,
        /// Files that are seen inside, read-only.
        binds: Vec<Bind>,
        /// The uid and gid on the host; absent when slipway is not root, then its own are used.
        host_id: Option<u32>,
    },
    /// On the host, with the rights of slipway. Only for a person who asked for it.
    Unconfined { program: PathBuf, folder: PathBuf },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bind {
    pub from: PathBuf,
    /// Relative to the root.
    pub to: String,
    /// A device node, which a mount without devices would not open.
    pub device: bool,
    /// A folder that is written to.
    pub writable: bool,
}

impl Bind {
    pub fn file(from: impl Into<PathBuf>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), device: false, writable: false }
    }

    pub fn folder(from: impl Into<PathBuf>, to: impl Into<String>) -> Self {
        Self { writable: true, ..Self::file(from, to) }
    }

    pub fn device(name: &str) -> Self {
        Self { from: PathBuf::from("/dev").join(name), to: format!("dev/{name}"), device: true, writable: false }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FileSpec {
    pub name: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    pub files: u64,
    pub tasks: u64,
    /// Writable private memory (RLIMIT_DATA), in bytes.
    pub memory: u64,
    /// The private space, in bytes.
    pub space: u64,
    /// The largest file, in bytes.
    pub file: u64,
}

/// Says why there is no workerd. Failing to say so is no further failure: the exit code tells as much.
pub fn report(socket: impl AsFd, text: &str) {
    let mut message = vec![FAILED];
    message.extend_from_slice(text.as_bytes());
    let _ = rustix::net::send(socket, &message, rustix::net::SendFlags::NOSIGNAL);
}
