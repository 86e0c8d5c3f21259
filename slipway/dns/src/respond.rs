//! From the bytes of a question to the bytes of its answer: EDNS, opcodes, sections, length.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{LowerName, RecordType};

use crate::answer::{Answer, Asked, answer};
use crate::snapshot::Zones;

/// The largest answer over UDP: what crosses every network in one piece (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1_232;
/// The largest answer over UDP to a client that speaks no EDNS (RFC 1035 section 4.2.1).
pub const UDP_PLAIN: u16 = 512;
/// The fixed part of every message.
pub const HEADER: usize = 12;

/// How the question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// What an answer counts as, where answers are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// One name and type.
    Answer(u64),
    /// One zone, whatever was asked for in vain.
    Denial(u64),
    Error,
}

/// An answer on its way.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub class: Class,
}

/// The answer to a message; nothing to what is no question, so that two servers cannot talk for ever.
#[must_use]
pub fn respond(zones: &Zones, bytes: &[u8], transport: Transport) -> Option<Reply> {
    // A header, and not the sign of an answer.
    if bytes.len() < HEADER || bytes.get(2).is_none_or(|flags| flags & 0x80 != 0) {
        return None;
    }
    let Ok(request) = Message::from_vec(bytes) else { return unreadable(bytes) };
    let edns = request.edns.as_ref().map(|asked| {
        let mut edns = Edns::new();
        edns.set_version(0).set_max_payload(UDP_PAYLOAD).set_dnssec_ok(asked.flags().dnssec_ok);
        edns
    });
    let (answer, class) = decide(zones, &request);
    let limit = match (transport, &request.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => UDP_PLAIN,
        (Transport::Udp, Some(asked)) => asked.max_payload().clamp(UDP_PLAIN, UDP_PAYLOAD),
    };
    let bytes = encode(&request, answer, edns, usize::from(limit))?;
    Some(Reply { bytes, class })
}

fn decide(zones: &Zones, request: &Message) -> (Answer, Class) {
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return (Answer::code(ResponseCode::BADVERS), Class::Error);
    }
    let query = match (request.metadata.op_code, request.queries.as_slice()) {
        (OpCode::Query, [query]) => query,
        (OpCode::Query, _) => return (Answer::code(ResponseCode::FormErr), Class::Error),
        _ => return (Answer::code(ResponseCode::NotImp), Class::Error),
    };
    let name = LowerName::new(query.name());
    let dnssec = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    let answer = answer(zones, Asked { name: &name, kind: query.query_type(), class: query.query_class(), dnssec });
    let class = match (answer.answers.is_empty(), answer.authorities.first()) {
        (false, _) => Class::Answer(hashed(&crate::snapshot::wire_key(&name), query.query_type())),
        (true, Some(of)) => Class::Denial(hashed(&crate::snapshot::wire_key(&LowerName::new(&of.name)), RecordType::SOA)),
        (true, None) => Class::Error,
    };
    (answer, class)
}

/// One number for one name and type.
pub fn hashed(name: &[u8], kind: RecordType) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, u16::from(kind)).hash(&mut hasher);
    hasher.finish()
}

/// Writes the answer; one that is too long goes without its addresses of name servers, and then without anything, and says so.
fn encode(request: &Message, answer: Answer, edns: Option<Edns>, limit: usize) -> Option<Vec<u8>> {
    let mut message = message(&request.metadata, &request.queries, answer);
    message.edns = edns;
    let whole = message.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    message.answers.clear();
    message.authorities.clear();
    message.additionals.clear();
    message.metadata.truncation = true;
    message.to_vec().ok()
}

/// The message of an answer, without EDNS.
pub fn message(asked: &Metadata, queries: &[Query], answer: Answer) -> Message {
    let mut message = Message::response(asked.id, asked.op_code);
    message.metadata = Metadata::response_from_request(asked);
    message.metadata.response_code = answer.code;
    message.metadata.authoritative = answer.authoritative;
    // Several questions are told back by none of them.
    message.queries = if queries.len() == 1 { queries.to_vec() } else { Vec::new() };
    message.answers = answer.answers;
    message.authorities = answer.authorities;
    message.additionals = answer.additionals;
    message
}

fn unreadable(bytes: &[u8]) -> Option<Reply> {
    let (id, flags) = (u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]), *bytes.get(2)?);
    let mut message = Message::new(id, MessageType::Response, OpCode::from_u8((flags >> 3) & 15));
    message.metadata.recursion_desired = flags & 1 != 0;
    message.metadata.response_code = ResponseCode::FormErr;
    Some(Reply { bytes: message.to_vec().ok()?, class: Class::Error })
}
