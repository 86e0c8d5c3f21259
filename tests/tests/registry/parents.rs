//! What the registry says about the keys of a zone, over EPP and TLS, from the first signature through a change of keys to the last.

use std::sync::Arc;

use purser_db::{Db, DbError};
use purser_values::env::TestClock;
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::name::DomainName;
use purser_values::{Env, Secret};
use slipway::parents;
use slipway_dns::dnssec::keys::{keys, signing, zone_sign, zone_unsign};
use slipway_dns::dnssec::roll::key_roll;
use slipway_dns::server::{DnsConfig, Nameserver};
use slipway_dns::zone::Zone;
use slipway_dns::zone::create::zone_create;
use slipway_registrar::domain::register::{Register, domain_register};
use slipway_registrar::registrar::Registrar;
use slipway_registrar::registry::epp::{Account, EppRegistry, over_tls};
use slipway_registrar::registry::{Registry as _, YEARLY};
use slipway_registry::serve;
use tokio::net::TcpListener;

use crate::support::{keyring, over_tcp};

const PASSWORD: &str = "parents-pa55word";
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

struct Signed {
    db: Db,
    env: Env,
    clock: Arc<TestClock>,
    registrar: Registrar,
    registry: Arc<EppRegistry>,
    nameserver: Nameserver,
    zone: Zone,
    _folder: tempfile::TempDir,
}

impl Signed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = over_tcp(folder.path(), PASSWORD, None);
        let (env, clock) = Env::test(purser_db::testing::START, 6);
        let (keeper, tls) = config.open(&env).await.unwrap();
        let listener = TcpListener::bind(config.listen).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve::listen(keeper, listener, tls, std::future::pending()));
        let dial = over_tls("localhost", port, &folder.path().join("keys/registry.pem"), None).unwrap();
        let account = Account { id: "alpha".to_owned(), password: Secret::new(PASSWORD.to_owned()) };
        let registry = Arc::new(EppRegistry::new(vec!["test".to_owned()], YEARLY, account, dial, Secret::new(vec![1; 32]), env.clone()));
        let db = purser_db::testing::sqlite(&[slipway_registrar::store::MIGRATIONS, slipway_dns::store::MIGRATIONS]).await;
        let name_servers = Arc::from(["ns1.example.net".parse().unwrap()]);
        let registrar = Registrar {
            db: db.clone(),
            registry: registry.clone(),
            env: env.clone(),
            name_servers,
            keyring: keyring(),
            wants_holder: false,
        };
        let (account, request) = (CloudAccountId::mint(&env), CloudResourceId::mint(&env));
        let name: DomainName = "shop.test".parse().unwrap();
        let order = Register { account: account.clone(), request, name: name.clone(), years: 1, price: YEARLY, stated: false };
        domain_register(&registrar, order).await.unwrap();
        let e = env.clone();
        let zone = db.write(move |tx| zone_create(tx, &e, &account, &name)).await.unwrap();
        let config = DnsConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            name_servers: vec!["ns1.example.net".parse().unwrap()],
            edge_v4: vec!["127.0.0.1".parse().unwrap()],
            edge_v6: Vec::new(),
            common_domain: None,
            secondaries: Vec::new(),
            answers_per_second: None,
        };
        let nameserver = Nameserver::start(config, db.clone(), env.clone(), keyring()).await.unwrap();
        Self { db, env, clock, registrar, registry, nameserver, zone, _folder: folder }
    }

    /// What housekeeping does; the tags that the registry names afterwards.
    async fn round(&self) -> Vec<u16> {
        self.nameserver.maintain().await.unwrap();
        parents::follow(&self.db, &self.registrar).await;
        let held = self.registry.info(&self.zone.name).await.unwrap().unwrap();
        held.ds.iter().map(|ds| ds.key_tag).collect()
    }

    async fn shown(&self) -> Vec<u16> {
        let zone = self.zone.clone();
        let all = self.db.read::<_, DbError, _>(move |tx| keys(tx, &zone)).await.unwrap();
        all.iter().map(|key| key.tag).collect()
    }
}

#[tokio::test]
async fn the_registry_names_a_key_that_is_there_at_every_moment_of_a_change_of_keys_and_none_before_or_after() {
    let w = Signed::new().await;
    assert!(w.round().await.is_empty());
    let (env, ring, zone) = (w.env.clone(), keyring(), w.zone.clone());
    w.db.write(move |tx| zone_sign(tx, &env, &ring, &zone)).await.unwrap();
    assert!(w.round().await.is_empty(), "the registry vouches for a zone that many still remember unsigned");
    let mut named = Vec::new();
    for _ in 0..48 {
        w.clock.advance_secs(HOUR);
        named = w.round().await;
    }
    let first = w.shown().await;
    assert_eq!((named.len(), &named), (1, &first), "the registry was not told");

    let (env, ring, zone) = (w.env.clone(), keyring(), w.zone.clone());
    w.db.write(move |tx| key_roll(tx, &env, &ring, &zone)).await.unwrap();
    // What a resolver may remember of the registry: its word of the last day.
    let mut words: Vec<(i64, Vec<u16>)> = vec![(w.env.now().as_secs(), named)];
    let mut both = false;
    for hour in 0..240 {
        let (named, shown, now) = (w.round().await, w.shown().await, w.env.now().as_secs());
        assert!(!named.is_empty(), "hour {hour}: the registry names no key");
        both |= named.len() == 2;
        words.push((now, named));
        for (at, word) in words.iter().filter(|(at, _)| now - at <= DAY) {
            assert!(word.iter().any(|tag| shown.contains(tag)), "hour {hour}: {word:?} of {} s ago fits no key of {shown:?}", now - at);
        }
        w.clock.advance_secs(HOUR);
    }
    let last = w.shown().await;
    assert!(both && last.len() == 1 && last != first, "the key did not change: {first:?} {last:?}");
    assert_eq!(w.round().await, last);

    // Unsigned again: the registry's word goes first, the signatures only when nobody remembers it.
    let (now, zone) = (w.env.now(), w.zone.clone());
    w.db.write(move |tx| zone_unsign(tx, now, &zone)).await.unwrap();
    assert!(w.round().await.is_empty());
    assert_eq!(w.shown().await, last, "the key is gone while the registry's word may be remembered");
    w.clock.advance_secs(3 * DAY);
    w.round().await;
    let zone = w.zone.clone();
    assert_eq!(w.db.read(move |tx| signing(tx, &zone)).await.unwrap(), slipway_dns::dnssec::keys::Signing::Off);
}
