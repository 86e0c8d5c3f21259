//! A whole zone in messages (RFC 5936), with its signatures, for secondaries; and the word that it changed (RFC 1996).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::respond::message;
use crate::snapshot::LoadedZone;

/// Records in one message: as many as surely fit.
const RECORDS: usize = 60;
/// Tries to tell a secondary, and the wait after the first, which doubles.
const TRIES: u32 = 4;
const WAIT: Duration = Duration::from_secs(1);
/// Time between a transfer and word of the next change. NSD takes a zone that it is told of while it still loads the last one, and does not
/// serve it.
const GAP: Duration = Duration::from_secs(2);
/// How long a secondary that heard has to come for the zone before it is told again.
const AGAIN: [Duration; 3] = [Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(60)];

/// The answers to a question for the whole zone: from its start of authority to the same again.
///
/// # Errors
/// When a record does not fit the wire.
pub fn messages(zone: &LoadedZone, request: &Message) -> Result<Vec<Vec<u8>>, ProtoError> {
    let mut records = vec![zone.soa.clone()];
    for (name, node) in &zone.nodes {
        let below = zone.is_below_cut(name);
        let delegated = *name != zone.origin && !node.set(RecordType::NS).is_empty();
        for set in node.sets() {
            if set.kind != RecordType::SOA {
                records.extend(set.records.iter().cloned());
            }
            // Addresses below a delegation, and the delegation itself, are not ours to sign.
            if let Some(signed) = zone.signed.as_ref().filter(|_| !below && (!delegated || set.kind == RecordType::DS)) {
                records.extend(signed.signer.signatures(&set.records, &set.signatures));
            }
        }
    }
    for link in zone.signed.iter().flat_map(|signed| signed.chain.links()) {
        records.push(link.record.clone());
        if let Some(signed) = &zone.signed {
            records.extend(signed.signer.signatures(std::slice::from_ref(&link.record), &link.signatures));
        }
    }
    records.push(zone.soa.clone());
    let mut first = true;
    let mut all = Vec::new();
    for part in packed(records)? {
        let answer = Answer { authoritative: true, answers: part, ..Answer::code(hickory_proto::op::ResponseCode::NoError) };
        let queries: &[Query] = if first { &request.queries } else { &[] };
        all.push(message(&request.metadata, queries, answer).to_vec()?);
        first = false;
    }
    Ok(all)
}

/// Parts that fit into one message each: a long record may need one for itself.
fn packed(records: Vec<Record>) -> Result<Vec<Vec<Record>>, ProtoError> {
    use hickory_proto::serialize::binary::BinEncodable as _;
    let (mut all, mut part, mut size) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let length = record.to_bytes()?.len();
        if part.len() >= RECORDS || (size + length > 32_000 && !part.is_empty()) {
            all.push(std::mem::take(&mut part));
            size = 0;
        }
        size += length;
        part.push(record);
    }
    all.push(part);
    Ok(all)
}

/// What secondaries have taken: the serial of the last whole zone that went to each, and when.
#[derive(Default)]
pub struct Taken(Mutex<HashMap<(IpAddr, Name), (u32, Instant)>>);

impl Taken {
    pub fn note(&self, by: IpAddr, soa: &Record) {
        if let Some(serial) = serial(soa) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((by, soa.name.to_lowercase()), (serial, Instant::now()));
        }
    }

    /// Whether a secondary has this zone as it is, or a later one.
    fn has(&self, secondary: IpAddr, soa: &Record) -> bool {
        // Serials go round (RFC 1982).
        self.last(secondary, soa).zip(serial(soa)).is_some_and(|((has, _), wanted)| has.wrapping_sub(wanted) < 1 << 31)
    }

    /// How long a secondary is left alone with what it has just taken.
    fn rest(&self, secondary: IpAddr, soa: &Record) -> Duration {
        self.last(secondary, soa).map_or(Duration::ZERO, |(_, at)| GAP.saturating_sub(at.elapsed()))
    }

    fn last(&self, secondary: IpAddr, soa: &Record) -> Option<(u32, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(secondary, soa.name.to_lowercase())).copied()
    }
}

fn serial(soa: &Record) -> Option<u32> {
    match &soa.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    }
}

/// Tells a secondary that the zone changed, until it says that it heard and has come for it. One that is busy with an earlier change may
/// hear and forget, so it is told again while it stays away; after the last time it comes when its own clock says so.
pub async fn notify(zone: Name, soa: Record, to: SocketAddr, taken: Arc<Taken>) {
    let secondary = to.ip().to_canonical();
    tokio::time::sleep(taken.rest(secondary, &soa)).await;
    for pause in AGAIN {
        if !told(&zone, &soa, to).await {
            tracing::warn!(%zone, %to, "a secondary was not told of a change; it asks by itself");
            return;
        }
        tokio::time::sleep(pause).await;
        if taken.has(secondary, &soa) {
            return;
        }
    }
}

/// Whether a secondary says that it heard.
async fn told(zone: &Name, soa: &Record, to: SocketAddr) -> bool {
    let mut told = Message::new(u16::from_ne_bytes(fresh()), MessageType::Query, OpCode::Notify);
    told.metadata.authoritative = true;
    told.add_query(Query::query(zone.clone(), RecordType::SOA));
    told.add_answer(soa.clone());
    let Ok(bytes) = told.to_vec() else { return false };
    let from: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let Ok(socket) = UdpSocket::bind(from).await else { return false };
    if socket.connect(to).await.is_err() {
        return false;
    }
    for attempt in 0..TRIES {
        let mut heard = [0; 512];
        // An error is a port that nobody listens at; the next try tells.
        let _ = socket.send(&bytes).await;
        if let Ok(Ok(length)) = timeout(WAIT * 2_u32.pow(attempt), socket.recv(&mut heard)).await
            && heard
                .get(..length)
                .and_then(|heard| Message::from_vec(heard).ok())
                .is_some_and(|heard| heard.metadata.id == told.metadata.id)
        {
            return true;
        }
    }
    false
}

/// Something that others cannot guess at once.
fn fresh() -> [u8; 2] {
    use std::hash::BuildHasher as _;
    let number = std::hash::RandomState::new().hash_one(0_u8).to_ne_bytes();
    [number[0], number[1]]
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::SOA;

    use super::*;

    #[test]
    fn a_secondary_has_a_zone_when_it_took_that_serial_or_a_later_one_also_around_the_end_of_numbers() {
        let name = Name::from_ascii("shop.test.").unwrap();
        let soa = |serial| {
            let data = SOA::new(name.clone(), name.clone(), serial, 3_600, 600, 86_400, 30);
            Record::from_rdata(name.clone(), 300, RData::SOA(data))
        };
        let (taken, from): (Taken, IpAddr) = (Taken::default(), [192, 0, 2, 4].into());
        assert!(!taken.has(from, &soa(7)));
        taken.note(from, &soa(7));
        assert!(taken.has(from, &soa(7)) && taken.has(from, &soa(6)) && !taken.has(from, &soa(8)));
        assert!(!taken.has([192, 0, 2, 5].into(), &soa(7)), "another one took it");
        taken.note(from, &soa(2));
        assert!(taken.has(from, &soa(u32::MAX)));
        assert!(!taken.rest(from, &soa(3)).is_zero() && taken.rest([192, 0, 2, 5].into(), &soa(3)).is_zero());
    }
}
