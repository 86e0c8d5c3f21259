//! The configuration of each half, written anew at every start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use purser_values::{Env, Sha256Digest};
use serde::Serialize;

use super::binaries::Binaries;
use super::folder::Folder;
use super::leave::Leave;
use super::{Ports, UpError};
use crate::files::{self, FileError};

const HEAD: &str = "# Written by `purser up` at every start: what is changed here is lost.\n# For a configuration of your own, use `serve --config FILE`.\n";

/// Who plays the operator in the sandbox.
const OPERATOR: &str = "operator@purser.test";

#[derive(Serialize)]
struct Orchestrator {
    profile: &'static str,
    listen: SocketAddr,
    public_url: String,
    /// Whoever asks for other ports has said that the address changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url_was: Option<String>,
    database: String,
    data: PathBuf,
    keys: PathBuf,
    /// Exactly these origins may be fetched although they are on this machine.
    fetch_allow: Vec<String>,
    mail: Mail,
    sandbox: OrchestratorSandbox,
    registration: Registration,
    credits: OrchestratorCredits,
    providers: Vec<Provider>,
}

/// Who decides over applications for credit. Anybody at this machine can read that mailbox: nothing is real here.
#[derive(Serialize)]
struct OrchestratorCredits {
    approvers: [&'static str; 1],
}

/// Everybody may register OAuth clients: nothing is real here.
#[derive(Serialize)]
struct Registration {
    open: bool,
}

#[derive(Serialize)]
struct Mail {
    folder: PathBuf,
}

#[derive(Serialize)]
struct OrchestratorSandbox {
    rail: bool,
    open_sign_up: bool,
    export_permission: bool,
    site_port: u16,
}

/// One person's machine has nobody to protect from its own visitors, and is measured.
const UNHURRIED: u32 = 1_000_000;
/// How many times the usual may be done in a time there.
const PACE: u32 = 100;

#[derive(Serialize)]
struct Provider {
    name: &'static str,
    url: String,
    signing_secret_file: PathBuf,
}

#[derive(Serialize)]
struct Slipway {
    profile: &'static str,
    listen_api: SocketAddr,
    listen_edge_https: SocketAddr,
    listen_edge_http: SocketAddr,
    listen_dns: SocketAddr,
    public_api_url: String,
    database: String,
    data: PathBuf,
    workerd: PathBuf,
    keys: PathBuf,
    requests_per_s: u32,
    pace: u32,
    orchestrator: Peer,
    mail: Mail,
    sandbox: SlipwaySandbox,
    credits: [Programme; 1],
}

/// A programme of credit, to try it out.
#[derive(Serialize)]
struct Programme {
    id: &'static str,
    title: &'static str,
    description: &'static str,
    amount: &'static str,
    months: u32,
    total: &'static str,
}

#[derive(Serialize)]
struct Peer {
    url: String,
    signing_secret_file: PathBuf,
}

#[derive(Serialize)]
struct SlipwaySandbox {
    registry: bool,
    contacts: bool,
    local_ca: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfined_sha256: Option<Sha256Digest>,
}

pub(super) fn write(
    env: &Env,
    folder: &Folder,
    ports: &Ports,
    binaries: &Binaries,
    leave: Option<&Leave>,
    allow: &[String],
    registrant: bool,
) -> Result<(), UpError> {
    let last = last(folder)?;
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let database = |name: &str| format!("sqlite:{}", folder.dir().join(name).display());
    let public_url = format!("http://localhost:{}", ports.orchestrator);
    let orchestrator = Orchestrator {
        profile: "sandbox",
        listen: here(ports.orchestrator),
        public_url_was: moved_from(&last, &public_url),
        public_url,
        database: database("purser.db"),
        data: folder.dir().to_owned(),
        keys: folder.keys().join("orchestrator"),
        fetch_allow: std::iter::once(here(ports.cloud_api).to_string()).chain(allow.iter().cloned()).collect(),
        mail: Mail { folder: folder.mail() },
        sandbox: OrchestratorSandbox { rail: true, open_sign_up: true, export_permission: true, site_port: ports.edge_http },
        registration: Registration { open: true },
        credits: OrchestratorCredits { approvers: [OPERATOR] },
        providers: vec![Provider {
            name: "slipway",
            url: format!("http://{}/", here(ports.cloud_api)),
            signing_secret_file: folder.signing_secret(),
        }],
    };
    let slipway = Slipway {
        profile: "sandbox",
        listen_api: here(ports.cloud_api),
        listen_edge_https: here(ports.edge_https),
        listen_edge_http: here(ports.edge_http),
        listen_dns: here(ports.dns),
        public_api_url: format!("http://{}/", here(ports.cloud_api)),
        database: database("slipway.db"),
        data: folder.dir().to_owned(),
        workerd: binaries.workerd.clone(),
        keys: folder.keys().join("slipway"),
        requests_per_s: UNHURRIED,
        pace: PACE,
        orchestrator: Peer { url: orchestrator.public_url.clone(), signing_secret_file: folder.signing_secret() },
        mail: Mail { folder: folder.mail() },
        sandbox: SlipwaySandbox { registry: true, contacts: registrant, local_ca: true, unconfined_sha256: leave.map(Leave::digest) },
        credits: [Programme {
            id: "start-up",
            title: "Start-up programme",
            description: "For young companies, on the word of the orchestrator that they are",
            amount: "100000.00",
            months: 12,
            total: "1000000.00",
        }],
    };
    save(env, folder.orchestrator_config(), &orchestrator)?;
    save(env, folder.slipway_config(), &slipway)
}

fn save(env: &Env, path: PathBuf, configuration: &impl Serialize) -> Result<(), UpError> {
    let text = toml::to_string(configuration).map_err(|e| FileError::Malformed { path: path.clone(), why: e.to_string() })?;
    Ok(files::write_private(env, &path, format!("{HEAD}\n{text}").as_bytes())?)
}

/// What was written at the last start, or nothing.
///
/// INVARIANT (sandbox-only): somebody who set this folder up for real money does not get sandbox money by mistake, nor the
/// other way round.
fn last(folder: &Folder) -> Result<toml::Table, UpError> {
    let path = folder.orchestrator_config();
    let Some(text) = files::read_text(&path)? else { return Ok(toml::Table::new()) };
    let found: toml::Table = toml::from_str(&text).map_err(|e| FileError::Malformed { path: path.clone(), why: e.message().to_owned() })?;
    let sandbox = found.get("profile").and_then(toml::Value::as_str) == Some("sandbox");
    let rail = found.get("sandbox").and_then(|table| table.get("rail")).and_then(toml::Value::as_bool) == Some(true);
    if sandbox && rail && !found.contains_key("rail") { Ok(found) } else { Err(UpError::RealRail(path)) }
}

/// The address of before, where it was another one. The file keeps it, so that a start that failed in between changes nothing.
fn moved_from(last: &toml::Table, public_url: &str) -> Option<String> {
    let said = |key: &str| last.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    said("public_url").filter(|before| before != public_url).or_else(|| said("public_url_was"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_for_real_money_is_refused_and_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let env = Env::system();
        let folder = Folder::open(&env, parent.path()).unwrap();
        let ports = Ports { orchestrator: 1, cloud_api: 2, edge_https: 3, edge_http: 4, dns: 5 };
        let program = PathBuf::from("/bin/true");
        let binaries = Binaries { purser: program.clone(), orchestrator: program.clone(), slipway: program.clone(), workerd: program };
        write(&env, &folder, &ports, &binaries, None, &[], false).unwrap();
        write(&env, &folder, &ports, &binaries, None, &[], false).unwrap();
        let text = std::fs::read_to_string(folder.slipway_config()).unwrap();
        assert!(text.contains("listen_dns = \"127.0.0.1:5\""), "{text}");
        assert!(!std::fs::read_to_string(folder.orchestrator_config()).unwrap().contains("public_url_was"));
        let elsewhere = Ports { orchestrator: 11, ..ports };
        for _ in 0..2 {
            write(&env, &folder, &elsewhere, &binaries, None, &[], false).unwrap();
            let text = std::fs::read_to_string(folder.orchestrator_config()).unwrap();
            assert!(text.contains("public_url_was = \"http://localhost:1\""), "the move is not told: {text}");
        }
        for real in [
            "profile = \"production\"\n",
            "profile = \"sandbox\"\n[sandbox]\nrail = true\n[rail]\nkind = \"stripe\"\n",
            "profile = \"sandbox\"\n",
        ] {
            std::fs::write(folder.orchestrator_config(), real).unwrap();
            assert!(matches!(write(&env, &folder, &ports, &binaries, None, &[], false), Err(UpError::RealRail(_))), "{real}");
            assert_eq!(std::fs::read_to_string(folder.orchestrator_config()).unwrap(), real);
        }
    }
}
