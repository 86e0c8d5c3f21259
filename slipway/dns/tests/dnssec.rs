//! Signed zones: that every answer of one can be checked, and that keys change without a moment in which it cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::dnssec::{DigestType, Verifier as _};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, Migrations};
use purser_values::Env;
use purser_values::env::TestClock;
use purser_values::id::CloudAccountId;
use slipway_dns::dnssec::keys::Signing;
use slipway_dns::dnssec::keys::{Ds, KeyState, KeysError, keys, signing, zone_ds, zone_ds_due, zone_ds_pushed, zone_sign, zone_unsign};
use slipway_dns::dnssec::roll::key_roll;
use slipway_dns::server::{DnsConfig, Nameserver};
use slipway_dns::store;
use slipway_dns::zone::Zone;
use slipway_dns::zone::change::{Author, Change, zone_change};
use slipway_dns::zone::create::zone_create;
use slipway_dns::zone::entry::Written;
use tokio::net::UdpSocket;

const TABLES: &[Migrations] = &[store::MIGRATIONS];
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

struct World {
    db: Db,
    env: Env,
    clock: Arc<TestClock>,
    keyring: Keyring,
    zone: Zone,
    server: Nameserver,
}

impl World {
    async fn new(db: Db) -> Self {
        let (env, clock) = Env::test(START, 5);
        let keyring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
        let account = CloudAccountId::mint(&env);
        let e = env.clone();
        let zone = db.write(move |tx| zone_create(tx, &e, &account, &"shop.test".parse().unwrap())).await.unwrap();
        let config = DnsConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            name_servers: vec!["ns1.slipway.test".parse().unwrap()],
            edge_v4: vec!["127.0.0.1".parse().unwrap()],
            edge_v6: Vec::new(),
            common_domain: None,
            secondaries: Vec::new(),
            answers_per_second: None,
        };
        let server = Nameserver::start(config, db.clone(), env.clone(), keyring.clone()).await.unwrap();
        let world = Self { db, env, clock, keyring, zone, server };
        for (name, kind, content) in [
            ("@", "A", "192.0.2.1"),
            ("www", "CNAME", "shop.test"),
            ("*.wild", "TXT", "\"any\""),
            ("a.deep", "A", "192.0.2.2"),
            ("sub", "NS", "ns.sub.shop.test"),
            ("ns.sub", "A", "192.0.2.53"),
            ("safe", "NS", "ns.example"),
            ("safe", "DS", "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"),
        ] {
            world.put(name, kind, content).await;
        }
        world
    }

    async fn put(&self, name: &str, kind: &str, content: &str) {
        let written = Written { name: Some(name.into()), kind: Some(kind.into()), content: Some(content.into()), ..Written::default() };
        let (env, zone) = (self.env.clone(), self.zone.clone());
        let author = Author { token: "t", common: None };
        self.db.write(move |tx| zone_change(tx, &env, &zone, &author, vec![Change::Create(written.clone())])).await.unwrap();
    }

    async fn sign(&self) {
        let (env, keyring, zone) = (self.env.clone(), self.keyring.clone(), self.zone.clone());
        self.db.write(move |tx| zone_sign(tx, &env, &keyring, &zone)).await.unwrap();
        self.server.refresh(&self.zone.name).await.unwrap();
    }

    async fn ask(&self, name: &str, kind: RecordType, dnssec: bool) -> Message {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
        let mut edns = Edns::new();
        edns.set_max_payload(4_096).set_dnssec_ok(dnssec);
        message.edns = Some(edns);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&message.to_vec().unwrap(), self.server.addr).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let wait = std::time::Duration::from_secs(5);
        let size = tokio::time::timeout(wait, socket.recv(&mut buffer)).await.expect("an answer within five seconds").unwrap();
        let answer = Message::from_vec(&buffer[..size]).unwrap();
        assert!(!answer.metadata.truncation, "{name} {kind}");
        answer
    }

    /// What the parent should say.
    async fn ds(&self) -> Vec<Ds> {
        let (now, zone) = (self.env.now(), self.zone.clone());
        self.db.read(move |tx| zone_ds(tx, now, &zone)).await.unwrap()
    }

    /// The registry does what is due; whether anything was.
    async fn push(&self) {
        let now = self.env.now();
        self.db
            .write(move |tx| {
                for (zone, ds) in zone_ds_due(tx, now)? {
                    zone_ds_pushed(tx, now, &zone, &ds)?;
                }
                Ok::<_, KeysError>(())
            })
            .await
            .unwrap();
    }
}

/// The keys and the signatures in an answer.
fn tags(message: &Message, kind: RecordType) -> Vec<u16> {
    let of = |r: &Record| match &r.data {
        RData::DNSSEC(DNSSECRData::RRSIG(s)) if s.input().type_covered == kind => Some(s.input().key_tag),
        _ => None,
    };
    message.answers.iter().filter_map(of).collect()
}

/// Checks every signature of a section, and that every set that should have one has.
fn check(section: &[Record], keys: &[Record], now: i64, said: &str) {
    for record in section.iter().filter(|r| r.record_type() != RecordType::RRSIG) {
        let set: Vec<&Record> = section.iter().filter(|r| r.name == record.name && r.record_type() == record.record_type()).collect();
        let delegation = record.record_type() == RecordType::NS && record.name != Name::from_ascii("shop.test.").unwrap();
        let good = section.iter().filter(|r| r.name == record.name).any(|r| {
            let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &r.data else { return false };
            let input = rrsig.input();
            if input.type_covered != record.record_type() {
                return false;
            }
            assert!(i64::from(input.sig_inception.get()) < now && now + 6 * DAY < i64::from(input.sig_expiration.get()), "{said}");
            keys.iter().any(|key| match &key.data {
                RData::DNSSEC(DNSSECRData::DNSKEY(key)) => key.verify_rrsig(&record.name, DNSClass::IN, rrsig, set.iter().copied()).is_ok(),
                _ => false,
            })
        });
        assert!(good != delegation, "{said}: {record}");
    }
}

#[tokio::test]
async fn every_answer_of_a_signed_zone_can_be_checked() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        w.sign().await;
        let now = w.env.now().as_secs();
        let keys = w.ask("shop.test", RecordType::DNSKEY, true).await.answers;
        assert_eq!(w.ask("shop.test", RecordType::A, false).await.answers.len(), 1);
        for (name, kind, code, answers, proofs) in [
            ("shop.test", RecordType::A, ResponseCode::NoError, 2, 0),
            ("shop.test", RecordType::SOA, ResponseCode::NoError, 2, 0),
            ("shop.test", RecordType::NSEC3PARAM, ResponseCode::NoError, 2, 0),
            ("www.shop.test", RecordType::A, ResponseCode::NoError, 4, 0),
            ("shop.test", RecordType::MX, ResponseCode::NoError, 0, 1),
            ("deep.shop.test", RecordType::A, ResponseCode::NoError, 0, 1),
            ("gone.shop.test", RecordType::A, ResponseCode::NXDomain, 0, 3),
            ("x.wild.shop.test", RecordType::TXT, ResponseCode::NoError, 2, 1),
            ("x.wild.shop.test", RecordType::A, ResponseCode::NoError, 0, 3),
            ("x.sub.shop.test", RecordType::A, ResponseCode::NoError, 0, 1),
            ("x.safe.shop.test", RecordType::A, ResponseCode::NoError, 0, 0),
            ("sub.shop.test", RecordType::DS, ResponseCode::NoError, 0, 1),
        ] {
            let answer = w.ask(name, kind, true).await;
            let said = format!("{name} {kind}");
            assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, answers), "{said}");
            let links = answer.authorities.iter().filter(|r| r.record_type() == RecordType::NSEC3).count();
            // One link can prove two things.
            assert!(links <= proofs && (proofs == 0) == (links == 0), "{said}: {links}");
            check(&answer.answers, &keys, now, &said);
            check(&answer.authorities, &keys, now, &said);
        }
    })
    .await;
}

#[tokio::test]
async fn the_parent_is_told_when_nobody_remembers_the_unsigned_zone_and_what_it_is_told_fits() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        w.sign().await;
        assert!(w.ds().await.is_empty());
        w.clock.advance_secs(HOUR + 1);
        let ds = w.ds().await;
        let keys = w.ask("shop.test", RecordType::DNSKEY, true).await.answers;
        let RData::DNSSEC(DNSSECRData::DNSKEY(key)) = &keys[0].data else { panic!("no key") };
        let digest = key.to_digest(&Name::from_ascii("shop.test.").unwrap(), DigestType::SHA256).unwrap();
        let is = hex::encode_upper(digest.as_ref());
        assert_eq!((ds.len(), &ds[0].digest, ds[0].key_tag), (1, &is, key.calculate_key_tag().unwrap()));
        w.server.maintain().await.unwrap();
        assert_eq!(w.ask("shop.test", RecordType::CDS, true).await.answers.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_replaced_without_a_moment_in_which_the_zone_cannot_be_checked() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.sign().await;
    w.clock.advance_secs(2 * HOUR);
    w.push().await;
    w.clock.advance_secs(2 * DAY);
    let first = w.ds().await[0].key_tag;
    let (env, keyring, zone) = (w.env.clone(), w.keyring.clone(), w.zone.clone());
    w.db.write(move |tx| key_roll(tx, &env, &keyring, &zone)).await.unwrap();
    w.server.refresh(&w.zone.name).await.unwrap();
    // What a resolver may remember: the parent's word for a day, keys for an hour, signatures for their time to live.
    let (mut words, mut key_sets, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
    let start = w.env.now().as_secs();
    for _ in 0..200 {
        w.server.maintain().await.unwrap();
        w.push().await;
        let now = w.env.now().as_secs();
        let zone = w.zone.clone();
        let told = w.db.read(move |tx| slipway_dns::dnssec::keys::pushed(tx, &zone)).await.unwrap();
        words.push((now, told.ds.iter().map(|ds| ds.key_tag).collect::<Vec<_>>()));
        let shown = w.ask("shop.test", RecordType::DNSKEY, true).await;
        let shown_keys: Vec<u16> = shown
            .answers
            .iter()
            .filter_map(|r| match &r.data {
                RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key.calculate_key_tag().unwrap()),
                _ => None,
            })
            .collect();
        key_sets.push((now, shown_keys, tags(&shown, RecordType::DNSKEY)));
        let answer = w.ask("shop.test", RecordType::A, true).await;
        check(&answer.answers, &shown.answers, now, "with the keys of now");
        signatures.push((now, tags(&answer, RecordType::A)));
        for (_, word) in words.iter().filter(|(at, _)| now - at <= DAY) {
            for (_, keys, signed_by) in key_sets.iter().filter(|(at, ..)| now - at <= HOUR) {
                assert!(word.iter().any(|tag| keys.contains(tag) && signed_by.contains(tag)), "{} s: {word:?} {signed_by:?}", now - start);
                for (_, by) in signatures.iter().filter(|(at, _)| now - at <= 300) {
                    assert!(by.iter().any(|tag| keys.contains(tag)), "{} s: {by:?} {keys:?}", now - start);
                }
            }
        }
        w.clock.advance_secs(HOUR);
    }
    let zone = w.zone.clone();
    let left = w.db.read(move |tx| keys(tx, &zone)).await.unwrap();
    assert_eq!(left.iter().map(|key| key.state).collect::<Vec<_>>(), [KeyState::Active]);
    assert_ne!(left[0].tag, first);
}

#[tokio::test]
async fn a_parent_that_is_not_told_keeps_the_old_key_at_work() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.sign().await;
    w.clock.advance_secs(2 * HOUR);
    w.push().await;
    let (env, keyring, zone) = (w.env.clone(), w.keyring.clone(), w.zone.clone());
    w.db.write(move |tx| key_roll(tx, &env, &keyring, &zone)).await.unwrap();
    for _ in 0..60 {
        w.clock.advance_secs(DAY);
        w.server.maintain().await.unwrap();
    }
    let zone = w.zone.clone();
    let states: Vec<KeyState> = w.db.read(move |tx| keys(tx, &zone)).await.unwrap().iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Active, KeyState::Published]);
}

#[tokio::test]
async fn a_zone_stays_signed_until_the_parent_has_forgotten_it() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.sign().await;
    w.clock.advance_secs(2 * HOUR);
    w.push().await;
    let (now, zone) = (w.env.now(), w.zone.clone());
    w.db.write(move |tx| zone_unsign(tx, now, &zone)).await.unwrap();
    assert!(w.ds().await.is_empty());
    w.clock.advance_secs(DAY);
    w.server.maintain().await.unwrap();
    assert_eq!(w.ask("shop.test", RecordType::A, true).await.answers.len(), 2);
    w.push().await;
    w.clock.advance_secs(DAY + 2 * HOUR);
    w.server.maintain().await.unwrap();
    assert_eq!(w.ask("shop.test", RecordType::A, true).await.answers.len(), 1);
    let zone = w.zone.clone();
    assert_eq!(w.db.read(move |tx| signing(tx, &zone)).await.unwrap(), Signing::Off);
}

#[tokio::test]
async fn a_key_opens_for_its_own_zone_only() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.sign().await;
    let (env, zone) = (w.env.clone(), w.zone.clone());
    let other = w.db.write(move |tx| zone_create(tx, &env, &zone.account, &"other.test".parse().unwrap())).await.unwrap();
    w.db.write(move |tx| {
        tx.execute("update dns_key set zone = $1", purser_db::params![other.name])?;
        Ok::<_, purser_db::DbError>(())
    })
    .await
    .unwrap();
    assert!(w.server.refresh(&"other.test".parse().unwrap()).await.is_err());
}
