//! The five ports: chosen once, kept in `ports.json`, and the same after every restart, because addresses are remembered by
//! agents, accounts and browsers.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use purser_values::Env;
use serde::{Deserialize, Serialize};

use super::UpError;
use super::folder::Folder;
use crate::files::{self, FileError};

/// Below the range from which the system takes ports for outgoing connections, so that none is taken by chance.
const RANGE: (u16, u16) = (20_000, 32_000);
const TRIES: usize = 200;
/// How long children of a supervisor that was killed may take to let go of their ports.
const LETTING_GO: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub orchestrator: u16,
    pub cloud_api: u16,
    pub edge_https: u16,
    pub edge_http: u16,
    pub dns: u16,
}

impl Ports {
    const fn from(base: u16) -> Self {
        Self { orchestrator: base, cloud_api: base + 1, edge_https: base + 2, edge_http: base + 3, dns: base + 4 }
    }

    const fn named(&self) -> [(u16, &'static str); 5] {
        [
            (self.orchestrator, "the orchestrator"),
            (self.cloud_api, "the cloud's API"),
            (self.edge_https, "sites over HTTPS"),
            (self.edge_http, "sites over HTTP"),
            (self.dns, "DNS"),
        ]
    }

    /// The first port that somebody else has.
    fn taken(&self) -> Option<(u16, &'static str)> {
        self.named().into_iter().find(|(port, what)| !is_free(*port, *what == "DNS"))
    }
}

fn is_free(port: u16, datagrams: bool) -> bool {
    let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    stream.is_ok() && (!datagrams || UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// The ports of this folder: those asked for, else those kept, else new ones.
pub(super) async fn settle(env: &Env, folder: &Folder, base: Option<u16>) -> Result<Ports, UpError> {
    let kept = read(folder)?;
    let ports = match (base, kept) {
        (Some(base), _) if !(1024..=65_531).contains(&base) => return Err(UpError::PortBase(base)),
        (Some(base), _) => Ports::from(base),
        (None, Some(kept)) => kept,
        (None, None) => choose(env)?,
    };
    await_free(&ports).await?;
    if kept != Some(ports) {
        let text = serde_json::to_string_pretty(&ports).unwrap_or_default();
        files::write_private(env, &folder.ports_file(), text.as_bytes())?;
    }
    Ok(ports)
}

fn read(folder: &Folder) -> Result<Option<Ports>, UpError> {
    let path = folder.ports_file();
    let Some(text) = files::read_text(&path)? else { return Ok(None) };
    Ok(Some(serde_json::from_str(&text).map_err(|e| FileError::Malformed { path, why: e.to_string() })?))
}

fn choose(env: &Env) -> Result<Ports, UpError> {
    let span = RANGE.1 - RANGE.0;
    (0..TRIES)
        .map(|_| Ports::from(RANGE.0 + u16::from_le_bytes(env.bytes::<2>()) % span))
        .find(|ports| ports.taken().is_none())
        .ok_or(UpError::NoPorts)
}

async fn await_free(ports: &Ports) -> Result<(), UpError> {
    let start = Instant::now();
    loop {
        match ports.taken() {
            None => return Ok(()),
            Some((port, what)) if start.elapsed() > LETTING_GO => return Err(UpError::PortTaken { port, what }),
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_are_kept_and_a_taken_one_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let env = Env::system();
        let folder = Folder::open(&env, parent.path()).unwrap();
        let first = settle(&env, &folder, None).await.unwrap();
        assert_eq!(settle(&env, &folder, None).await.unwrap(), first);
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, first.edge_http)).unwrap();
        match settle(&env, &folder, None).await {
            Err(UpError::PortTaken { port, .. }) => assert_eq!(port, first.edge_http),
            other => panic!("{other:?}"),
        }
        assert!(matches!(settle(&env, &folder, Some(80)).await, Err(UpError::PortBase(80))));
        assert!(matches!(settle(&env, &folder, Some(65_532)).await, Err(UpError::PortBase(65_532))));
        assert_eq!(read(&folder).unwrap(), Some(first), "a failure changed the file");
    }
}
