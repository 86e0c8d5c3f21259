//! What to answer to a question, without any network: RFC 1034 section 4.3.2, made strict.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};

use crate::dnssec::chain::Link;
use crate::snapshot::{ALIASES, LoadedZone, Node, Set, Signed, Zones};

/// How long the refusal of an ANY question is remembered (RFC 8482), in seconds.
const ANY_TTL_S: u32 = 3_600;

/// An answer in its sections.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub code: ResponseCode,
    pub authoritative: bool,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

impl Answer {
    pub const fn code(code: ResponseCode) -> Self {
        Self { code, authoritative: false, answers: Vec::new(), authorities: Vec::new(), additionals: Vec::new() }
    }

    fn negative(code: ResponseCode, zone: &LoadedZone) -> Self {
        Self { authoritative: true, authorities: vec![zone.soa.clone()], ..Self::code(code) }
    }
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub name: &'a LowerName,
    pub kind: RecordType,
    pub class: DNSClass,
    /// Whether signatures and proofs are wanted (the DO bit).
    pub dnssec: bool,
}

/// The answer to one question.
#[must_use]
pub fn answer(zones: &Zones, asked: Asked<'_>) -> Answer {
    if asked.class != DNSClass::IN || matches!(asked.kind, RecordType::AXFR | RecordType::IXFR) {
        return Answer::code(ResponseCode::Refused);
    }
    match zones.of(asked.name) {
        // What the parent says about a zone stands in the parent, if that is here, too.
        Some(zone) if asked.kind == RecordType::DS && zone.origin == *asked.name => {
            let parent = zones.of(&asked.name.base_name()).filter(|_| !asked.name.is_root());
            within(parent.unwrap_or(zone), asked)
        }
        Some(zone) => within(zone, asked),
        None => Answer::code(ResponseCode::Refused),
    }
}

/// The answer of one zone, aliases followed as long as they stay in it.
#[must_use]
pub fn within(zone: &LoadedZone, asked: Asked<'_>) -> Answer {
    let view = View { zone, signed: zone.signed.as_ref().filter(|_| asked.dnssec) };
    let (mut chain, mut proofs) = (Vec::new(), Vec::new());
    let (mut name, mut aliases) = (asked.name.clone(), 0);
    loop {
        let mut step = view.at(&name, asked.kind);
        let alias = match step.answers.first() {
            Some(Record { data: RData::CNAME(target), .. }) if asked.kind != RecordType::CNAME => Some(LowerName::new(target)),
            _ => None,
        };
        chain.append(&mut step.answers);
        match alias {
            Some(target) if zone.origin.zone_of(&target) && aliases + 1 < ALIASES => {
                proofs.append(&mut step.authorities);
                aliases += 1;
                name = target;
            }
            _ => {
                for record in proofs {
                    if !step.authorities.contains(&record) {
                        step.authorities.push(record);
                    }
                }
                return Answer { authoritative: step.authoritative || name != *asked.name, answers: chain, ..step };
            }
        }
    }
}

/// A zone, and how it is signed when that is wanted.
struct View<'z> {
    zone: &'z LoadedZone,
    signed: Option<&'z Signed>,
}

impl View<'_> {
    fn at(&self, name: &LowerName, kind: RecordType) -> Answer {
        if let Some((at, cut)) = self.cut(name, kind) {
            return self.referral(&at, cut);
        }
        if let Some(node) = self.zone.nodes.get(name) {
            return self.of_node(node, name, kind, None);
        }
        let encloser = self.encloser(name);
        let star = Name::from(&encloser).prepend_label("*").map(|star| LowerName::new(&star));
        match star.ok().and_then(|star| self.zone.nodes.get(&star)) {
            Some(node) => self.of_node(node, name, kind, Some(&encloser)),
            None => {
                let mut denied = self.denied(ResponseCode::NXDomain);
                self.prove_no_name(name, &encloser, &mut denied.authorities);
                denied
            }
        }
    }

    /// What a name answers that is there, or for which the wildcard below `expanded` stands (RFC 4592 section 3.3).
    fn of_node(&self, node: &Node, name: &LowerName, kind: RecordType, expanded: Option<&LowerName>) -> Answer {
        if matches!(kind, RecordType::ANY | RecordType::RRSIG) {
            let refusal = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
            let mut answers = vec![Record::from_rdata(name.into(), ANY_TTL_S, refusal)];
            if let Some(signed) = self.signed {
                answers.extend(signed.signer.at_once(&answers));
            }
            return found(answers);
        }
        match (node.full(kind).or_else(|| node.full(RecordType::CNAME)), expanded) {
            (Some(set), None) => {
                let mut answers = set.records.clone();
                answers.extend(self.signatures(set));
                found(answers)
            }
            (Some(set), Some(encloser)) => {
                // What a wildcard answers stands under the name that was asked for.
                let renamed = |record: Record| Record::from_rdata(name.into(), record.ttl, record.data);
                let mut answer = found(set.records.iter().cloned().chain(self.signatures(set)).map(renamed).collect());
                self.prove_passed(&next_closer(name, encloser), &mut answer.authorities);
                answer
            }
            (None, encloser) => {
                let mut denied = self.denied(ResponseCode::NoError);
                match encloser {
                    None => self.prove_there(name, &mut denied.authorities),
                    Some(encloser) => {
                        self.prove_there(encloser, &mut denied.authorities);
                        self.prove_passed(&next_closer(name, encloser), &mut denied.authorities);
                        self.prove_there(&star_below(encloser), &mut denied.authorities);
                    }
                }
                denied
            }
        }
    }

    fn denied(&self, code: ResponseCode) -> Answer {
        let mut denied = Answer::negative(code, self.zone);
        if let Some(set) = self.zone.nodes.get(&self.zone.origin).and_then(|apex| apex.full(RecordType::SOA)) {
            denied.authorities.extend(self.signatures(set));
        }
        denied
    }

    fn signatures(&self, set: &Set) -> Vec<Record> {
        self.signed.map(|signed| signed.signer.signatures(&set.records, &set.signatures)).unwrap_or_default()
    }

    fn prove_no_name(&self, name: &LowerName, encloser: &LowerName, to: &mut Vec<Record>) {
        self.prove_there(encloser, to);
        self.prove_passed(&next_closer(name, encloser), to);
        self.prove_passed(&star_below(encloser), to);
    }

    /// What a name that is there has.
    fn prove_there(&self, name: &LowerName, to: &mut Vec<Record>) {
        self.prove(self.signed.and_then(|signed| signed.chain.matching(name)), to);
    }

    /// That a name is not there.
    fn prove_passed(&self, name: &LowerName, to: &mut Vec<Record>) {
        self.prove(self.signed.and_then(|signed| signed.chain.covering(name)), to);
    }

    fn prove(&self, link: Option<&Link>, to: &mut Vec<Record>) {
        if let (Some(link), Some(signed)) = (link, self.signed)
            && !to.contains(&link.record)
        {
            to.push(link.record.clone());
            to.extend(signed.signer.signatures(std::slice::from_ref(&link.record), &link.signatures));
        }
    }

    /// The innermost name above it that is there.
    fn encloser(&self, name: &LowerName) -> LowerName {
        let mut encloser = name.base_name();
        while !self.zone.nodes.contains_key(&encloser) && encloser != self.zone.origin && !encloser.is_root() {
            encloser = encloser.base_name();
        }
        encloser
    }

    /// The delegation that the name lies at or below, the outermost first.
    fn cut(&self, name: &LowerName, kind: RecordType) -> Option<(LowerName, &Node)> {
        let mut outermost = None;
        let mut candidate = name.clone();
        while candidate != self.zone.origin && !candidate.is_root() {
            let delegated = self.zone.nodes.get(&candidate).filter(|node| !node.set(RecordType::NS).is_empty());
            // At the cut itself the parent still answers for the DS.
            if let Some(node) = delegated.filter(|_| !(candidate == *name && kind == RecordType::DS)) {
                outermost = Some((candidate.clone(), node));
            }
            candidate = candidate.base_name();
        }
        outermost
    }

    fn referral(&self, at: &LowerName, cut: &Node) -> Answer {
        let mut authorities = cut.set(RecordType::NS).to_vec();
        let glue = authorities.iter().filter_map(|ns| match &ns.data {
            RData::NS(server) => self.zone.nodes.get(&LowerName::new(server)),
            _ => None,
        });
        let additionals = glue.flat_map(|node| node.set(RecordType::A).iter().chain(node.set(RecordType::AAAA))).cloned().collect();
        match cut.full(RecordType::DS) {
            Some(ds) if self.signed.is_some() => {
                authorities.extend(ds.records.iter().cloned());
                authorities.extend(self.signatures(ds));
            }
            _ => self.prove_there(at, &mut authorities),
        }
        Answer { authorities, additionals, ..Answer::code(ResponseCode::NoError) }
    }
}

fn found(answers: Vec<Record>) -> Answer {
    Answer { authoritative: true, answers, ..Answer::code(ResponseCode::NoError) }
}

/// The name one label longer than its closest encloser.
fn next_closer(name: &LowerName, encloser: &LowerName) -> LowerName {
    let mut next = name.clone();
    while next.base_name() != *encloser && !next.is_root() {
        next = next.base_name();
    }
    next
}

fn star_below(encloser: &LowerName) -> LowerName {
    // A label is added to a name that has room for a longer one.
    Name::from(encloser).prepend_label("*").map_or_else(|_| encloser.clone(), |star| LowerName::new(&star))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::record::{Data, Record as OurRecord};
    use crate::snapshot::{Common, Snapshot};
    use crate::zone::Zone;
    use purser_values::{Env, Timestamp, id::CloudAccountId};

    pub fn load(name: &str, records: &[(&str, Data)]) -> LoadedZone {
        let (env, _) = Env::test(Timestamp::from_secs(1_795_435_200), 4);
        let zone =
            Zone { id: "0".repeat(32), account: CloudAccountId::mint(&env), name: name.parse().unwrap(), serial: 7, created_at: env.now() };
        let common = Common {
            name_servers: vec!["ns1.slipway.test".parse().unwrap(), "ns2.slipway.test".parse().unwrap()],
            edge_v4: vec!["127.0.0.1".parse().unwrap()],
            edge_v6: Vec::new(),
            common_domain: Some("workers.slipway.test".parse().unwrap()),
        };
        let records: Vec<_> =
            records.iter().map(|(owner, data)| OurRecord::new(owner.parse().unwrap(), 300, data.clone()).unwrap()).collect();
        LoadedZone::load(&zone, &records, &common, None).unwrap()
    }

    fn snapshot() -> Snapshot {
        let cname = |target: &str| Data::Cname { target: target.parse().unwrap() };
        let a = |address: &str| Data::A { address: address.parse().unwrap() };
        let shop = load(
            "shop.test",
            &[
                ("shop.test", Data::Edge),
                ("www.shop.test", cname("shop.test")),
                ("lost.shop.test", cname("nowhere.shop.test")),
                ("away.shop.test", cname("example.com")),
                ("loop.shop.test", cname("pool.shop.test")),
                ("pool.shop.test", cname("loop.shop.test")),
                ("_acme-challenge.shop.test", Data::Txt { text: "x".repeat(300) }),
                ("a.deep.shop.test", a("192.0.2.1")),
                ("sub.shop.test", Data::Ns { server: "ns.sub.shop.test".parse().unwrap() }),
                ("ns.sub.shop.test", a("192.0.2.53")),
                ("*.wild.shop.test", a("192.0.2.77")),
                ("there.wild.shop.test", Data::Txt { text: "x".to_owned() }),
            ],
        );
        let snapshot = Snapshot::default();
        snapshot.replace_all(vec![shop, load("other.test", &[])]);
        snapshot
    }

    fn ask(name: &str, kind: RecordType) -> Answer {
        let name = crate::snapshot::wire_name(name).unwrap();
        answer(&snapshot().look(), Asked { name: &LowerName::new(&name), kind, class: DNSClass::IN, dnssec: false })
    }

    fn kinds(records: &[Record]) -> Vec<String> {
        records.iter().map(|r| r.record_type().to_string()).collect()
    }

    #[test]
    fn a_served_host_has_the_address_of_the_edge() {
        let got = ask("SHOP.test", RecordType::A);
        assert!(got.authoritative && got.code == ResponseCode::NoError);
        assert_eq!(got.answers.len(), 1);
        assert_eq!(got.answers[0].data.to_string(), "127.0.0.1");
    }

    #[test]
    fn the_zone_knows_itself() {
        assert_eq!(ask("shop.test", RecordType::NS).answers.len(), 2);
        let soa = ask("shop.test", RecordType::SOA).answers;
        assert!(matches!(&soa[0].data, RData::SOA(soa) if soa.serial == 7 && soa.minimum == 30));
    }

    #[test]
    fn what_is_not_there_is_denied_with_the_start_of_authority() {
        for (name, kind, code) in [
            ("gone.shop.test", RecordType::A, ResponseCode::NXDomain),
            ("shop.test", RecordType::AAAA, ResponseCode::NoError),
            ("deep.shop.test", RecordType::A, ResponseCode::NoError),
            ("b.deep.shop.test", RecordType::A, ResponseCode::NXDomain),
        ] {
            let got = ask(name, kind);
            assert_eq!((got.code, got.authoritative), (code, true), "{name}");
            assert!(got.answers.is_empty());
            assert_eq!(kinds(&got.authorities), ["SOA"], "{name}");
        }
    }

    #[test]
    fn aliases_are_followed_within_the_zone_and_loops_end() {
        assert_eq!(kinds(&ask("www.shop.test", RecordType::A).answers), ["CNAME", "A"]);
        assert_eq!(kinds(&ask("www.shop.test", RecordType::CNAME).answers), ["CNAME"]);
        assert_eq!(kinds(&ask("away.shop.test", RecordType::A).answers), ["CNAME"]);
        let lost = ask("lost.shop.test", RecordType::A);
        assert_eq!((lost.code, kinds(&lost.answers)), (ResponseCode::NXDomain, vec!["CNAME".to_owned()]));
        assert_eq!(ask("loop.shop.test", RecordType::A).answers.len(), ALIASES);
    }

    #[test]
    fn a_delegated_name_is_referred_with_glue() {
        let got = ask("www.sub.shop.test", RecordType::A);
        assert!(!got.authoritative && got.answers.is_empty());
        assert_eq!((kinds(&got.authorities), kinds(&got.additionals)), (vec!["NS".to_owned()], vec!["A".to_owned()]));
        assert!(ask("sub.shop.test", RecordType::DS).authoritative);
    }

    #[test]
    fn foreign_names_transfers_and_other_classes_are_refused() {
        for (name, kind) in [("example.com", RecordType::A), ("test", RecordType::SOA), ("shop.test", RecordType::AXFR)] {
            assert_eq!(ask(name, kind).code, ResponseCode::Refused, "{name}");
        }
        let name = LowerName::new(&crate::snapshot::wire_name("shop.test").unwrap());
        let asked = Asked { name: &name, kind: RecordType::TXT, class: DNSClass::CH, dnssec: false };
        assert_eq!(answer(&snapshot().look(), asked).code, ResponseCode::Refused);
    }

    #[test]
    fn a_wildcard_stands_for_what_is_not_there_and_for_nothing_else() {
        for (name, answers, code) in [
            ("a.wild.shop.test", 1, ResponseCode::NoError),
            ("a.b.wild.shop.test", 1, ResponseCode::NoError),
            ("there.wild.shop.test", 0, ResponseCode::NoError),
            ("a.there.wild.shop.test", 0, ResponseCode::NXDomain),
            ("wild.shop.test", 0, ResponseCode::NoError),
            ("*.wild.shop.test", 1, ResponseCode::NoError),
        ] {
            let got = ask(name, RecordType::A);
            assert_eq!((got.answers.len(), got.code), (answers, code), "{name}");
            assert!(got.answers.iter().all(|r| r.name.to_string() == format!("{name}.")), "{name}");
        }
        assert_eq!(ask("a.wild.shop.test", RecordType::TXT).code, ResponseCode::NoError);
    }

    #[test]
    fn an_alias_at_the_apex_has_the_addresses_of_what_it_stands_for() {
        let cname = |target: &str| Data::Cname { target: target.parse().unwrap() };
        let a = |address: &str| Data::A { address: address.parse().unwrap() };
        for (target, address) in [("site.me.workers.slipway.test", "127.0.0.1"), ("a.flat.test", "192.0.2.9"), ("b.flat.test", "192.0.2.9")]
        {
            let records = [("flat.test", cname(target)), ("a.flat.test", a("192.0.2.9")), ("b.flat.test", cname("a.flat.test"))];
            let snapshot = Snapshot::default();
            snapshot.replace_all(vec![load("flat.test", &records)]);
            let name = LowerName::new(&crate::snapshot::wire_name("flat.test").unwrap());
            let asked = |kind| Asked { name: &name, kind, class: DNSClass::IN, dnssec: false };
            let got = answer(&snapshot.look(), asked(RecordType::A));
            assert_eq!(got.answers.iter().map(|r| r.data.to_string()).collect::<Vec<_>>(), [address], "{target}");
            assert!(answer(&snapshot.look(), asked(RecordType::CNAME)).answers.is_empty());
        }
    }

    #[test]
    fn any_gets_the_short_answer() {
        assert_eq!(kinds(&ask("shop.test", RecordType::ANY).answers), ["HINFO"]);
    }

    #[test]
    fn a_long_text_is_cut_into_pieces() {
        let got = ask("_acme-challenge.shop.test", RecordType::TXT);
        assert!(matches!(&got.answers[0].data, RData::TXT(txt) if txt.txt_data.iter().map(|p| p.len()).collect::<Vec<_>>() == [255, 45]));
    }
}
