//! Whether and how this host can confine workerd, found out once by doing it.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use crate::jail::spec::{Bind, EGRESS_SOCKET, HOST_SOCKET, Limits, OBJECTS, PROGRAM, SPACE, Spot};
use crate::limits::{self, START};
use crate::runtime::cage::Bounds;
use crate::runtime::process::{Launch, Process, StartError};
use crate::runtime::spares::Spares;

/// How Workers run on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// Each account's process in a jail of its own.
    Jailed,
    /// Without a jail, because a person asked for it. Every page must say so.
    Unconfined,
    /// Not at all.
    Unavailable { why: String },
}

/// What every jail on this host shares.
#[derive(Clone, Debug)]
pub(crate) struct Walls {
    workerd: PathBuf,
    skeleton: PathBuf,
    binds: Vec<Bind>,
    /// With root's rights each account gets a uid of its own, counted from here.
    first_uid: Option<u32>,
}

/// uids of accounts start here when slipway is root.
const FIRST_UID: u32 = 100_000;
const UIDS: u32 = 1_000_000;

impl Walls {
    /// Looks up workerd's libraries and lays out the folder that becomes each jail's root.
    pub async fn lay_out(workerd: &Path, folder: &Path) -> io::Result<Self> {
        let workerd = workerd.canonicalize()?;
        let skeleton = folder.join("root");
        if skeleton.exists() {
            std::fs::remove_dir_all(&skeleton)?;
        }
        // The random device is the one thing besides its libraries that workerd opens.
        let mut binds = vec![Bind::file(&workerd, PROGRAM), Bind::device("urandom")];
        for library in libraries(&workerd).await? {
            let to = library.strip_prefix("/").unwrap_or(&library).to_string_lossy().into_owned();
            binds.push(Bind::file(library, to));
        }
        make_folder(&skeleton)?;
        make_folder(&skeleton.join(SPACE))?;
        make_folder(&skeleton.join(OBJECTS))?;
        let places = binds.iter().map(|b| b.to.as_str()).chain([HOST_SOCKET, EGRESS_SOCKET]);
        for place in places {
            let place = skeleton.join(place);
            if let Some(parent) = place.parent() {
                make_folder(parent)?;
            }
            std::fs::write(&place, b"")?;
        }
        let first_uid = nix::unistd::Uid::effective().is_root().then_some(FIRST_UID);
        Ok(Self { workerd, skeleton, binds, first_uid })
    }

    /// The spot of one account, whose sockets for bindings and for everything outbound are given.
    ///
    /// `objects` is the folder of its Durable Objects, where it keeps any; it becomes the account's.
    pub fn jail(&self, account: u32, host_socket: &Path, egress_socket: &Path, objects: Option<&Path>) -> io::Result<Spot> {
        let host_id = self.first_uid.map(|first| first + account % UIDS);
        let mut binds = self.binds.clone();
        binds.push(Bind::file(host_socket, HOST_SOCKET));
        binds.push(Bind::file(egress_socket, EGRESS_SOCKET));
        if let Some(folder) = objects {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            if let Some(id) = host_id {
                std::os::unix::fs::chown(folder, Some(id), Some(id))?;
            }
            binds.push(Bind::folder(folder, OBJECTS));
        }
        Ok(Spot::Jail { skeleton: self.skeleton.clone(), binds, host_id })
    }

    pub fn unconfined(&self, folder: PathBuf) -> Spot {
        Spot::Unconfined { program: self.workerd.clone(), folder }
    }

    /// Builds a jail and runs `workerd --version` in it.
    /// Answers what landlock enforces there, too.
    pub async fn probe(&self, spares: &Spares) -> (Confinement, String) {
        let spot = Spot::Jail { skeleton: self.skeleton.clone(), binds: self.binds.clone(), host_id: self.first_uid };
        let limits = allowance(0, limits::JAIL_MEMORY, false);
        let none = |why: String| (Confinement::Unavailable { why }, "none".to_owned());
        let bounds = Bounds { memory: limits.memory, tasks: limits.tasks };
        let args = vec!["--version".into()];
        let launch = Launch { account: Arc::from("probe"), spot, args, files: vec![], sockets: vec![], limits, bounds };
        let why = match Process::start(spares, launch).await {
            Ok(mut process) => match tokio::time::timeout(START, process.ended()).await {
                // It does not know `--control-fd` without `serve`; that it says so is proof enough that it ran.
                Ok(_) if process.said("workerd").await => return (Confinement::Jailed, process.landlock),
                Ok(status) => format!("workerd does not run in a jail: {status}: {}", process.output.text()),
                Err(_) => "workerd does not run in a jail: it hangs".to_owned(),
            },
            Err(StartError::Jail(why)) => why,
            Err(e) => e.to_string(),
        };
        none(why)
    }
}

/// The limits of a process whose files have this size together.
pub(crate) fn allowance(files: u64, memory: u64, objects: bool) -> Limits {
    let space = limits::JAIL_SPACE + files * 2;
    let file = if objects { limits::OBJECT_FILE } else { space };
    Limits { files: limits::JAIL_FILES, tasks: limits::JAIL_TASKS, memory, space, file }
}

/// What workerd is linked to, as the loader itself finds it.
async fn libraries(workerd: &Path) -> io::Result<Vec<PathBuf>> {
    let mut command = Command::new(workerd);
    let command = command.env_clear().env("LD_TRACE_LOADED_OBJECTS", "1").stdin(Stdio::null());
    let listed = command.output().await?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    let found: Vec<PathBuf> = text.lines().filter_map(path).collect();
    if found.is_empty() {
        return Err(io::Error::other(format!("`{}` does not tell its libraries; is it workerd for this machine?", workerd.display())));
    }
    Ok(found)
}

/// Readable for the accounts' uids; the folder above keeps everybody else out.
fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}
