//! `run.json`: where everything answers, while it does.

use std::path::{Path, PathBuf};

use purser_values::Env;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::{Ports, UpError};
use crate::files::{self, FileError};

const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    pub version: u32,
    pub profile: String,
    /// The supervisor's process.
    pub pid: u32,
    pub orchestrator: Orchestrator,
    pub cloud: Cloud,
    /// The local authority's certificate, for `curl --cacert`.
    pub ca: PathBuf,
    /// The development mailbox: one `.eml` file for each message.
    pub mail: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orchestrator {
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cloud {
    pub api: String,
    pub provisioning: String,
    pub edge_https: String,
    pub edge_http: String,
    pub dns: String,
}

impl Running {
    pub(super) fn new(folder: &Folder, ports: &Ports) -> Self {
        let here = |port: u16| format!("127.0.0.1:{port}");
        Self {
            version: VERSION,
            profile: "sandbox".to_owned(),
            pid: std::process::id(),
            orchestrator: Orchestrator { url: format!("http://localhost:{}", ports.orchestrator) },
            cloud: Cloud {
                api: format!("http://{}/client/v4", here(ports.cloud_api)),
                provisioning: format!("http://{}/", here(ports.cloud_api)),
                edge_https: here(ports.edge_https),
                edge_http: here(ports.edge_http),
                dns: here(ports.dns),
            },
            ca: folder.dir().join("ca.pem"),
            mail: folder.mail(),
        }
    }
}

pub(super) fn write(env: &Env, path: &Path, running: &Running) -> Result<(), UpError> {
    let mut text = serde_json::to_string_pretty(running).unwrap_or_default();
    text.push('\n');
    Ok(files::write_private(env, path, text.as_bytes())?)
}

pub(super) fn read(path: &Path) -> Result<Option<Running>, FileError> {
    let Some(text) = files::read_text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|e| FileError::Malformed { path: path.to_owned(), why: e.to_string() })
}
