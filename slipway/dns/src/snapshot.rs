//! The zones in memory, as answers need them.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hickory_proto::ProtoError;
use hickory_proto::dnssec::DnsSecError;
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, NS, SOA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, Record as WireRecord, RecordType};
use purser_values::name::HostName;

use crate::dnssec::chain::{self, Chain};
use crate::dnssec::signer::{Signatures, Signer};
use crate::fast::Fast;
use crate::record::{Data, Owner, Record, TTL_DEFAULT_S, present};
use crate::zone::Zone;

/// How long a negative answer is remembered (RFC 2308), in seconds. Short, because a name that was just asked for in vain is often
/// the one that is about to be deployed.
const NEGATIVE_TTL_S: u32 = 30;
const NAME_SERVER_TTL_S: u32 = 3_600;
const REFRESH_S: i32 = 14_400;
const RETRY_S: i32 = 3_600;
const EXPIRE_S: i32 = 1_209_600;
/// The longest piece of a TXT record (RFC 1035 section 3.3).
const TXT_PIECE: usize = 255;
/// Aliases that are followed within a zone before giving up.
pub const ALIASES: usize = 8;

/// What every zone has in common.
#[derive(Clone, Debug)]
pub struct Common {
    pub name_servers: Vec<HostName>,
    /// The addresses of hosts that our edge serves.
    pub edge_v4: Vec<Ipv4Addr>,
    pub edge_v6: Vec<Ipv6Addr>,
    /// The common domain of Workers: every name below it has the edge's addresses.
    pub common_domain: Option<HostName>,
}

/// All zones.
#[derive(Default)]
pub struct Snapshot {
    zones: RwLock<Zones>,
}

/// The zones at one moment: by name, and by the bytes that a name has in a question.
#[derive(Default)]
pub struct Zones {
    by_name: HashMap<LowerName, Arc<LoadedZone>>,
    by_wire: HashMap<Box<[u8]>, Arc<LoadedZone>>,
}

/// One zone, ready to answer.
pub struct LoadedZone {
    pub origin: LowerName,
    pub soa: WireRecord,
    /// Every name that exists; one that only has names below it has an empty node (RFC 8020).
    pub nodes: HashMap<LowerName, Node>,
    pub signed: Option<Signed>,
    pub fast: Fast,
}

/// What a signed zone has beside its records.
pub struct Signed {
    pub signer: Signer,
    pub chain: Chain,
}

/// The record sets of one name.
#[derive(Default)]
pub struct Node(Vec<Set>);

/// The records of one name and type, with their signatures once they were asked for.
pub struct Set {
    pub kind: RecordType,
    pub records: Vec<WireRecord>,
    pub signatures: Signatures,
}

impl Snapshot {
    /// The zones as they are now. A change waits until this is let go.
    pub fn look(&self) -> RwLockReadGuard<'_, Zones> {
        self.zones.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The zone of exactly this name.
    pub fn zone(&self, origin: &LowerName) -> Option<Arc<LoadedZone>> {
        self.look().by_name.get(origin).cloned()
    }

    pub fn replace_all(&self, all: Vec<LoadedZone>) {
        let mut zones = Zones::default();
        all.into_iter().for_each(|zone| zones.insert(zone));
        *self.zones.write().unwrap_or_else(PoisonError::into_inner) = zones;
    }

    pub fn replace(&self, origin: &LowerName, zone: Option<LoadedZone>) {
        let mut zones = self.zones.write().unwrap_or_else(PoisonError::into_inner);
        zones.by_name.remove(origin);
        zones.by_wire.remove(&wire_key(origin));
        if let Some(zone) = zone {
            zones.insert(zone);
        }
    }
}

impl Zones {
    /// The innermost zone that holds the name.
    #[must_use]
    pub fn of(&self, name: &LowerName) -> Option<&LoadedZone> {
        let mut candidate = name.clone();
        loop {
            if let Some(zone) = self.by_name.get(&candidate) {
                return Some(zone);
            }
            if candidate.is_root() {
                return None;
            }
            candidate = candidate.base_name();
        }
    }

    /// The innermost zone that holds the name of these bytes, in lower case and with its closing zero.
    #[must_use]
    pub fn of_wire(&self, name: &[u8]) -> Option<&LoadedZone> {
        let mut rest = name;
        loop {
            if let Some(zone) = self.by_wire.get(rest) {
                return Some(zone);
            }
            let label = usize::from(*rest.first()?);
            if label == 0 {
                return None;
            }
            rest = rest.get(1 + label..)?;
        }
    }

    fn insert(&mut self, zone: LoadedZone) {
        let zone = Arc::new(zone);
        self.by_wire.insert(wire_key(&zone.origin), zone.clone());
        self.by_name.insert(zone.origin.clone(), zone);
    }
}

/// The bytes of a name, in lower case and with its closing zero.
pub fn wire_key(name: &LowerName) -> Box<[u8]> {
    let mut bytes = Vec::new();
    for label in Name::from(name).iter() {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    bytes.push(0);
    bytes.into()
}

impl LoadedZone {
    /// # Errors
    /// When a name does not fit the wire, which the types rule out, or a key cannot be shown.
    pub fn load(zone: &Zone, records: &[Record], common: &Common, signer: Option<Signer>) -> Result<Self, DnsSecError> {
        let origin = wire_name(zone.name.as_str())?;
        let hostmaster = Name::from_ascii("hostmaster")?.append_domain(&origin)?;
        let primary = common.name_servers.first().map_or_else(|| Ok(origin.clone()), |n| wire_name(n.as_str()))?;
        let soa = SOA::new(primary, hostmaster, zone.serial, REFRESH_S, RETRY_S, EXPIRE_S, NEGATIVE_TTL_S);
        let soa = WireRecord::from_rdata(origin.clone(), NEGATIVE_TTL_S, RData::SOA(soa));
        let origin_lower = LowerName::new(&origin);
        let mut loaded = Self { origin: origin_lower, soa: soa.clone(), nodes: HashMap::new(), signed: None, fast: Fast::default() };
        loaded.add(soa);
        for server in &common.name_servers {
            let ns = RData::NS(NS(wire_name(server.as_str())?));
            loaded.add(WireRecord::from_rdata(origin.clone(), NAME_SERVER_TTL_S, ns));
        }
        let mut alias = None;
        for record in records {
            let owner = wire_name(record.owner.as_str())?;
            if let (true, Data::Cname { target }) = (owner == origin, &record.data) {
                alias = Some((record.ttl_s, target));
                continue;
            }
            for data in wire_data(&record.data, common)? {
                loaded.add(WireRecord::from_rdata(owner.clone(), record.ttl_s, data));
            }
        }
        if let Some((ttl, target)) = alias {
            loaded.flatten(&origin, ttl, target, common)?;
        }
        if let Some(signer) = signer {
            for record in signer.records()? {
                loaded.add(record);
            }
            loaded.add(chain::param(&origin));
            let chain = Chain::build(&origin, NEGATIVE_TTL_S, loaded.chained())?;
            loaded.signed = Some(Signed { signer, chain });
        }
        loaded.fast = Fast::prepare(&loaded);
        Ok(loaded)
    }

    /// The names that the zone answers for or delegates, with the types of each; what lies below a delegation is none of them.
    fn chained(&self) -> Vec<(Name, Vec<RecordType>)> {
        let mut names = Vec::with_capacity(self.nodes.len());
        for (name, node) in self.nodes.iter().filter(|(name, _)| !self.is_below_cut(name)) {
            let delegated = *name != self.origin && !node.set(RecordType::NS).is_empty();
            let of_ours = |kind: &RecordType| !delegated || matches!(kind, RecordType::NS | RecordType::DS);
            let mut kinds: Vec<RecordType> = node.sets().iter().map(|set| set.kind).filter(of_ours).collect();
            if kinds.iter().any(|kind| !delegated || *kind == RecordType::DS) {
                kinds.push(RecordType::RRSIG);
            }
            names.push((Name::from(name), kinds));
        }
        names
    }

    /// Whether the name lies below a delegation.
    pub fn is_below_cut(&self, name: &LowerName) -> bool {
        let mut above = name.base_name();
        while above != self.origin && self.origin.zone_of(&above) {
            if self.nodes.get(&above).is_some_and(|node| !node.set(RecordType::NS).is_empty()) {
                return true;
            }
            above = above.base_name();
        }
        false
    }

    /// The zone's own name can be no alias (RFC 1912 section 2.4): it gets the addresses of the name that it stands for, which is ours and
    /// therefore known here. A name that has none leaves it without.
    fn flatten(&mut self, origin: &Name, ttl: u32, target: &Owner, common: &Common) -> Result<(), ProtoError> {
        let below = |suffix: &HostName| target.as_str().strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'));
        if common.common_domain.as_ref().is_some_and(below) {
            for data in wire_data(&Data::Edge, common)? {
                self.add(WireRecord::from_rdata(origin.clone(), ttl, data));
            }
            return Ok(());
        }
        let mut name = LowerName::new(&wire_name(target.as_str())?);
        for _ in 0..ALIASES {
            let Some(node) = self.nodes.get(&name) else { return Ok(()) };
            if let [WireRecord { data: RData::CNAME(next), .. }] = node.set(RecordType::CNAME) {
                name = LowerName::new(next);
                continue;
            }
            let found: Vec<WireRecord> = node.set(RecordType::A).iter().chain(node.set(RecordType::AAAA)).cloned().collect();
            for record in found {
                self.add(WireRecord::from_rdata(origin.clone(), ttl.min(record.ttl), record.data));
            }
            return Ok(());
        }
        Ok(())
    }

    fn add(&mut self, record: WireRecord) {
        let owner = LowerName::new(&record.name);
        let mut above = owner.base_name();
        while above != self.origin && self.origin.zone_of(&above) {
            self.nodes.entry(above.clone()).or_default();
            above = above.base_name();
        }
        self.nodes.entry(owner).or_default().add(record);
    }
}

impl Node {
    /// The records of one type; empty when there are none.
    #[must_use]
    pub fn set(&self, kind: RecordType) -> &[WireRecord] {
        self.full(kind).map_or(&[], |set| &set.records)
    }

    #[must_use]
    pub fn full(&self, kind: RecordType) -> Option<&Set> {
        self.0.iter().find(|set| set.kind == kind)
    }

    #[must_use]
    pub fn sets(&self) -> &[Set] {
        &self.0
    }

    /// INVARIANT (one-ttl): the records of a set have the same time to live (RFC 2181 section 5.2): the shortest of all.
    fn add(&mut self, mut record: WireRecord) {
        let kind = record.record_type();
        match self.0.iter_mut().find(|set| set.kind == kind) {
            // Two ways of writing one thing.
            Some(set) if set.records.iter().any(|other| other.data == record.data) => {}
            Some(set) => {
                let ttl = set.records.iter().map(|r| r.ttl).chain([record.ttl]).min().unwrap_or(TTL_DEFAULT_S);
                record.ttl = ttl;
                set.records.push(record);
                set.records.iter_mut().for_each(|r| r.ttl = ttl);
            }
            None => self.0.push(Set { kind, records: vec![record], signatures: Signatures::default() }),
        }
    }
}

/// A name on the wire, absolute.
///
/// # Errors
/// When it does not fit.
pub fn wire_name(name: &str) -> Result<Name, ProtoError> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    Ok(name)
}

fn wire_data(data: &Data, common: &Common) -> Result<Vec<RData>, ProtoError> {
    Ok(match data {
        Data::Edge | Data::Proxied { .. } => {
            let v4 = common.edge_v4.iter().map(|a| RData::A(A(*a)));
            v4.chain(common.edge_v6.iter().map(|a| RData::AAAA(AAAA(*a)))).collect()
        }
        Data::A { address } => vec![RData::A(A(*address))],
        Data::Aaaa { address } => vec![RData::AAAA(AAAA(*address))],
        Data::Cname { target } => vec![RData::CNAME(CNAME(wire_name(target.as_str())?))],
        Data::Txt { text } if text.is_empty() => vec![RData::TXT(TXT::from_bytes(vec![b""]))],
        Data::Txt { text } => vec![RData::TXT(TXT::from_bytes(text.as_bytes().chunks(TXT_PIECE).collect()))],
        Data::Ns { server } => vec![RData::NS(NS(wire_name(server.as_str())?))],
        Data::Mx { preference, exchange } => vec![RData::MX(MX::new(*preference, wire_name(exchange.as_str())?))],
        Data::Caa { critical, tag, value } => {
            let mut caa = CAA::new_issue(*critical, None, Vec::new());
            caa.tag = tag.as_str().to_owned();
            caa.value = value.clone().into_bytes();
            vec![RData::CAA(caa)]
        }
        Data::Other { kind, content } => vec![present::wire(*kind, content).map_err(|e| ProtoError::from(e.to_string()))?],
    })
}
