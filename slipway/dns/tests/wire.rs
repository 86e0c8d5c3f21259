//! The name server over real sockets: asked by a plain client over UDP and TCP, and by `dig` where it is installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::process::Command;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use purser_crypto::seal::Keyring;
use purser_db::testing::{START, each_engine};
use purser_db::{Db, Migrations};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use slipway_dns::record::{Data, Record};
use slipway_dns::server::{DnsConfig, Nameserver};
use slipway_dns::store;
use slipway_dns::zone::change::{Author, Change, zone_change};
use slipway_dns::zone::create::zone_create;
use slipway_dns::zone::entry::Written;
use slipway_dns::zone::get::{record_list, zone_get, zone_of_host};
use slipway_dns::zone::record_delete::record_delete;
use slipway_dns::zone::record_put::{Existing, edge_record, record_put};
use slipway_dns::zone::remove::zone_remove;
use slipway_dns::zone::{MAX_RECORDS, Zone, ZoneError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const TABLES: &[Migrations] = &[store::MIGRATIONS];

struct World {
    db: Db,
    env: Env,
    account: CloudAccountId,
    server: Nameserver,
}

impl World {
    async fn new(db: Db) -> Self {
        let (env, _) = Env::test(START, 5);
        let account = CloudAccountId::mint(&env);
        Self { server: start(&db).await, db, env, account }
    }

    async fn create(&self, account: &CloudAccountId, name: &str) -> Result<Zone, ZoneError> {
        let (env, account, name) = (self.env.clone(), account.clone(), zone(name));
        self.db.write(move |tx| zone_create(tx, &env, &account, &name)).await
    }

    async fn put(&self, zone_name: &str, record: Record, existing: Existing) -> Result<(), ZoneError> {
        let (now, account, name) = (self.env.now(), self.account.clone(), zone(zone_name));
        self.db.write(move |tx| record_put(tx, now, &account, &name, &record, existing)).await
    }

    async fn shop(&self) {
        self.create(&self.account, "shop.test").await.unwrap();
        self.put("shop.test", edge_record(&zone("shop.test")), Existing::Keep).await.unwrap();
        self.server.refresh(&zone("shop.test")).await.unwrap();
    }
}

async fn start(db: &Db) -> Nameserver {
    start_beside(db, Vec::new()).await
}

async fn start_beside(db: &Db, secondaries: Vec<SocketAddr>) -> Nameserver {
    let config = DnsConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        name_servers: vec!["ns1.slipway.test".parse().unwrap(), "ns2.slipway.test".parse().unwrap()],
        edge_v4: vec!["127.0.0.1".parse().unwrap()],
        edge_v6: vec!["::1".parse().unwrap()],
        common_domain: None,
        secondaries,
        answers_per_second: None,
    };
    let (env, _) = Env::test(START, 6);
    let keyring = Keyring::from_hex(&Keyring::generate_hex(&env)).unwrap();
    Nameserver::start(config, db.clone(), env, keyring).await.unwrap()
}

fn zone(name: &str) -> DomainName {
    name.parse().unwrap()
}

fn txt(owner: &str, text: &str) -> Record {
    Record::new(owner.parse().unwrap(), 300, Data::Txt { text: text.to_owned() }).unwrap()
}

fn written(name: &str, kind: &str, content: &str) -> Written {
    Written { name: Some(name.to_owned()), kind: Some(kind.to_owned()), content: Some(content.to_owned()), ..Written::default() }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    message
}

async fn udp(to: SocketAddr, message: &Message) -> (Message, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), to).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let wait = std::time::Duration::from_secs(5);
    let size = tokio::time::timeout(wait, socket.recv(&mut buffer)).await.expect("an answer within five seconds").unwrap();
    (Message::from_vec(&buffer[..size]).unwrap(), size)
}

async fn tcp(to: SocketAddr, message: &Message) -> Message {
    let bytes = message.to_vec().unwrap();
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let size = stream.read_u16().await.unwrap();
    let mut buffer = vec![0; size.into()];
    stream.read_exact(&mut buffer).await.unwrap();
    Message::from_vec(&buffer).unwrap()
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|r| r.data.to_string()).collect()
}

#[tokio::test]
async fn a_new_zone_answers_at_once_over_udp_and_tcp_and_after_a_restart() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        assert_eq!(udp(w.server.addr, &question("shop.test", RecordType::A)).await.0.metadata.response_code, ResponseCode::Refused);
        w.shop().await;
        let (answer, _) = udp(w.server.addr, &question("shop.test", RecordType::A)).await;
        assert!(answer.metadata.authoritative && !answer.metadata.recursion_available);
        assert_eq!(data(&answer), ["127.0.0.1"]);
        assert_eq!(data(&tcp(w.server.addr, &question("shop.test", RecordType::AAAA)).await), ["::1"]);
        let (gone, _) = udp(w.server.addr, &question("www.shop.test", RecordType::A)).await;
        assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(gone.authorities.len(), 1);

        let again = start(&w.db).await;
        assert_eq!(data(&udp(again.addr, &question("shop.test", RecordType::A)).await.0), ["127.0.0.1"]);
    })
    .await;
}

#[tokio::test]
async fn a_removed_zone_is_refused_and_its_records_are_gone() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        w.shop().await;
        for _ in 0..2 {
            let account = w.account.clone();
            w.db.write(move |tx| zone_remove(tx, &account, &zone("shop.test"))).await.unwrap();
        }
        w.server.refresh(&zone("shop.test")).await.unwrap();
        assert_eq!(udp(w.server.addr, &question("shop.test", RecordType::A)).await.0.metadata.response_code, ResponseCode::Refused);
        w.create(&w.account, "shop.test").await.unwrap();
        let account = w.account.clone();
        assert!(w.db.read(move |tx| record_list(tx, &account, &zone("shop.test"))).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn each_change_raises_the_serial_number() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        let serial = async || {
            let account = w.account.clone();
            w.db.read(move |tx| zone_get(tx, &account, &zone("shop.test"))).await.unwrap().serial
        };
        w.shop().await;
        let first = serial().await;
        w.put("shop.test", txt("_acme-challenge.shop.test", "token"), Existing::Keep).await.unwrap();
        let second = serial().await;
        let (now, account) = (w.env.now(), w.account.clone());
        let text = Data::Txt { text: "token".to_owned() };
        let owner = "_acme-challenge.shop.test".parse().unwrap();
        let there = w.db.write(move |tx| record_delete(tx, now, &account, &zone("shop.test"), &owner, &text)).await.unwrap();
        assert!(there && first < second && second < serial().await);
    })
    .await;
}

#[tokio::test]
async fn a_secondary_is_told_of_what_is_served_already_and_again_while_it_does_not_come() {
    let db = purser_db::testing::sqlite(TABLES).await;
    let secondary = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let w = World { server: start_beside(&db, vec![secondary.local_addr().unwrap()]).await, ..World::new(db).await };
    w.shop().await;
    let serial = |message: &Message| message.answers.iter().find_map(|r| r.data.to_string().split(' ').nth(2).map(str::to_owned)).unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut buffer = vec![0; 512];
        let wait = std::time::Duration::from_secs(30);
        let (size, from) = tokio::time::timeout(wait, secondary.recv_from(&mut buffer)).await.expect("it is told").unwrap();
        let mut notify = Message::from_vec(&buffer[..size]).unwrap();
        assert_eq!(notify.metadata.op_code, OpCode::Notify);
        let (served, _) = udp(w.server.addr, &question("shop.test", RecordType::SOA)).await;
        assert_eq!(serial(&notify), serial(&served), "told of a zone that is not served yet");
        told.push(serial(&notify));
        notify.metadata.message_type = MessageType::Response;
        secondary.send_to(&notify.to_vec().unwrap(), from).await.unwrap();
    }
    assert_eq!(told[0], told[1], "it heard once and was left alone");
}

#[tokio::test]
async fn a_zone_belongs_to_one_account_and_does_not_exist_for_others() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        w.shop().await;
        let stranger = CloudAccountId::mint(&w.env);
        assert!(matches!(w.create(&stranger, "shop.test").await, Err(ZoneError::Taken)));
        let (now, other) = (w.env.now(), stranger.clone());
        let stolen =
            w.db.write(move |tx| record_put(tx, now, &other, &zone("shop.test"), &edge_record(&zone("shop.test")), Existing::Replace));
        assert!(matches!(stolen.await, Err(ZoneError::NotFound)));
        let other = stranger.clone();
        w.db.write(move |tx| zone_remove(tx, &other, &zone("shop.test"))).await.unwrap();
        let (mine, host) = (w.account.clone(), "www.shop.test".parse().unwrap());
        assert!(w.db.read(move |tx| zone_of_host(tx, &mine, &host)).await.unwrap().is_some());
        let host = "www.shop.test".parse().unwrap();
        assert!(w.db.read(move |tx| zone_of_host(tx, &stranger, &host)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn records_that_do_not_go_together_are_refused_or_replaced_as_asked() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        w.shop().await;
        let record = |owner: &str, data| Record::new(owner.parse().unwrap(), 300, data).unwrap();
        let cname = |owner: &str| record(owner, Data::Cname { target: "shop.test".parse().unwrap() });
        assert!(matches!(w.put("shop.test", cname("shop.test"), Existing::Keep).await, Err(ZoneError::Apex)));
        assert!(matches!(w.put("shop.test", cname("www.myshop.test"), Existing::Keep).await, Err(ZoneError::Outside(_))));
        w.put("shop.test", cname("www.shop.test"), Existing::Keep).await.unwrap();
        let www = || edge_record("www.shop.test".parse::<slipway_dns::record::Owner>().unwrap());
        assert!(matches!(w.put("shop.test", www(), Existing::Keep).await, Err(ZoneError::Conflict(_))));
        w.put("shop.test", www(), Existing::Replace).await.unwrap();
        let account = w.account.clone();
        let records = w.db.read(move |tx| record_list(tx, &account, &zone("shop.test"))).await.unwrap();
        assert_eq!(records.iter().map(|r| r.data.kind()).collect::<Vec<_>>(), ["EDGE", "EDGE"]);
    })
    .await;
}

#[tokio::test]
async fn a_zone_holds_no_more_than_its_limit() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    let zone = w.create(&w.account, "shop.test").await.unwrap();
    let author = Author { token: "a", common: None };
    let text = |i: i64| written(&format!("t{i}"), "TXT", "x");
    let (env, of, full) = (w.env.clone(), zone.clone(), (0..MAX_RECORDS).map(|i| Change::Create(text(i))).collect::<Vec<_>>());
    let made = w.db.write(move |tx| zone_change(tx, &env, &of, &Author { token: "a", common: None }, full.clone())).await.unwrap();
    let (env, of) = (w.env.clone(), zone.clone());
    let more = w.db.write(move |tx| zone_change(tx, &env, &of, &author, vec![Change::Create(text(MAX_RECORDS))])).await;
    assert!(matches!(more, Err(ZoneError::Full)));
    let (env, change) = (w.env.clone(), Change::Edit(made[0].id.clone(), Written { content: Some("y".to_owned()), ..Written::default() }));
    w.db.write(move |tx| zone_change(tx, &env, &zone, &Author { token: "a", common: None }, vec![change.clone()])).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_udp_says_so_and_comes_whole_over_tcp() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.create(&w.account, "shop.test").await.unwrap();
    for i in 0..4 {
        w.put("shop.test", txt("t.shop.test", &format!("{i}{}", "x".repeat(400))), Existing::Keep).await.unwrap();
    }
    w.server.refresh(&zone("shop.test")).await.unwrap();
    let mut asked = question("t.shop.test", RecordType::TXT);
    let (plain, size) = udp(w.server.addr, &asked).await;
    assert!(plain.metadata.truncation && size <= 512, "{size}");
    let mut edns = Edns::new();
    edns.set_max_payload(4_096);
    asked.edns = Some(edns);
    let (extended, size) = udp(w.server.addr, &asked).await;
    assert!(extended.metadata.truncation && size <= 1_232, "{size}");
    assert!(extended.edns.is_some());
    let whole = tcp(w.server.addr, &asked).await;
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 4);
}

#[tokio::test]
async fn a_newer_edns_an_update_and_a_question_too_many_are_answered_as_the_rfcs_say() {
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.shop().await;
    let mut newer = question("shop.test", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    newer.edns = Some(edns);
    let (answer, _) = udp(w.server.addr, &newer).await;
    // 16 is BADVERS here and BADSIG in a TSIG; the library reads it as the latter.
    assert_eq!((u16::from(answer.metadata.response_code), answer.answers.len()), (16, 0));
    let mut update = question("shop.test", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(udp(w.server.addr, &update).await.0.metadata.response_code, ResponseCode::NotImp);
    let mut two = question("shop.test", RecordType::A);
    two.add_query(Query::query(Name::from_ascii("other.test.").unwrap(), RecordType::A));
    assert_eq!(udp(w.server.addr, &two).await.0.metadata.response_code, ResponseCode::FormErr);
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_understands_the_answers() {
    if Command::new("dig").arg("-v").output().is_err() {
        eprintln!("not tested: `dig` is not installed");
        return;
    }
    let w = World::new(purser_db::testing::sqlite(TABLES).await).await;
    w.shop().await;
    let dig = |args: &[&str]| {
        let port = w.server.addr.port().to_string();
        let output = Command::new("dig").args(["@127.0.0.1", "-p", &port, "+tries=1"]).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(dig(&["+short", "shop.test"]).trim(), "127.0.0.1");
    assert_eq!(dig(&["+short", "+tcp", "shop.test", "AAAA"]).trim(), "::1");
    let denied = dig(&["gone.shop.test"]);
    assert!(denied.contains("status: NXDOMAIN") && denied.contains("flags: qr aa rd"), "{denied}");
    assert!(dig(&["example.com"]).contains("status: REFUSED"));
}
