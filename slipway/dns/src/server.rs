//! The running name server: one address, UDP and TCP.
//!
//! What it has in memory follows [`Nameserver::refresh`]; what is due for keys follows [`Nameserver::maintain`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::ProtoError;
use hickory_proto::dnssec::DnsSecError;
use hickory_proto::rr::{LowerName, Name, Record as WireRecord};
use purser_crypto::seal::Keyring;
use purser_db::{Db, DbError, Tx};
use purser_values::Env;
use purser_values::name::{DomainName, HostName};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::dnssec::keys::{self, Key, KeysError, zone_ds};
use crate::dnssec::roll::key_step;
use crate::dnssec::signer::Signer;
use crate::record::Record;
use crate::snapshot::{Common, LoadedZone, Snapshot, wire_name};
use crate::transfer::Taken;
use crate::turns::Turns;
use crate::udp::Listeners;
use crate::zone::Zone;
use crate::{store, tcp, transfer};

/// Zones that are made ready at a time.
const BUILDS: usize = 4;
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
    /// Other name servers that may have whole zones and are told of changes.
    pub secondaries: Vec<SocketAddr>,
    /// Equal answers to one network in a second over UDP; nothing for no limit.
    pub answers_per_second: Option<u32>,
}

/// What [`DnsConfig::answers_per_second`] is where nobody says otherwise.
pub const ANSWERS_PER_SECOND: u32 = 200;

/// A running name server. Dropping it stops it.
pub struct Nameserver {
    pub addr: SocketAddr,
    db: Db,
    env: Env,
    keyring: Keyring,
    snapshot: Arc<Snapshot>,
    common: Common,
    secondaries: Vec<SocketAddr>,
    taken: Arc<Taken>,
    turns: Turns,
    /// Zones that are made ready at a time: each takes a processor while it lasts.
    builds: Semaphore,
    tcp: tokio::task::JoinHandle<()>,
    _udp: Listeners,
}

/// Why the name server did not start or did not follow a change.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("cannot listen on `{addr}`: {source}; stop what uses the port or configure another")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("a zone does not fit the wire: {0}")]
    Zone(#[from] ProtoError),
    #[error("a zone cannot be signed: {0}")]
    Signing(#[from] DnsSecError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// A zone as it is in the database.
struct Stored {
    zone: Zone,
    records: Vec<Record>,
    keys: Vec<(Key, Vec<u8>)>,
    /// The tags of the keys that the parent should name.
    wanted: Vec<u16>,
}

impl Nameserver {
    /// Loads all zones, binds UDP and TCP, and answers until dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or the zones cannot be read.
    pub async fn start(config: DnsConfig, db: Db, env: Env, keyring: Keyring) -> Result<Self, DnsError> {
        let common = Common {
            name_servers: config.name_servers,
            edge_v4: config.edge_v4,
            edge_v6: config.edge_v6,
            common_domain: config.common_domain,
        };
        let snapshot = Arc::new(Snapshot::default());
        let now = env.now();
        let all = db.read(move |tx| {
            let zones = store::zones(tx)?;
            zones.into_iter().map(|zone| stored(tx, zone, now)).collect::<Result<Vec<_>, KeysError>>()
        });
        let all = all.await?.into_iter().map(|stored| load(stored, &common, &env, &keyring)).collect::<Result<_, _>>()?;
        snapshot.replace_all(all);
        let failed = |source| DnsError::Listen { addr: config.listen, source };
        let (udp, tcp) = bind(config.listen).await.map_err(failed)?;
        let addr = udp.local_addr().map_err(failed)?;
        let listeners = Listeners::start(udp, snapshot.clone(), config.answers_per_second).map_err(failed)?;
        let may_transfer = config.secondaries.iter().map(|secondary| secondary.ip().to_canonical()).collect();
        let taken = Arc::<Taken>::default();
        let tcp = tokio::spawn(tcp::serve(tcp, Arc::new(tcp::Shared::new(snapshot.clone(), may_transfer, taken.clone()))));
        let (secondaries, turns, builds) = (config.secondaries, Turns::default(), Semaphore::new(BUILDS));
        Ok(Self { addr, db, env, keyring, snapshot, common, secondaries, taken, turns, builds, tcp, _udp: listeners })
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
        let turn = self.turns.take(name);
        let mut turn = turn.wait().await;
        if turn.is_done() {
            return Ok(());
        }
        turn.begin();
        let (wanted, now) = (name.clone(), self.env.now());
        let found = self.db.read(move |tx| {
            let zone = store::zone(tx, &wanted)?;
            zone.map(|zone| stored(tx, zone, now)).transpose()
        });
        let loaded = match found.await? {
            Some(stored) => Some(self.build(stored).await?),
            None => None,
        };
        let origin = wire_name(name.as_str())?;
        let soa = loaded.as_ref().map(|zone| zone.soa.clone());
        self.snapshot.replace(&LowerName::new(&origin), loaded);
        turn.end();
        // After it is served: a secondary that came sooner would find the old zone and take it for the newest.
        if let Some(soa) = soa {
            self.tell(&origin, &soa);
        }
        Ok(())
    }

    /// Does what is due for the keys of all zones: to be called every few minutes.
    ///
    /// # Errors
    /// When the store fails, or a key cannot be made.
    pub async fn maintain(&self) -> Result<(), DnsError> {
        let signed = self.db.read(store::signed_zones).await?;
        if signed.is_empty() {
            return Ok(());
        }
        // Which keys the zones ask their parents to name, as they are served now.
        let mut told = HashMap::new();
        for zone in &signed {
            let served = self.snapshot.zone(&LowerName::new(&wire_name(zone.name.as_str())?));
            let wanted = served.and_then(|zone| zone.signed.as_ref().map(|signed| signed.signer.wanted().to_vec()));
            told.insert(zone.id.clone(), wanted);
        }
        let (env, keyring) = (self.env.clone(), self.keyring.clone());
        let changed = self.db.write(move |tx| {
            let mut changed = Vec::new();
            for zone in store::signed_zones(tx)? {
                let stepped = key_step(tx, &env, &keyring, &zone)?;
                let wanted: Vec<u16> = zone_ds(tx, env.now(), &zone)?.iter().map(|ds| ds.key_tag).collect();
                if !stepped && told.get(&zone.id) == Some(&Some(wanted)) {
                    continue;
                }
                if !stepped {
                    store::touch(tx, &zone, env.now())?;
                }
                changed.push(zone.name);
            }
            Ok::<_, KeysError>(changed)
        });
        for zone in changed.await? {
            self.refresh(&zone).await?;
        }
        Ok(())
    }

    /// Makes a zone ready away from those who answer: a large one takes a while.
    async fn build(&self, stored: Stored) -> Result<LoadedZone, DnsError> {
        let _one = self.builds.acquire().await;
        let (common, env, keyring) = (self.common.clone(), self.env.clone(), self.keyring.clone());
        let built = tokio::task::spawn_blocking(move || load(stored, &common, &env, &keyring));
        built.await.map_err(|e| DnsError::Store(DbError::Other(e.to_string())))?
    }

    fn tell(&self, origin: &Name, soa: &WireRecord) {
        for to in &self.secondaries {
            tokio::spawn(transfer::notify(origin.clone(), soa.clone(), *to, self.taken.clone()));
        }
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.tcp.abort();
    }
}

fn stored(tx: &mut Tx<'_>, zone: Zone, now: purser_values::Timestamp) -> Result<Stored, KeysError> {
    let wanted = zone_ds(tx, now, &zone)?.into_iter().map(|ds| ds.key_tag).collect();
    Ok(Stored { records: store::records(tx, &zone.name)?, keys: keys::sealed_keys(tx, &zone)?, wanted, zone })
}

fn load(stored: Stored, common: &Common, env: &Env, keyring: &Keyring) -> Result<LoadedZone, DnsError> {
    let Stored { zone, records, keys, wanted } = stored;
    let signer = if keys.is_empty() {
        None
    } else {
        let opened = keys.into_iter().map(|(key, sealed)| Ok((keys::unseal(keyring, &zone, &key, &sealed)?, key)));
        let opened = opened.map(|one: Result<_, KeysError>| one.map(|(secret, key)| (key, secret))).collect::<Result<_, _>>()?;
        Some(Signer::new(env.clone(), wire_name(zone.name.as_str())?, opened, wanted))
    };
    Ok(LoadedZone::load(&zone, &records, common, signer)?)
}

/// Both protocols on one port; port 0 takes any that is free for both.
async fn bind(listen: SocketAddr) -> std::io::Result<(std::net::UdpSocket, TcpListener)> {
    let mut tries = if listen.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = std::net::UdpSocket::bind(listen)?;
        match TcpListener::bind(udp.local_addr()?).await {
            Err(e) if tries > 0 && e.kind() == std::io::ErrorKind::AddrInUse => {}
            tcp => return Ok((udp, tcp?)),
        }
    }
}
