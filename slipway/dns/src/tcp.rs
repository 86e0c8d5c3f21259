//! Questions over TCP (RFC 7766), and whole zones for those who may have them (RFC 5936).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{LowerName, RecordType};
use purser_http::crowd::{Crowd, Seat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::answer::Answer;
use crate::respond::{Transport, message, respond};
use crate::snapshot::Snapshot;
use crate::transfer::{self, Taken};

/// How long a connection may be silent, and how long one question or answer may take (RFC 7766 section 6.2.3).
const IDLE: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(10);
/// How old a connection may become, whatever comes over it: whoever asks a little now and then does not keep a place for ever.
const AGE: Duration = Duration::from_secs(60);
/// Connections at a time, and those of one address (of one /64 in IPv6, where one customer has that many addresses).
const CONNECTIONS: usize = 512;
const CONNECTIONS_EACH: usize = 32;
/// Questions on one connection.
const QUESTIONS: usize = 1_000;
/// Whole zones under way at a time, and the time for one.
const TRANSFERS: usize = 4;
const TRANSFER: Duration = Duration::from_secs(120);
/// Pause when no connection can be taken, as when all files are in use.
const PAUSE: Duration = Duration::from_millis(50);

/// What all connections share.
pub struct Shared {
    pub snapshot: Arc<Snapshot>,
    /// Who may have whole zones.
    pub secondaries: Vec<IpAddr>,
    taken: Arc<Taken>,
    transfers: Semaphore,
    all: Arc<Semaphore>,
    crowd: Crowd,
}

impl Shared {
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, secondaries: Vec<IpAddr>, taken: Arc<Taken>) -> Self {
        Self {
            snapshot,
            secondaries,
            taken,
            transfers: Semaphore::new(TRANSFERS),
            all: Arc::new(Semaphore::new(CONNECTIONS)),
            crowd: Crowd::new(CONNECTIONS_EACH, Vec::new()),
        }
    }

    /// A place for a connection of this address, if one is left.
    fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let seat = self.crowd.enter(from)?;
        let one = self.all.clone().try_acquire_owned().ok()?;
        Some(Place { shared: self.clone(), from, _seat: seat, _one: one })
    }
}

/// One connection; given back when dropped.
struct Place {
    shared: Arc<Shared>,
    from: IpAddr,
    _seat: Seat,
    _one: OwnedSemaphorePermit,
}

/// Takes connections for ever.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                if let Some(place) = shared.enter(from.ip().to_canonical()) {
                    tokio::spawn(connection(stream, from, place));
                }
            }
            Err(e) => {
                tracing::debug!(error = %e, "a connection was not taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(mut stream: TcpStream, from: SocketAddr, place: Place) {
    let ends = Instant::now() + AGE;
    for _ in 0..QUESTIONS {
        let wait = IDLE.min(ends.saturating_duration_since(Instant::now()));
        let Ok(Some(question)) = timeout(wait, read(&mut stream)).await else { return };
        let written = match transfer_of(&place.shared, from.ip().to_canonical(), &question) {
            Some(messages) => timeout(TRANSFER, whole(&mut stream, &place, messages)).await,
            None => {
                let reply = respond(&place.shared.snapshot.look(), &question, Transport::Tcp);
                match reply {
                    Some(reply) => timeout(WRITE, write(&mut stream, &reply.bytes)).await,
                    None => return,
                }
            }
        };
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// What is asked for with a transfer: the request, for a zone that is here and somebody who may have it.
fn transfer_of(shared: &Shared, from: IpAddr, question: &[u8]) -> Option<Message> {
    let request = Message::from_vec(question).ok()?;
    let [query] = request.queries.as_slice() else { return None };
    let asked = request.metadata.op_code == OpCode::Query && matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    (asked && shared.secondaries.contains(&from)).then_some(request)
}

async fn whole(stream: &mut TcpStream, place: &Place, request: Message) -> std::io::Result<()> {
    let shared = &place.shared;
    let zone = request.queries.first().and_then(|query| shared.snapshot.zone(&LowerName::new(query.name())));
    let Some(zone) = zone else {
        let refused = message(&request.metadata, &request.queries, Answer::code(ResponseCode::NotAuth));
        return write(stream, &refused.to_vec().map_err(std::io::Error::other)?).await;
    };
    let _one = shared.transfers.acquire().await.map_err(std::io::Error::other)?;
    let soa = zone.soa.clone();
    // Signing a zone that nobody asked for yet takes its time.
    let messages = tokio::task::spawn_blocking(move || transfer::messages(&zone, &request)).await?;
    for message in messages.map_err(std::io::Error::other)? {
        write(stream, &message).await?;
    }
    shared.taken.note(place.from, &soa);
    Ok(())
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let mut framed = Vec::with_capacity(2 + bytes.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_of_places_and_all_together_theirs() {
        let shared = Arc::new(Shared::new(Arc::default(), Vec::new(), Arc::default()));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let own: Vec<Place> = (0..CONNECTIONS_EACH).map(|i| shared.enter(ip(&format!("2001:db8::{i:x}"))).unwrap()).collect();
        assert!(shared.enter(ip("2001:db8::ffff:1")).is_none(), "one network takes the places of others, address by address");
        assert!(shared.enter(ip("2001:db8:0:1::1")).is_some());
        drop(own);
        let all: Vec<Place> = (0..CONNECTIONS).map(|i| shared.enter(ip(&format!("10.0.{}.{}", i / 250, i % 250))).unwrap()).collect();
        assert!(shared.enter(ip("192.0.2.1")).is_none(), "more than all places");
        drop(all);
        assert!(shared.enter(ip("2001:db8::1")).is_some());
    }
}
