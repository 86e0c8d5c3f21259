//! The registry as a registrar sees it: frames in, frames out, on both engines.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations, params};
use purser_values::env::TestClock;
use purser_values::{Currency, Env, Money, Secret};
use slipway_registry::client::{Client, Pepper};
use slipway_registry::registry::{Registry, Seed};
use slipway_registry::rules::{Quirks, Rules};
use slipway_registry::{serve, store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, store::MIGRATIONS];
const DAY: i64 = 86_400;

fn rules() -> Rules {
    Rules {
        server: "Registry of the tests".to_owned(),
        zones: vec!["test".to_owned()],
        yearly: Money::from_minor(9_15, Currency::USD),
        premium_yearly: Money::from_minor(1_500_00, Currency::USD),
        premium: vec!["premium".to_owned()],
        premium_length: 2,
        quirks: Quirks { sniped: Some("sniped".to_owned()), silent: Some("unavailable".to_owned()) },
    }
}

async fn registry(db: Db) -> (Registry, Arc<TestClock>) {
    let (env, clock) = Env::test(START, 5);
    let registry = Registry::new(db, env, rules(), Pepper::new(Secret::new(vec![7; 32])));
    let client = |id: &str| Client { id: id.to_owned(), password: Secret::new("secret-99".to_owned()), certificate: None };
    let seeds = vec![Seed { name: "taken.test".to_owned(), client: "beta".to_owned() }];
    registry.prepare(vec![client("alpha"), client("beta")], false, seeds).await.unwrap();
    (registry, clock)
}

/// One connection.
struct Line {
    stream: DuplexStream,
    next: u32,
}

impl Line {
    async fn open(registry: &Registry) -> Self {
        let mut line = Self { stream: serve::pipe(registry), next: 0 };
        assert!(line.read().await.unwrap().contains("<greeting>"));
        line
    }

    async fn signed(registry: &Registry, id: &str) -> Self {
        let mut line = Self::open(registry).await;
        let said = line.say(&login(id, "secret-99")).await;
        assert!(said.contains("code=\"1000\""), "{said}");
        line
    }

    async fn read(&mut self) -> Option<String> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.ok()?;
        let mut document = vec![0; u32::from_be_bytes(header) as usize - 4];
        self.stream.read_exact(&mut document).await.ok()?;
        Some(String::from_utf8(document).unwrap())
    }

    async fn frame(&mut self, document: &str) -> Option<String> {
        let mut frame = (document.len() as u32 + 4).to_be_bytes().to_vec();
        frame.extend(document.as_bytes());
        self.stream.write_all(&frame).await.ok()?;
        self.read().await
    }

    /// A command under a fresh transaction id.
    async fn say(&mut self, command: &str) -> String {
        self.next += 1;
        let id = format!("line-{}", self.next);
        self.say_as(&id, command).await
    }

    async fn say_as(&mut self, id: &str, command: &str) -> String {
        let document = format!("<epp xmlns='urn:ietf:params:xml:ns:epp-1.0'><command>{command}<clTRID>{id}</clTRID></command></epp>");
        self.frame(&document).await.unwrap()
    }

    async fn code(&mut self, command: &str) -> u32 {
        code(&self.say(command).await)
    }
}

fn code(answer: &str) -> u32 {
    answer.split_once("code=\"").unwrap().1[..4].parse().unwrap()
}

fn login(id: &str, password: &str) -> String {
    let objects: String = ["domain", "host", "contact"].map(|it| format!("<objURI>urn:ietf:params:xml:ns:{it}-1.0</objURI>")).concat();
    let extensions: String =
        ["secDNS-1.1", "rgp-1.0", "epp:fee-1.0"].map(|it| format!("<extURI>urn:ietf:params:xml:ns:{it}</extURI>")).concat();
    format!(
        "<login><clID>{id}</clID><pw>{password}</pw><options><version>1.0</version><lang>en</lang></options>
         <svcs>{objects}<svcExtension>{extensions}</svcExtension></svcs></login>"
    )
}

fn on(object: &str, verb: &str, inner: &str) -> String {
    format!("<{verb}><o:{verb} xmlns:o='urn:ietf:params:xml:ns:{object}-1.0'>{inner}</o:{verb}></{verb}>")
}

fn domain(verb: &str, inner: &str) -> String {
    on("domain", verb, inner)
}

fn create(name: &str) -> String {
    domain("create", &format!("<o:name>{name}</o:name><o:period unit='y'>1</o:period><o:authInfo><o:pw>p4ss-word</o:pw></o:authInfo>"))
}

fn info(name: &str) -> String {
    domain("info", &format!("<o:name>{name}</o:name>"))
}

#[tokio::test]
async fn nobody_does_anything_before_signing_in_and_three_wrong_passwords_end_the_line() {
    each_engine(TABLES, |db| async {
        let (registry, _) = registry(db).await;
        let mut line = Line::open(&registry).await;
        assert_eq!(line.code(&info("taken.test")).await, 2002);
        assert_eq!(line.code("<logout/>").await, 2002);
        assert_eq!(line.code(&login("alpha", "wrong-one")).await, 2200);
        assert_eq!(line.code(&login("nobody", "secret-99")).await, 2200);
        assert_eq!(line.code(&login("alpha", "wrong-two")).await, 2501);
        assert!(line.read().await.is_none(), "the line stayed open");

        let mut line = Line::signed(&registry, "alpha").await;
        assert_eq!(line.code(&login("alpha", "secret-99")).await, 2002);
        assert_eq!(line.code("<fly/>").await, 2000);
        assert_eq!(line.code(&on("nsset", "info", "<o:id>x</o:id>")).await, 2307);
        assert_eq!(line.code("<logout/>").await, 1500);
        assert!(line.read().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn documents_that_could_hurt_end_the_line_and_bad_ones_do_not() {
    each_engine(TABLES, |db| async {
        let (registry, _) = registry(db).await;
        let mut line = Line::open(&registry).await;
        assert_eq!(code(&line.frame("<epp").await.unwrap()), 2001);
        assert!(line.frame("<epp xmlns='urn:ietf:params:xml:ns:epp-1.0'><hello/></epp>").await.unwrap().contains("<greeting>"));
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><epp xmlns='urn:ietf:params:xml:ns:epp-1.0'><hello/></epp>";
        assert_eq!(code(&line.frame(bomb).await.unwrap()), 2500);
        assert!(line.read().await.is_none());
        let mut line = Line::open(&registry).await;
        line.stream.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.unwrap();
        assert!(line.read().await.is_none(), "a frame of two gigabytes was waited for");
    })
    .await;
}

#[tokio::test]
async fn a_name_lives_from_check_to_deletion() {
    each_engine(TABLES, |db| async {
        let (registry, clock) = registry(db).await;
        let mut a = Line::signed(&registry, "alpha").await;
        let check = domain("check", "<o:name>shop.test</o:name><o:name>taken.test</o:name><o:name>shop.com</o:name>");
        let said = a.say(&check).await;
        assert!(said.contains("avail=\"1\">shop.test<") && said.contains("avail=\"0\">taken.test<"), "{said}");
        assert!(said.contains("avail=\"0\">shop.com<"), "{said}");

        assert_eq!(a.code(&on("host", "create", "<o:name>ns1.shop.test</o:name>")).await, 2303, "its domain is not registered");
        assert_eq!(a.code(&create("shop.test")).await, 1000);
        assert_eq!(a.code(&create("shop.test")).await, 2302);
        assert_eq!(a.code(&on("host", "create", "<o:name>ns1.shop.test</o:name><o:addr ip='v4'>192.0.2.1</o:addr>")).await, 1000);
        assert_eq!(a.code(&on("host", "create", "<o:name>ns.example.net</o:name><o:addr ip='v4'>192.0.2.1</o:addr>")).await, 2306);
        let update = |inner: &str| domain("update", &format!("<o:name>shop.test</o:name>{inner}"));
        assert_eq!(a.code(&update("<o:add><o:ns><o:hostObj>ns9.shop.test</o:hostObj></o:ns></o:add>")).await, 2303);
        let add = "<o:add><o:ns><o:hostObj>ns1.shop.test</o:hostObj></o:ns><o:status s='clientDeleteProhibited'/></o:add>";
        assert_eq!(a.code(&update(add)).await, 1000);
        let said = a.say(&info("shop.test")).await;
        assert!(
            said.contains("hostObj>ns1.shop.test<") && said.contains("s=\"clientDeleteProhibited\"") && said.contains("addPeriod"),
            "{said}"
        );
        let delete = domain("delete", "<o:name>shop.test</o:name>");
        assert_eq!(a.code(&delete).await, 2304);
        assert_eq!(a.code(&on("host", "delete", "<o:name>ns1.shop.test</o:name>")).await, 2305);
        assert_eq!(a.code(&update("<o:rem><o:status s='clientDeleteProhibited'/></o:rem>")).await, 1000);

        let renew = |from: &str, years: u32| {
            domain("renew", &format!("<o:name>shop.test</o:name><o:curExpDate>{from}</o:curExpDate><o:period unit='y'>{years}</o:period>"))
        };
        assert_eq!(a.code(&renew("2027-11-23", 2)).await, 1000);
        assert_eq!(a.code(&renew("2027-11-23", 2)).await, 2004, "the end that it names is over");
        assert_eq!(a.code(&renew("2029-11-23", 9)).await, 2004);

        clock.advance_secs(6 * DAY);
        assert_eq!(a.code(&delete).await, 1001);
        let said = a.say(&info("shop.test")).await;
        assert!(said.contains("s=\"pendingDelete\"") && said.contains("redemptionPeriod"), "{said}");
        assert_eq!(a.code(&renew("2029-11-23", 1)).await, 2105);
        clock.advance_secs(36 * DAY);
        assert_eq!(a.code(&info("shop.test")).await, 2303);
        assert_eq!(a.code(&create("shop.test")).await, 1000, "it is free again");
        assert_eq!(a.code(&delete).await, 1000, "a fresh name is given back at once");
        assert_eq!(a.code(&info("shop.test")).await, 2303);
    })
    .await;
}

#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once_and_answered_twice_alike() {
    each_engine(TABLES, |db| async {
        let (registry, clock) = registry(db).await;
        let mut a = Line::signed(&registry, "alpha").await;
        let first = a.say_as("order-1", &create("shop.test")).await;
        let mut again = Line::signed(&registry, "alpha").await;
        assert_eq!(again.say_as("order-1", &create("shop.test")).await, first);
        // The id is the client's to choose: under another command it is another command, and never another registrar's.
        assert_eq!(code(&again.say_as("order-1", &create("second.test")).await), 1000);
        let mut b = Line::signed(&registry, "beta").await;
        assert_eq!(code(&b.say_as("order-1", &create("shop.test")).await), 2302);
        let renew = "<o:name>shop.test</o:name><o:curExpDate>2027-11-23</o:curExpDate>";
        let renewed = a.say_as("order-2", &domain("renew", renew)).await;
        assert!(renewed.contains("2028-11-23"), "{renewed}");
        assert_eq!(a.say_as("order-2", &domain("renew", renew)).await, renewed);
        clock.advance_secs(2 * DAY);
        assert_eq!(code(&a.say_as("order-2", &domain("renew", renew)).await), 2004, "after a day it is a new command");
    })
    .await;
}

#[tokio::test]
async fn twenty_that_want_one_name_get_it_once() {
    each_engine(TABLES, |db| async {
        let (registry, _) = registry(db).await;
        let mut tries = tokio::task::JoinSet::new();
        for n in 0..20 {
            let registry = registry.clone();
            tries.spawn(async move {
                let mut line = Line::signed(&registry, if n % 2 == 0 { "alpha" } else { "beta" }).await;
                code(&line.say_as(&format!("try-{n}"), &create("shop.test")).await)
            });
        }
        let codes = tries.join_all().await;
        assert_eq!(codes.iter().filter(|code| **code == 1000).count(), 1, "{codes:?}");
        assert!(codes.iter().all(|code| matches!(code, 1000 | 2302)), "{codes:?}");
    })
    .await;
}

#[tokio::test]
async fn another_registrar_reads_little_changes_nothing_and_takes_a_name_over_with_its_secret_alone() {
    each_engine(TABLES, |db| async {
        let (registry, clock) = registry(db).await;
        let mut a = Line::signed(&registry, "alpha").await;
        let mut b = Line::signed(&registry, "beta").await;
        let person = "<o:id>sh8013</o:id><o:postalInfo type='int'><o:name>Ada</o:name><o:addr><o:city>Oslo</o:city><o:cc>NO</o:cc></o:addr>
            </o:postalInfo><o:email>ada@example.test</o:email><o:authInfo><o:pw>2fooBAR</o:pw></o:authInfo>";
        assert_eq!(a.code(&on("contact", "create", person)).await, 1000);
        let order = create("shop.test").replace("<o:authInfo>", "<o:registrant>sh8013</o:registrant><o:authInfo>");
        assert_eq!(a.code(&order).await, 1000);
        assert_eq!(b.code(&on("contact", "info", "<o:id>sh8013</o:id>")).await, 2201);
        assert_eq!(a.code(&on("contact", "delete", "<o:id>sh8013</o:id>")).await, 2305);
        assert!(a.say(&info("shop.test")).await.contains("sh8013"));
        assert!(!b.say(&info("shop.test")).await.contains("sh8013"));
        assert_eq!(b.code(&domain("delete", "<o:name>shop.test</o:name>")).await, 2201);
        assert_eq!(b.code(&domain("update", "<o:name>shop.test</o:name><o:chg><o:registrant/></o:chg>")).await, 2201);

        let transfer = |op: &str, pw: &str| domain("transfer", &format!("<o:name>shop.test</o:name>{pw}")).replace("<transfer>", &format!("<transfer op='{op}'>"));
        let (wrong, right) = ("<o:authInfo><o:pw>another</o:pw></o:authInfo>", "<o:authInfo><o:pw>p4ss-word</o:pw></o:authInfo>");
        assert_eq!(b.code(&transfer("request", "")).await, 2202);
        assert_eq!(b.code(&transfer("request", wrong)).await, 2202);
        assert_eq!(b.code(&transfer("request", right)).await, 1001);
        assert_eq!(b.code(&transfer("request", right)).await, 2300);
        assert_eq!(b.code(&transfer("approve", "")).await, 2201, "the winner does not say so");
        assert_eq!(a.code("<poll op='req'/>").await, 1301);
        assert_eq!(a.code(&transfer("reject", "")).await, 1000);
        assert_eq!(b.code("<poll op='req'/>").await, 1301);

        assert_eq!(b.code(&transfer("request", right)).await, 1001);
        clock.advance_secs(6 * DAY);
        let said = b.say(&info("shop.test")).await;
        assert!(said.contains("clID>beta<") && said.contains("2028-11-23"), "nobody answered, so it went over: {said}");
        assert_eq!(a.code(&domain("update", "<o:name>shop.test</o:name><o:chg><o:registrant/></o:chg>")).await, 2201);
        assert_eq!(a.code(&transfer("request", right)).await, 2202, "the old secret is worth nothing");
        for _ in 0..2 {
            let said = b.say("<poll op='req'/>").await;
            let id = said.split_once(" id=\"").unwrap().1.split('"').next().unwrap().to_owned();
            assert_eq!(a.code(&format!("<poll op='ack' msgID='{id}'/>")).await, 2303, "a message of another registrar was taken away");
            assert_eq!(b.code(&format!("<poll op='ack' msgID='{id}'/>")).await, 1000);
        }
        assert_eq!(b.code("<poll op='req'/>").await, 1300);
        let lock = domain("update", "<o:name>shop.test</o:name><o:add><o:status s='clientTransferProhibited'/></o:add><o:chg><o:authInfo><o:pw>new-secret</o:pw></o:authInfo></o:chg>");
        assert_eq!(b.code(&lock).await, 1000);
        assert_eq!(a.code(&transfer("request", "<o:authInfo><o:pw>new-secret</o:pw></o:authInfo>")).await, 2304);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_name_comes_back_with_a_report_and_not_without() {
    each_engine(TABLES, |db| async {
        let (registry, clock) = registry(db).await;
        let mut a = Line::signed(&registry, "alpha").await;
        assert_eq!(a.code(&create("shop.test")).await, 1000);
        clock.advance_secs(6 * DAY);
        assert_eq!(a.code(&domain("delete", "<o:name>shop.test</o:name>")).await, 1001);
        let restore = |inner: &str| {
            format!(
                "{}<extension><r:update xmlns:r='urn:ietf:params:xml:ns:rgp-1.0'>{inner}</r:update></extension>",
                domain("update", "<o:name>shop.test</o:name><o:chg/>")
            )
        };
        let report =
            "<r:restore op='report'><r:report><r:preData>a</r:preData><r:postData>b</r:postData><r:delTime>2026-11-29T12:00:00Z</r:delTime>
            <r:resTime>2026-11-30T12:00:00Z</r:resTime><r:resReason>r</r:resReason><r:statement>s</r:statement></r:report></r:restore>";
        assert_eq!(a.code(&restore(report)).await, 2304, "a report of nothing");
        assert_eq!(a.code(&restore("<r:restore op='request'/>")).await, 1000);
        assert!(a.say(&info("shop.test")).await.contains("pendingRestore"));
        clock.advance_secs(8 * DAY);
        assert!(a.say(&info("shop.test")).await.contains("redemptionPeriod"), "no report came");
        assert_eq!(a.code(&restore("<r:restore op='request'/>")).await, 1000);
        assert_eq!(a.code(&restore(report)).await, 1000);
        let said = a.say(&info("shop.test")).await;
        assert!(!said.contains("pendingDelete") && said.contains("2027-11-23"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn prices_are_told_and_a_premium_name_is_sold_at_its_price_alone() {
    each_engine(TABLES, |db| async {
        let (registry, _) = registry(db).await;
        let mut a = Line::signed(&registry, "alpha").await;
        let fee = |verb: &str, inner: &str| {
            format!("<extension><f:{verb} xmlns:f='urn:ietf:params:xml:ns:epp:fee-1.0'>{inner}</f:{verb}></extension>")
        };
        let asked = domain("check", "<o:name>shop.test</o:name><o:name>premium.test</o:name>")
            + &fee("check", "<f:currency>USD</f:currency><f:command name='create'><f:period unit='y'>2</f:period></f:command>");
        let said = a.say(&asked).await;
        assert!(said.contains(">18.30<") && said.contains(">3000.00<") && said.contains("<fee:class>premium</fee:class>"), "{said}");
        assert_eq!(a.code(&create("premium.test")).await, 2003);
        let offer = |amount: &str| create("premium.test") + &fee("create", &format!("<f:currency>USD</f:currency><f:fee>{amount}</f:fee>"));
        assert_eq!(a.code(&offer("9.15")).await, 2004);
        assert_eq!(a.code(&offer("1500.00")).await, 1000);
        assert_eq!(a.code(&create("sniped-one.test")).await, 2302);
        assert_eq!(a.code(&create("xn--bcher-kva.test")).await, 2306);
        assert_eq!(a.code(&create("a.shop.test")).await, 2306);
        assert_eq!(a.code(&create("-.test")).await, 2005);
    })
    .await;
}

#[tokio::test]
async fn ds_records_are_kept_and_a_session_that_did_not_ask_for_them_hears_nothing() {
    each_engine(TABLES, |db| async {
        let (registry, _) = registry(db).await;
        let mut a = Line::signed(&registry, "alpha").await;
        assert_eq!(a.code(&create("shop.test")).await, 1000);
        let digest = "AB".repeat(32);
        let ds = format!(
            "<s:dsData><s:keyTag>12345</s:keyTag><s:alg>13</s:alg><s:digestType>2</s:digestType><s:digest>{digest}</s:digest></s:dsData>"
        );
        let update = |inner: &str| {
            domain("update", "<o:name>shop.test</o:name>")
                + &format!("<extension><s:update xmlns:s='urn:ietf:params:xml:ns:secDNS-1.1'>{inner}</s:update></extension>")
        };
        assert_eq!(a.code(&update(&format!("<s:add>{ds}</s:add>"))).await, 1000);
        assert_eq!(a.code(&update(&format!("<s:add>{}</s:add>", ds.replace(&digest, "AB")))).await, 2005);
        assert!(a.say(&info("shop.test")).await.contains(&digest));
        let mut plain = Line::open(&registry).await;
        let login = login("alpha", "secret-99");
        let (before, rest) = login.split_once("<svcExtension>").unwrap();
        assert_eq!(plain.code(&format!("{before}{}", rest.split_once("</svcExtension>").unwrap().1)).await, 1000);
        assert!(!plain.say(&info("shop.test")).await.contains("secDNS"));
        assert_eq!(plain.code(&update("<s:rem><s:all>true</s:all></s:rem>")).await, 2103);
        assert_eq!(a.code(&update("<s:rem><s:all>true</s:all></s:rem>")).await, 1000);
        assert!(!a.say(&info("shop.test")).await.contains(&digest));
    })
    .await;
}

#[tokio::test]
async fn names_of_the_older_table_are_taken_over() {
    const OLD: &[Migrations] = &[Migrations { domain: "sandbox_registry", steps: &[store::MIGRATIONS.steps[0]] }];
    each_engine(OLD, |db| async {
        let insert = "insert into registry_domain (name, order_id, years, name_servers, registered_at, expires_at) values ('old.test', 'dom_01', 1, '[\"ns1.slipway.test\"]', $1, $2)";
        db.write::<_, DbError, _>(move |tx| tx.execute(insert, params![START, START.plus_months(12)])).await.unwrap();
        let (env, _) = Env::test(START, 1);
        db.migrate(&env, TABLES).await.unwrap();
        let (registry, _) = registry(db).await;
        let client = Client { id: store::TAKEN_OVER.to_owned(), password: Secret::new("secret-99".to_owned()), certificate: None };
        registry.prepare(vec![client], false, Vec::new()).await.unwrap();
        let mut line = Line::signed(&registry, store::TAKEN_OVER).await;
        let said = line.say(&info("old.test")).await;
        assert!(said.contains("ns1.slipway.test") && said.contains("2027-11-23"), "{said}");
    })
    .await;
}
