//! Answers that were written before they are asked for: the same bytes as [`crate::respond`] would write, for the questions that most
//! people ask. Everything else is left to it.
//!
//! INVARIANT (one-answer): where this answers, it answers what `respond` does. A test asks both.

use std::collections::HashMap;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::answer::{Asked, within};
use crate::respond::{Class, HEADER, UDP_PAYLOAD, UDP_PLAIN, message};
use crate::snapshot::{LoadedZone, Zones, wire_key};

/// An OPT record without options (RFC 6891 section 6.1.2).
const OPT: usize = 11;
/// Longest name on the wire.
const NAME: usize = 255;
/// The most names of a zone whose answers are written beforehand.
const NAMES: usize = 200_000;

/// The prepared answers of a zone, by name and type as a question has them.
#[derive(Default)]
pub struct Fast(HashMap<Box<[u8]>, Prepared>);

/// What follows the question, and what the header says of it.
struct Prepared {
    code: u8,
    counts: [u8; 6],
    rest: Box<[u8]>,
    class: Class,
}

impl Fast {
    /// Writes the answers for what each name has, and for the two types that everybody asks for.
    pub fn prepare(zone: &LoadedZone) -> Self {
        let mut all = HashMap::new();
        let names = zone.nodes.iter().filter(|(name, _)| !name.is_wildcard() && !zone.is_below_cut(name));
        for (name, node) in names.take(NAMES) {
            if *name != zone.origin && !node.set(RecordType::NS).is_empty() {
                continue;
            }
            let key = wire_key(name);
            let others = [RecordType::A, RecordType::AAAA].into_iter().filter(|kind| node.full(*kind).is_none());
            for kind in node.sets().iter().map(|set| set.kind).chain(others) {
                let asked = Asked { name, kind, class: DNSClass::IN, dnssec: false };
                let answer = within(zone, asked);
                let about = answer.answers.is_empty().then(|| wire_key(&zone.origin));
                let class = match about {
                    Some(origin) => Class::Denial(crate::respond::hashed(&origin, RecordType::SOA)),
                    None => Class::Answer(crate::respond::hashed(&key, kind)),
                };
                if answer.code != ResponseCode::NoError || !answer.authoritative {
                    continue;
                }
                let request = Message::new(0, MessageType::Query, OpCode::Query);
                let queries = [Query::query(Name::from(name), kind)];
                let Ok(bytes) = message(&request.metadata, &queries, answer).to_vec() else { continue };
                let mut key = key.to_vec();
                key.extend(u16::from(kind).to_be_bytes());
                let (Some(code), Some(counts), Some(rest)) = (bytes.get(3), bytes.get(6..HEADER), bytes.get(HEADER + key.len() + 2..))
                else {
                    continue;
                };
                let Ok(counts) = counts.try_into() else { continue };
                all.insert(key.into(), Prepared { code: code & 15, counts, rest: rest.into(), class });
            }
        }
        Self(all)
    }
}

/// Writes the prepared answer after `out` and tells what it counts as; nothing when the question is unusual or has no prepared answer.
pub fn fast(zones: &Zones, query: &[u8], out: &mut Vec<u8>) -> Option<Class> {
    // A plain question: no flag but RD, one question, nothing else but one OPT.
    let header = query.first_chunk::<HEADER>()?;
    let [_, _, flags, zero, 0, 1, 0, 0, 0, 0, 0, opts @ 0..=1] = *header else { return None };
    if flags & !1 != 0 || zero != 0 {
        return None;
    }
    let mut key = [0_u8; NAME + 2];
    let mut at = 0;
    loop {
        let length = usize::from(*query.get(HEADER + at)?);
        // Longer ones point elsewhere.
        if length > 63 || at + 1 + length >= NAME {
            return None;
        }
        let label = query.get(HEADER + at..=HEADER + at + length)?;
        for (to, from) in key.get_mut(at..=at + length)?.iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        at += 1 + length;
        if length == 0 {
            break;
        }
    }
    let [kind_high, kind_low, 0, 1] = *query.get(HEADER + at..)?.first_chunk::<4>()? else { return None };
    let end = HEADER + at + 4;
    let limit = match (opts, query.get(end..)?) {
        (0, []) => UDP_PLAIN,
        // The name of the root, type 41, a size, no extended code, version 0, no flags, no options.
        (1, [0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]) => u16::from_be_bytes([*high, *low]).clamp(UDP_PLAIN, UDP_PAYLOAD),
        _ => return None,
    };
    let zone = zones.of_wire(key.get(..at)?)?;
    key.get_mut(at..at + 2)?.copy_from_slice(&[kind_high, kind_low]);
    let prepared = zone.fast.0.get(key.get(..at + 2)?)?;
    let opts = usize::from(opts);
    if end + prepared.rest.len() + opts * OPT > usize::from(limit) {
        return None;
    }
    let mut counts = prepared.counts;
    if opts == 1 {
        let additional = u16::from_be_bytes([counts[4], counts[5]]).checked_add(1)?;
        counts[4..].copy_from_slice(&additional.to_be_bytes());
    }
    out.extend_from_slice(&[header[0], header[1], 0x84 | (flags & 1), prepared.code, 0, 1]);
    out.extend_from_slice(&counts);
    out.extend_from_slice(query.get(HEADER..end)?);
    out.extend_from_slice(&prepared.rest);
    if opts == 1 {
        let [high, low] = UDP_PAYLOAD.to_be_bytes();
        out.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
    }
    Some(prepared.class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::load;
    use crate::record::{Data, present};
    use crate::respond::{Transport, respond};
    use crate::snapshot::Snapshot;
    use hickory_proto::op::Edns;
    use std::hash::{BuildHasher as _, RandomState};

    fn snapshot() -> Snapshot {
        let data = |kind: &str, content: &str| present::parse(kind, content, None).unwrap();
        let mut records: Vec<(&str, Data)> = vec![
            ("shop.test", Data::Edge),
            ("www.shop.test", data("CNAME", "shop.test")),
            ("away.shop.test", data("CNAME", "elsewhere.example")),
            ("mail.shop.test", data("MX", "10 mx.shop.test")),
            ("*.wild.shop.test", data("A", "192.0.2.7")),
            ("a.b.c.shop.test", data("AAAA", "2001:db8::1")),
            ("sub.shop.test", data("NS", "ns.sub.shop.test")),
            ("ns.sub.shop.test", data("A", "192.0.2.53")),
        ];
        let long: Vec<Data> = (0..20).map(|i| data("TXT", &format!("\"{i}{}\"", "x".repeat(100)))).collect();
        records.extend(long.into_iter().map(|text| ("long.shop.test", text)));
        let snapshot = Snapshot::default();
        snapshot.replace_all(vec![load("shop.test", &records), load("deep.shop.test", &[("deep.shop.test", Data::Edge)])]);
        snapshot
    }

    /// Some question, usual or not.
    fn question(number: u64) -> Vec<u8> {
        let mut rest = RandomState::new().hash_one(number);
        let mut pick = |of: u64| {
            rest = rest.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((rest >> 33) % of).unwrap()
        };
        let names = [
            "shop.test",
            "www.shop.test",
            "away.shop.test",
            "mail.shop.test",
            "x.wild.shop.test",
            "*.wild.shop.test",
            "a.b.c.shop.test",
            "b.c.shop.test",
            "sub.shop.test",
            "x.sub.shop.test",
            "ns.sub.shop.test",
            "long.shop.test",
            "deep.shop.test",
            "gone.shop.test",
            "example.com",
            "test",
            ".",
        ];
        let mixed: String = names[pick(17)].chars().map(|c| if pick(2) == 0 { c.to_ascii_uppercase() } else { c }).collect();
        let kinds = [
            RecordType::A,
            RecordType::AAAA,
            RecordType::TXT,
            RecordType::MX,
            RecordType::SOA,
            RecordType::NS,
            RecordType::CNAME,
            RecordType::ANY,
        ];
        let mut message = Message::new(u16::try_from(pick(65_536)).unwrap(), MessageType::Query, OpCode::Query);
        let mut name = Name::from_ascii(&mixed).unwrap();
        name.set_fqdn(true);
        message.add_query(Query::query(name, kinds[pick(8)]));
        message.metadata.recursion_desired = pick(2) == 0;
        message.metadata.checking_disabled = pick(8) == 0;
        if pick(2) == 0 {
            let mut edns = Edns::new();
            edns.set_max_payload([0, 512, 1_232, 4_096][pick(4)]).set_dnssec_ok(pick(4) == 0).set_version(u8::from(pick(16) == 0));
            message.edns = Some(edns);
        }
        let mut bytes = message.to_vec().unwrap();
        match pick(20) {
            0 => bytes.truncate(pick(40)),
            1 => bytes.push(0),
            2 => {
                let at = pick(bytes.len() as u64);
                bytes[at] ^= 1 << pick(8);
            }
            _ => {}
        }
        bytes
    }

    #[test]
    fn the_fast_answer_is_the_full_answer() {
        let (snapshot, mut prepared) = (snapshot(), 0);
        for number in 0..20_000 {
            let (bytes, mut out) = (question(number), Vec::new());
            let zones = snapshot.look();
            let Some(class) = fast(&zones, &bytes, &mut out) else { continue };
            let full = respond(&zones, &bytes, Transport::Udp).expect("an answer");
            assert_eq!(class, full.class, "{bytes:?}");
            assert_eq!(Message::from_vec(&out).unwrap(), Message::from_vec(&full.bytes).unwrap(), "{bytes:?}");
            prepared += 1;
        }
        assert!(prepared > 1_500, "only {prepared} were prepared");
    }

    #[test]
    fn no_bytes_make_either_fail() {
        let snapshot = snapshot();
        let zones = snapshot.look();
        for number in 0..5_000_u64 {
            let noise: Vec<u8> = (0..number % 60).map(|i| RandomState::new().hash_one((number, i)).to_ne_bytes()[0]).collect();
            let mut out = Vec::new();
            let _ = (fast(&zones, &noise, &mut out), respond(&zones, &noise, Transport::Udp));
        }
    }
}
