//! What to answer to a question, without any network: RFC 1034 section 4.3.2, made strict.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};

use crate::snapshot::{ALIASES, LoadedZone, Node, Snapshot};

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
    const fn code(code: ResponseCode) -> Self {
        Self { code, authoritative: false, answers: Vec::new(), authorities: Vec::new(), additionals: Vec::new() }
    }

    fn negative(code: ResponseCode, zone: &LoadedZone) -> Self {
        Self { authoritative: true, authorities: vec![zone.soa.clone()], ..Self::code(code) }
    }
}

/// The answer to one question.
#[must_use]
pub fn answer(snapshot: &Snapshot, name: &LowerName, kind: RecordType, class: DNSClass) -> Answer {
    if class != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Answer::code(ResponseCode::Refused);
    }
    match snapshot.zone_of(name) {
        None => Answer::code(ResponseCode::Refused),
        Some(zone) => within(&zone, name, kind),
    }
}

fn within(zone: &LoadedZone, asked: &LowerName, kind: RecordType) -> Answer {
    let mut chain = Vec::new();
    let mut name = asked.clone();
    loop {
        let mut step = at(zone, &name, kind);
        let alias = match step.answers.as_slice() {
            [Record { data: RData::CNAME(target), .. }] if kind != RecordType::CNAME => Some(LowerName::new(target)),
            _ => None,
        };
        chain.append(&mut step.answers);
        match alias {
            Some(target) if zone.origin.zone_of(&target) && chain.len() < ALIASES => name = target,
            _ => return Answer { authoritative: step.authoritative || name != *asked, answers: chain, ..step },
        }
    }
}

fn at(zone: &LoadedZone, name: &LowerName, kind: RecordType) -> Answer {
    if let Some(cut) = cut(zone, name, kind) {
        return referral(zone, cut);
    }
    let Some(node) = zone.nodes.get(name).or_else(|| wildcard(zone, name)) else { return Answer::negative(ResponseCode::NXDomain, zone) };
    if kind == RecordType::ANY {
        let refusal = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
        return found(vec![Record::from_rdata(name.into(), ANY_TTL_S, refusal)]);
    }
    let set = node.set(kind);
    let set = if set.is_empty() { node.set(RecordType::CNAME) } else { set };
    if set.is_empty() {
        return Answer::negative(ResponseCode::NoError, zone);
    }
    // What a wildcard answers stands under the name that was asked for.
    found(set.iter().map(|record| Record::from_rdata(name.into(), record.ttl, record.data.clone())).collect())
}

/// The wildcard that stands for a name that is not there: the one at its closest encloser, and no other (RFC 4592 section 3.3).
fn wildcard<'z>(zone: &'z LoadedZone, name: &LowerName) -> Option<&'z Node> {
    let mut encloser = name.base_name();
    while !zone.nodes.contains_key(&encloser) {
        if encloser == zone.origin || encloser.is_root() {
            return None;
        }
        encloser = encloser.base_name();
    }
    let star = Name::from(&encloser).prepend_label("*").ok()?;
    zone.nodes.get(&LowerName::new(&star))
}

fn found(answers: Vec<Record>) -> Answer {
    Answer { authoritative: true, answers, ..Answer::code(ResponseCode::NoError) }
}

/// The delegation that the name lies at or below, the outermost first.
fn cut<'z>(zone: &'z LoadedZone, name: &LowerName, kind: RecordType) -> Option<&'z Node> {
    let mut outermost = None;
    let mut candidate = name.clone();
    while candidate != zone.origin && !candidate.is_root() {
        let delegated = zone.nodes.get(&candidate).filter(|node| !node.set(RecordType::NS).is_empty());
        // At the cut itself the parent still answers for the DS.
        if delegated.is_some() && !(candidate == *name && kind == RecordType::DS) {
            outermost = delegated;
        }
        candidate = candidate.base_name();
    }
    outermost
}

fn referral(zone: &LoadedZone, cut: &Node) -> Answer {
    let authorities = cut.set(RecordType::NS).to_vec();
    let glue = authorities.iter().filter_map(|ns| match &ns.data {
        RData::NS(server) => zone.nodes.get(&LowerName::new(server)),
        _ => None,
    });
    let additionals = glue.flat_map(|node| node.set(RecordType::A).iter().chain(node.set(RecordType::AAAA))).cloned().collect();
    Answer { authorities, additionals, ..Answer::code(ResponseCode::NoError) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Data, Record as OurRecord};
    use crate::snapshot::Common;
    use crate::zone::Zone;
    use purser_values::{Env, Timestamp, id::CloudAccountId};

    fn load(name: &str, records: &[(&str, Data)]) -> LoadedZone {
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
        LoadedZone::load(&zone, &records, &common).unwrap()
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
        answer(&snapshot(), &LowerName::new(&name), kind, DNSClass::IN)
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
        assert_eq!(answer(&snapshot(), &name, RecordType::TXT, DNSClass::CH).code, ResponseCode::Refused);
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
            let got = answer(&snapshot, &name, RecordType::A, DNSClass::IN);
            assert_eq!(got.answers.iter().map(|r| r.data.to_string()).collect::<Vec<_>>(), [address], "{target}");
            assert!(answer(&snapshot, &name, RecordType::CNAME, DNSClass::IN).answers.is_empty());
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
