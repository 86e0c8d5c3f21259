//! What clients of the API do to records, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use purser_db::testing::{START, each_engine};
use purser_db::{Db, Migrations};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use slipway_dns::record::Data;
use slipway_dns::store;
use slipway_dns::zone::change::{Author, Change, zone_change};
use slipway_dns::zone::create::zone_create;
use slipway_dns::zone::entry::{Entry, Written};
use slipway_dns::zone::get::{entry_get, entry_list, zone_by_id};
use slipway_dns::zone::record_put::{Existing, edge_record, record_put};
use slipway_dns::zone::{Zone, ZoneError};

const TABLES: &[Migrations] = &[store::MIGRATIONS];

struct World {
    db: Db,
    env: Env,
    clock: Arc<purser_values::env::TestClock>,
    zone: Zone,
}

impl World {
    async fn new(db: Db) -> Self {
        let (env, clock) = Env::test(START, 5);
        let account = CloudAccountId::mint(&env);
        let e = env.clone();
        let zone = db.write(move |tx| zone_create(tx, &e, &account, &"shop.test".parse().unwrap())).await.unwrap();
        Self { db, env, clock, zone }
    }

    async fn all(&self, changes: Vec<Change>) -> Result<Vec<Entry>, ZoneError> {
        self.by("token", changes).await
    }

    async fn by(&self, token: &'static str, changes: Vec<Change>) -> Result<Vec<Entry>, ZoneError> {
        let (env, zone) = (self.env.clone(), self.zone.clone());
        let common = "workers.slipway.test".parse().unwrap();
        self.db.write(move |tx| zone_change(tx, &env, &zone, &Author { token, common: Some(&common) }, changes.clone())).await
    }

    async fn one(&self, change: Change) -> Result<Entry, ZoneError> {
        self.all(vec![change]).await.map(|mut all| all.remove(0))
    }

    async fn list(&self) -> Vec<Entry> {
        let zone = self.zone.clone();
        self.db.read(move |tx| entry_list(tx, &zone)).await.unwrap()
    }
}

fn written(name: &str, kind: &str, content: &str) -> Written {
    Written { name: Some(name.to_owned()), kind: Some(kind.to_owned()), content: Some(content.to_owned()), ..Written::default() }
}

#[tokio::test]
async fn a_record_keeps_its_id_and_its_words_through_changes() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        let new = Written { comment: Some("mine".to_owned()), tags: Some(vec!["team:web".to_owned()]), ..written("www", "A", "192.0.2.1") };
        let made = w.one(Change::Create(new)).await.unwrap();
        assert_eq!((made.record.owner.as_str(), made.automatic, made.id.len()), ("www.shop.test", true, 32));
        let moved =
            w.one(Change::Edit(made.id.clone(), Written { content: Some("192.0.2.2".to_owned()), ttl: Some(600), ..Written::default() }));
        let moved = moved.await.unwrap();
        assert_eq!((&moved.id, moved.comment.as_deref(), moved.record.ttl_s), (&made.id, Some("mine"), 600));
        let replaced = w.one(Change::Replace(made.id.clone(), written("www", "AAAA", "2001:db8::1"))).await.unwrap();
        assert_eq!((&replaced.id, replaced.comment, replaced.automatic), (&made.id, None, true));
        let (zone, id) = (w.zone.clone(), made.id.clone());
        let got = w.db.read(move |tx| entry_get(tx, &zone, &id)).await.unwrap();
        assert_eq!(got.record.data.kind(), "AAAA");
        w.one(Change::Delete(made.id)).await.unwrap();
        assert!(w.list().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_request_that_arrives_twice_changes_once_and_only_for_its_sender_and_soon() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        let create = || Change::Create(written("www", "A", "192.0.2.1"));
        let first = w.one(create()).await.unwrap();
        assert_eq!(w.one(create()).await.unwrap(), first);
        assert!(matches!(w.by("another", vec![create()]).await, Err(ZoneError::Identical)));
        w.clock.advance_secs(600);
        assert!(matches!(w.one(create()).await, Err(ZoneError::Identical)));
        let delete = || Change::Delete(first.id.clone());
        w.one(delete()).await.unwrap();
        assert_eq!(w.one(delete()).await.unwrap().id, first.id);
        assert!(matches!(w.by("another", vec![delete()]).await, Err(ZoneError::NoRecord)));
        w.clock.advance_secs(600);
        assert!(matches!(w.one(delete()).await, Err(ZoneError::NoRecord)));
    })
    .await;
}

#[tokio::test]
async fn many_changes_are_made_in_their_order_or_none_is() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        let old = w.one(Change::Create(written("www", "CNAME", "a.example"))).await.unwrap();
        let swap = vec![Change::Delete(old.id.clone()), Change::Create(written("www", "A", "192.0.2.1"))];
        w.all(swap).await.unwrap();
        let broken = vec![Change::Create(written("a", "A", "192.0.2.1")), Change::Create(written("b", "A", "no address"))];
        assert!(matches!(w.all(broken).await, Err(ZoneError::Record(_))));
        assert_eq!(w.list().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_stand_beside_each_other_is_refused() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        w.one(Change::Create(written("www", "A", "192.0.2.1"))).await.unwrap();
        for (change, what) in [
            (written("www", "CNAME", "a.example"), "conflict"),
            (Written { proxied: Some(true), ..written("www", "AAAA", "100::") }, "conflict"),
            (Written { proxied: Some(true), ..written("t", "TXT", "x") }, "not proxiable"),
            (written("@", "CNAME", "a.example"), "apex"),
            (written("@", "NS", "ns.example"), "apex"),
            (Written { ttl: Some(5), ..written("t", "A", "192.0.2.1") }, "ttl"),
            (written("x.elsewhere.test.", "A", "192.0.2.1"), "outside"),
        ] {
            assert!(w.one(Change::Create(change)).await.is_err(), "{what}");
        }
        for (name, kind, content) in [
            ("@", "CNAME", "me.workers.slipway.test"),
            ("@", "TXT", "v=spf1 -all"),
            ("@", "MX", "10 mail.shop.test"),
            ("sub", "NS", "ns.example"),
            ("sub", "DS", "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"),
            ("*", "A", "192.0.2.1"),
        ] {
            w.one(Change::Create(written(name, kind, content))).await.unwrap_or_else(|e| panic!("{name} {kind}: {e}"));
        }
        assert!(w.one(Change::Create(written("@", "A", "192.0.2.1"))).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn the_record_of_a_connected_host_is_shown_and_not_changed_by_hand() {
    each_engine(TABLES, |db| async {
        let w = World::new(db).await;
        let (now, zone) = (w.env.now(), w.zone.clone());
        let put = w.db.write(move |tx| {
            let edge = edge_record(&"app.shop.test".parse::<purser_values::name::HostName>().unwrap());
            record_put(tx, now, &zone.account, &zone.name, &edge, Existing::Keep)
        });
        put.await.unwrap();
        let shown = w.list().await.remove(0);
        assert!(shown.proxied() && shown.record.data == Data::Edge);
        for change in [
            Change::Delete(shown.id.clone()),
            Change::Edit(shown.id.clone(), Written { content: Some("100::2".to_owned()), ..Written::default() }),
            Change::Create(written("app", "A", "192.0.2.1")),
        ] {
            assert!(matches!(w.one(change).await, Err(ZoneError::Managed(_))));
        }
        let (zone, stranger) = (w.zone.clone(), CloudAccountId::mint(&w.env));
        assert!(matches!(w.db.read(move |tx| zone_by_id(tx, &stranger, &zone.id)).await, Err(ZoneError::NotFound)));
    })
    .await;
}
