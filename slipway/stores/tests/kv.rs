//! KV on both engines, as the API and as a binding ask for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use purser_db::Db;
use purser_db::testing::{START, each_engine};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use slipway_stores::body::{Body, Incoming};
use slipway_stores::kv::KeyName;
use slipway_stores::kv::binding::answer;
use slipway_stores::kv::bulk::Pair;
use slipway_stores::kv::list::Query;
use slipway_stores::kv::put::Options;
use slipway_stores::store::MIGRATIONS;
use slipway_stores::{StoreError, Stores, StoresConfig, limits};

struct World {
    stores: Stores,
    folder: tempfile::TempDir,
    env: Env,
    clock: Arc<purser_values::env::TestClock>,
    account: CloudAccountId,
}

fn world(db: Db) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (env, clock) = Env::test(START, 7);
    let stores = Stores::open(&StoresConfig { data: folder.path().to_owned(), s3: None }, db, env.clone()).unwrap();
    let account = CloudAccountId::mint(&env);
    World { stores, folder, env, clock, account }
}

fn key(name: &str) -> KeyName {
    KeyName::try_from(name.to_owned()).unwrap()
}

impl World {
    async fn put(&self, namespace: &str, name: &str, value: &[u8], options: Options) {
        let value = Incoming::of(Bytes::copy_from_slice(value));
        self.stores.kv_put(&self.account, namespace, key(name), options, value).await.unwrap();
    }

    async fn get(&self, namespace: &str, name: &str) -> Option<Bytes> {
        match self.stores.kv_get(&self.account, namespace, &key(name)).await {
            Ok(entry) => Some(entry.value.whole().await.unwrap()),
            Err(StoreError::NotFound(_)) => None,
            Err(e) => panic!("{e}"),
        }
    }

    async fn bytes(&self, namespace: &str) -> i64 {
        self.stores.kv_namespace_get(&self.account, namespace).await.unwrap().bytes
    }

    fn files(&self) -> usize {
        fn count(at: &std::path::Path) -> usize {
            std::fs::read_dir(at).into_iter().flatten().map(|e| e.unwrap().path()).map(|p| if p.is_dir() { count(&p) } else { 1 }).sum()
        }
        count(&self.folder.path().join("objects"))
    }

    async fn ask(
        &self,
        namespace: &str,
        method: Method,
        uri: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> (u16, http::HeaderMap, Bytes) {
        let body: Body = Full::new(Bytes::copy_from_slice(body)).map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = answer(&self.stores, &self.account, namespace, request.body(body).unwrap()).await;
        let (parts, body) = answer.into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes())
    }
}

#[tokio::test]
async fn small_and_large_values_come_back_and_what_is_replaced_is_counted_once_and_removed() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db);
        let id = world.stores.kv_namespace_create(&world.account, "one".into()).await.unwrap().id;
        let large = vec![7_u8; 300_000];
        world.put(&id, "a", b"small", Options::default()).await;
        world.put(&id, "b", &large, Options::default()).await;
        assert_eq!(world.get(&id, "a").await.unwrap(), "small");
        assert_eq!(world.get(&id, "b").await.unwrap(), large);
        assert_eq!((world.bytes(&id).await, world.files()), (64 + 300_001, 1));
        world.put(&id, "b", b"", Options::default()).await;
        assert_eq!(world.get(&id, "b").await.unwrap(), "", "an empty value is a value");
        assert_eq!(world.bytes(&id).await, 128);
        world.stores.sweep().await.unwrap();
        assert_eq!(world.files(), 1, "whoever reads it now reads to the end");
        world.clock.advance_secs(limits::DOOMED_S + 1);
        world.stores.sweep().await.unwrap();
        assert_eq!(world.files(), 0);
        world.stores.kv_delete(&world.account, &id, vec![key("a"), key("b"), key("none")]).await.unwrap();
        assert_eq!((world.get(&id, "a").await, world.bytes(&id).await), (None, 0));
    })
    .await;
}

#[tokio::test]
async fn what_is_another_accounts_does_not_exist() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db);
        let id = world.stores.kv_namespace_create(&world.account, "mine".into()).await.unwrap().id;
        world.put(&id, "a", b"secret", Options::default()).await;
        let other = CloudAccountId::mint(&world.env);
        let value = || Incoming::of(Bytes::from_static(b"x"));
        let large = || Incoming::of(Bytes::from(vec![1; 100_000]));
        let not_found = |e: StoreError| assert!(matches!(e, StoreError::NotFound(_)), "{e}");
        not_found(world.stores.kv_get(&other, &id, &key("a")).await.err().unwrap());
        not_found(world.stores.kv_put(&other, &id, key("a"), Options::default(), value()).await.unwrap_err());
        not_found(world.stores.kv_put(&other, &id, key("a"), Options::default(), large()).await.unwrap_err());
        not_found(world.stores.kv_delete(&other, &id, vec![key("a")]).await.unwrap_err());
        not_found(world.stores.kv_list(&other, &id, Query::default()).await.unwrap_err());
        not_found(world.stores.kv_namespace_rename(&other, &id, "x".into()).await.unwrap_err());
        not_found(world.stores.kv_namespace_delete(&other, &id).await.unwrap_err());
        assert_eq!(world.get(&id, "a").await.unwrap(), "secret");
        assert!(world.stores.kv_namespace_list(&other).await.unwrap().is_empty());
        assert!(world.stores.kv_namespace_create(&other, "mine".into()).await.is_ok(), "titles are an account's own");
        let again = world.stores.kv_namespace_create(&world.account, "mine".into()).await.unwrap_err();
        assert_eq!(again.code(), 10_014);
    })
    .await;
}

#[tokio::test]
async fn lists_are_in_the_order_of_bytes_and_pages_miss_and_repeat_nothing() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db);
        let id = world.stores.kv_namespace_create(&world.account, "list".into()).await.unwrap().id;
        let mut names: Vec<String> =
            ["B", "a", "a b", "a/", "a/x", "ä", "ab", "Z", "b", "\u{10ffff}", "\u{1F600}"].map(str::to_owned).to_vec();
        let pairs = names.iter().map(|n| Pair { name: key(n), options: Options::default(), value: Bytes::from_static(b"v") }).collect();
        world.stores.kv_bulk_put(&world.account, &id, pairs).await.unwrap();
        names.sort();
        let (mut told, mut cursor) = (Vec::new(), None);
        loop {
            let query = Query { cursor: cursor.take(), limit: Some(3), ..Query::default() };
            let page = world.stores.kv_list(&world.account, &id, query).await.unwrap();
            told.extend(page.keys.into_iter().map(|k| k.name));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(told, names);
        for prefix in ["a", "a/", "ä", "\u{10ffff}", "none"] {
            let query = Query { prefix: prefix.into(), ..Query::default() };
            let page = world.stores.kv_list(&world.account, &id, query).await.unwrap();
            let found: Vec<String> = page.keys.into_iter().map(|k| k.name).collect();
            let expected: Vec<String> = names.iter().filter(|n| n.starts_with(prefix)).cloned().collect();
            assert_eq!(found, expected, "{prefix}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_expired_is_gone_swept_or_not() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db);
        let id = world.stores.kv_namespace_create(&world.account, "brief".into()).await.unwrap().id;
        let now = world.env.now();
        assert!(Options::checked(now, Some("59"), None, None).is_err());
        assert!(Options::checked(now, None, Some("1"), None).is_err());
        assert!(Options::checked(now, None, None, Some("{".into())).is_err());
        world.put(&id, "a", &vec![1; 100_000], Options::checked(now, Some("60"), None, None).unwrap()).await;
        world.put(&id, "b", b"stays", Options::default()).await;
        assert!(world.get(&id, "a").await.is_some());
        world.clock.advance_secs(61);
        assert!(world.get(&id, "a").await.is_none());
        assert_eq!(world.stores.kv_list(&world.account, &id, Query::default()).await.unwrap().keys.len(), 1);
        world.stores.sweep().await.unwrap();
        assert_eq!(world.bytes(&id).await, 64);
        world.stores.kv_namespace_delete(&world.account, &id).await.unwrap();
        world.clock.advance_secs(limits::DOOMED_S + 1);
        world.stores.sweep().await.unwrap();
        assert_eq!(world.files(), 0, "nothing stays of a namespace that is gone");
    })
    .await;
}

#[tokio::test]
async fn a_body_that_ends_early_or_is_too_large_changes_nothing_and_leaves_nothing() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db);
        let id = world.stores.kv_namespace_create(&world.account, "half".into()).await.unwrap().id;
        world.put(&id, "a", b"before", Options::default()).await;
        let piece = || Ok(Bytes::from(vec![1; 60_000]));
        let cut = slipway_stores::body::sender_failed(&std::io::Error::other("reset"));
        let broken = Incoming { chunks: futures_util::stream::iter([piece(), piece(), Err(cut)]).boxed(), length: None };
        let refused = world.stores.kv_put(&world.account, &id, key("a"), Options::default(), broken).await.unwrap_err();
        assert!(matches!(refused, StoreError::Broken), "{refused:?}");
        let short = Incoming { chunks: futures_util::stream::iter([piece()]).boxed(), length: Some(70_000) };
        assert!(world.stores.kv_put(&world.account, &id, key("a"), Options::default(), short).await.is_err());
        let long = Incoming { chunks: futures_util::stream::repeat_with(piece).boxed(), length: None };
        let refused = world.stores.kv_put(&world.account, &id, key("a"), Options::default(), long).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooLarge(_)), "{refused:?}");
        assert_eq!(world.get(&id, "a").await.unwrap(), "before");
        world.clock.advance_secs(limits::DOOMED_S + 1);
        world.stores.sweep().await.unwrap();
        assert_eq!(world.files(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_binding_is_answered_as_the_runtime_expects() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db);
        let id = world.stores.kv_namespace_create(&world.account, "bound".into()).await.unwrap().id;
        let headers = [("cf-kv-metadata", "{\"a\":1}")];
        let (status, ..) = world.ask(&id, Method::PUT, "/a%2Fb?urlencoded=true&expiration_ttl=90", b"value", &headers).await;
        assert_eq!(status, 200);
        let (status, headers, body) = world.ask(&id, Method::GET, "/a%2Fb?urlencoded=true", b"", &[]).await;
        assert_eq!((status, &body[..], headers["cf-kv-metadata"].as_bytes()), (200, &b"value"[..], &b"{\"a\":1}"[..]));
        assert_eq!(world.ask(&id, Method::GET, "/none?urlencoded=true", b"", &[]).await.0, 404);
        let (_, _, body) = world.ask(&id, Method::GET, "/?key_count_limit=10&prefix=a%2F", b"", &[]).await;
        let listed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&listed["keys"][0]["name"], &listed["keys"][0]["metadata"]), (&"a/b".into(), &"{\"a\":1}".into()));
        assert_eq!(listed["list_complete"], true);
        let asked = br#"{"keys":["a/b","none"],"type":"text","withMetadata":true}"#;
        let (_, _, body) = world.ask(&id, Method::POST, "/bulk/get", asked, &[]).await;
        let found: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(found, serde_json::json!({"a/b": {"value": "value", "metadata": {"a": 1}}, "none": null}));
        assert_eq!(world.ask(&id, Method::PUT, "/a?urlencoded=true&expiration_ttl=5", b"x", &[]).await.0, 400);
        assert_eq!(world.ask(&id, Method::DELETE, "/a%2Fb?urlencoded=true", b"", &[]).await.0, 200);
        assert_eq!(world.ask(&id, Method::GET, "/a%2Fb?urlencoded=true", b"", &[]).await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn a_bulk_write_that_fails_half_way_leaves_no_bytes_behind() {
    each_engine(&[MIGRATIONS], |db| async move {
        let world = world(db.clone());
        let id = world.stores.kv_namespace_create(&world.account, "bulk".into()).await.unwrap().id;
        let too_large = usize::try_from(limits::KV_VALUE_BYTES).unwrap() + 1;
        let sizes = [limits::INLINE_BYTES + 1, limits::INLINE_BYTES + 1, too_large];
        let pair =
            |(n, size): (usize, &usize)| Pair { name: key(&format!("k{n}")), options: Options::default(), value: vec![b'x'; *size].into() };
        let pairs = sizes.iter().enumerate().map(pair).collect();
        assert!(world.stores.kv_bulk_put(&world.account, &id, pairs).await.is_err());
        let states = "select count(*) as n from store_object where state <> 'doomed'";
        let left: i64 = db.read(move |tx| tx.query_one(states, purser_db::params![])?.get("n")).await.unwrap();
        assert_eq!(left, 0, "what nobody refers to waits for a day");
    })
    .await;
}
