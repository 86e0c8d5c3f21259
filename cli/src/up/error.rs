//! Why the system does not start, and what to do.

use std::path::PathBuf;

use purser_values::error::{Kind, PublicError};

use crate::files::FileError;

#[derive(Debug, thiserror::Error)]
pub enum UpError {
    #[error("no data folder is named and HOME is not set")]
    NoFolder,
    #[error("another `purser up` runs on `{0}`")]
    Locked(PathBuf),
    #[error("the path `{0}` is no UTF-8")]
    Path(PathBuf),
    #[error("port {port} ({what}) is taken by another program")]
    PortTaken { port: u16, what: &'static str },
    #[error("there are no five free ports from {0} on")]
    PortBase(u16),
    #[error("no five free ports are found")]
    NoPorts,
    #[error("`{0}` is set up with a real payment rail, and `up` only knows sandbox money")]
    RealRail(PathBuf),
    #[error("the program `{name}` is not found{}", .at.as_ref().map(|at| format!(" at `{}`", at.display())).unwrap_or_default())]
    NoProgram { name: &'static str, at: Option<PathBuf> },
    #[error("{name} cannot be started: {cause}")]
    Start { name: &'static str, cause: std::io::Error },
    #[error("{name} ended while it started ({how}); its log says:\n{tail}")]
    Died { name: &'static str, how: String, tail: String },
    #[error("{name} does not answer after {seconds} s; its log says:\n{tail}")]
    Silent { name: &'static str, seconds: u64, tail: String },
    #[error("it was told to stop while it started")]
    Stopped,
    #[error("signals cannot be awaited: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    File(#[from] FileError),
}

impl PublicError for UpError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoFolder => "DATA_FOLDER_UNKNOWN",
            Self::Locked(_) => "ALREADY_RUNNING",
            Self::Path(_) => "DATA_FOLDER_UNFIT",
            Self::PortTaken { .. } => "PORT_TAKEN",
            Self::PortBase(_) | Self::NoPorts => "PORTS_UNAVAILABLE",
            Self::RealRail(_) => "REAL_RAIL_REFUSED",
            Self::NoProgram { .. } => "PROGRAM_MISSING",
            Self::Start { .. } | Self::Died { .. } | Self::Silent { .. } => "START_FAILED",
            Self::Stopped => "STOPPED",
            Self::Signals(_) => "INTERNAL",
            Self::File(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoFolder | Self::Path(_) | Self::PortBase(_) | Self::RealRail(_) => Kind::Invalid,
            Self::Locked(_) | Self::PortTaken { .. } | Self::NoPorts => Kind::Conflict,
            Self::NoProgram { .. } => Kind::NotFound,
            Self::Start { .. } | Self::Died { .. } | Self::Silent { .. } | Self::Signals(_) => Kind::Internal,
            Self::Stopped => Kind::Unavailable,
            Self::File(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFolder => "name it with `--data DIR`".to_owned(),
            Self::Locked(dir) => {
                format!("use it (`{}/run.json` has its addresses), stop it, or name another folder with `--data`", dir.display())
            }
            Self::Path(_) => "name another folder with `--data`".to_owned(),
            Self::PortTaken { port, .. } => format!(
                "end the program on port {port} (`ss -lptn 'sport = :{port}'` names it), or move to other ports with `--port-base N`; \
                 agents then log in again with `purser login --url URL`"
            ),
            Self::PortBase(_) => "choose another base between 1024 and 65531, or leave `--port-base` out".to_owned(),
            Self::NoPorts => "name a base with `--port-base N`".to_owned(),
            Self::RealRail(_) => "run it with `purser serve --config FILE`, or name another folder with `--data`".to_owned(),
            Self::NoProgram { name: "slipway", .. } => "put `slipway` beside `purser`, or set SLIPWAY_BIN to it".to_owned(),
            Self::NoProgram { name: "purser", .. } => "set PURSER_BIN to it, or leave it unset".to_owned(),
            Self::NoProgram { .. } => {
                "name it with `--workerd FILE` or PURSER_WORKERD; in the repository, `cargo xtask demo` fetches the pinned one".to_owned()
            }
            Self::Start { .. } | Self::Died { .. } | Self::Silent { .. } => "the whole log is in the folder `logs`".to_owned(),
            Self::Stopped | Self::Signals(_) => return None,
            Self::File(e) => return e.hint(),
        })
    }
}
