//! The running name server: one address, UDP and TCP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::rr::LowerName;
use hickory_server::Server;
use purser_db::{Db, DbError};
use purser_values::name::{DomainName, HostName};
use tokio::net::{TcpListener, UdpSocket};

use crate::handler::Handler;
use crate::snapshot::{Common, LoadedZone, Snapshot, wire_name};
use crate::store;

/// How long an idle TCP connection is kept (RFC 7766).
const TCP_IDLE: Duration = Duration::from_secs(5);
/// Answers that wait in one TCP connection.
const TCP_QUEUE: usize = 32;
/// Tries to find a port that is free for UDP and TCP, when any port will do.
const PORT_TRIES: usize = 20;

/// Where the name server listens and what all zones have in common.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    pub listen: SocketAddr,
    /// The name servers of every zone, the primary one first.
    pub name_servers: Vec<HostName>,
    /// The addresses of hosts that our edge serves: 127.0.0.1 in the sandbox.
    pub edge_v4: Vec<Ipv4Addr>,
    pub edge_v6: Vec<Ipv6Addr>,
    /// The common domain of Workers, if there is one.
    pub common_domain: Option<HostName>,
}

/// A running name server. Dropping it stops it.
pub struct Nameserver {
    pub addr: SocketAddr,
    db: Db,
    snapshot: Arc<Snapshot>,
    common: Common,
    /// One refresh at a time, or an older reading could replace a newer one.
    refreshing: tokio::sync::Mutex<()>,
    _server: Server<Handler>,
}

/// Why the name server did not start or did not follow a change.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("cannot listen on `{addr}`: {source}; stop what uses the port or configure another")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("a zone does not fit the wire: {0}")]
    Zone(#[from] ProtoError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl Nameserver {
    /// Loads all zones, binds UDP and TCP, and answers until dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or the zones cannot be read.
    pub async fn start(config: DnsConfig, db: Db) -> Result<Self, DnsError> {
        let common = Common {
            name_servers: config.name_servers,
            edge_v4: config.edge_v4,
            edge_v6: config.edge_v6,
            common_domain: config.common_domain,
        };
        let snapshot = Arc::new(Snapshot::default());
        snapshot.replace_all(load_all(&db, &common).await?);
        let (udp, tcp) = bind(config.listen).await.map_err(|source| DnsError::Listen { addr: config.listen, source })?;
        let addr = udp.local_addr().map_err(|source| DnsError::Listen { addr: config.listen, source })?;
        let mut server = Server::new(Handler(snapshot.clone()));
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_QUEUE);
        Ok(Self { addr, db, snapshot, common, refreshing: tokio::sync::Mutex::default(), _server: server })
    }

    /// The common domain of Workers, whose names an apex may stand for.
    #[must_use]
    pub const fn common_domain(&self) -> Option<&HostName> {
        self.common.common_domain.as_ref()
    }

    /// Follows a change of one zone. Called after the write that changed it has committed; the next query sees it.
    ///
    /// # Errors
    /// When the zone cannot be read; then the server keeps answering from what it had.
    pub async fn refresh(&self, name: &DomainName) -> Result<(), DnsError> {
        let _one = self.refreshing.lock().await;
        let wanted = name.clone();
        let found = self
            .db
            .read(move |tx| {
                let zone = store::zone(tx, &wanted)?;
                zone.map(|zone| Ok::<_, DbError>((store::records(tx, &zone.name)?, zone))).transpose()
            })
            .await?;
        let loaded = found.map(|(records, zone)| LoadedZone::load(&zone, &records, &self.common)).transpose()?;
        self.snapshot.replace(&LowerName::new(&wire_name(name.as_str())?), loaded);
        Ok(())
    }
}

async fn load_all(db: &Db, common: &Common) -> Result<Vec<LoadedZone>, DnsError> {
    let all = db
        .read(|tx| {
            let zones = store::zones(tx)?;
            zones.into_iter().map(|zone| Ok::<_, DbError>((store::records(tx, &zone.name)?, zone))).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(all.iter().map(|(records, zone)| LoadedZone::load(zone, records, common)).collect::<Result<_, _>>()?)
}

/// Both protocols on one port; port 0 takes any that is free for both.
async fn bind(listen: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if listen.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(listen).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Err(e) if tries > 0 && e.kind() == std::io::ErrorKind::AddrInUse => {}
            tcp => return Ok((udp, tcp?)),
        }
    }
}
