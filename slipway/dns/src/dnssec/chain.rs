//! The chain of hashed names by which a signed zone proves what it does not hold (RFC 5155).

use hickory_proto::ProtoError;
use hickory_proto::dnssec::Nsec3HashAlgorithm;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC3, NSEC3PARAM};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use super::signer::Signatures;

/// One hashed name with the record that leads to the next.
pub struct Link {
    hash: Vec<u8>,
    pub record: Record,
    pub signatures: Signatures,
}

/// All links in the order of their hashes; the last leads to the first.
pub struct Chain(Vec<Link>);

/// What the zone tells about its chain.
pub fn param(origin: &Name) -> Record {
    let param = NSEC3PARAM::new(Nsec3HashAlgorithm::SHA1, false, 0, Vec::new());
    Record::from_rdata(origin.clone(), 0, RData::DNSSEC(DNSSECRData::NSEC3PARAM(param)))
}

impl Chain {
    /// The chain of these names with the types that each has.
    pub fn build(origin: &Name, ttl: u32, names: Vec<(Name, Vec<RecordType>)>) -> Result<Self, ProtoError> {
        let mut hashed = Vec::with_capacity(names.len());
        for (name, kinds) in names {
            hashed.push((hash(&name)?, kinds));
        }
        hashed.sort_by(|(a, _), (b, _)| a.cmp(b));
        hashed.dedup_by(|(a, _), (b, _)| a == b);
        let nexts: Vec<Vec<u8>> = hashed.iter().cycle().skip(1).take(hashed.len()).map(|(hash, _)| hash.clone()).collect();
        let mut links = Vec::with_capacity(hashed.len());
        for ((hash, kinds), next) in hashed.into_iter().zip(nexts) {
            let owner = Name::from_ascii(base32(&hash))?.append_domain(origin)?;
            let data = NSEC3::new(Nsec3HashAlgorithm::SHA1, false, 0, Vec::new(), next, kinds);
            links.push(Link {
                hash,
                record: Record::from_rdata(owner, ttl, RData::DNSSEC(DNSSECRData::NSEC3(data))),
                signatures: Signatures::default(),
            });
        }
        Ok(Self(links))
    }

    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// The link of a name that is there.
    pub fn matching(&self, name: &LowerName) -> Option<&Link> {
        let hash = hash(&Name::from(name)).ok()?;
        self.0.binary_search_by(|link| link.hash.cmp(&hash)).ok().and_then(|at| self.0.get(at))
    }

    /// The link that leads past a name that is not there.
    pub fn covering(&self, name: &LowerName) -> Option<&Link> {
        let hash = hash(&Name::from(name)).ok()?;
        let after = self.0.partition_point(|link| link.hash <= hash);
        self.0.get(after.checked_sub(1).unwrap_or(self.0.len().checked_sub(1)?))
    }
}

fn hash(name: &Name) -> Result<Vec<u8>, ProtoError> {
    Ok(Nsec3HashAlgorithm::SHA1.hash(&[], name, 0)?.as_ref().to_vec())
}

/// Base 32 with the digits first, as hashed names are written (RFC 4648 section 7). 160 bits need no filling.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let (mut out, mut bits, mut held) = (String::new(), 0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let digit = usize::try_from((held >> bits) & 31).unwrap_or_default();
            out.push(DIGITS.get(digit).copied().map_or('0', char::from));
        }
        held &= (1 << bits) - 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::wire_name;

    #[test]
    fn every_name_is_matched_or_passed_over() {
        assert_eq!(base32(b"fooba"), "cpnmuoj1");
        let names = ["example", "a.example", "ns1.example"];
        let with_types = names.map(|n| (wire_name(n).unwrap(), vec![RecordType::A]));
        let chain = Chain::build(&wire_name("example").unwrap(), 30, with_types.to_vec()).unwrap();
        let name = |n: &str| LowerName::new(&wire_name(n).unwrap());
        for there in ["A.example", "ns1.EXAMPLE"] {
            assert!(chain.matching(&name(there)).is_some());
        }
        for i in 0..100 {
            let absent = name(&format!("x{i}.example"));
            let RData::DNSSEC(DNSSECRData::NSEC3(link)) = &chain.covering(&absent).unwrap().record.data else { panic!("no link") };
            let (hash, next) = (hash(&Name::from(&absent)).unwrap(), link.next_hashed_owner_name());
            let from = &chain.covering(&absent).unwrap().hash;
            let passed =
                if from.as_slice() < next { from < &hash && hash.as_slice() < next } else { from < &hash || hash.as_slice() < next };
            assert!(passed && chain.matching(&absent).is_none(), "{i}");
        }
    }
}
