//! The life of a Worker over the store, on both engines, with the real workerd.

use std::collections::BTreeMap;

use crate::support::service::{MIGRATIONS, Service, author, module, none, open, owned, upload};
use crate::support::{eventually, workerd};
use bytes::Bytes;
use purser_db::testing::each_engine;
use purser_values::Secret;
use purser_values::id::CloudAccountId;
use slipway_workers::Rollout;
use slipway_workers::view::{AssetFile, ScriptSubdomain};

fn says(text: &str) -> String {
    format!("export default {{ fetch() {{ return new Response('{text}') }} }}")
}

#[tokio::test]
async fn a_worker_is_deployed_redeployed_and_deleted() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        let name = "hello".parse().unwrap();
        assert_eq!(s.workers.script_get(&s.account, &name).await.unwrap_err().code(), 10_007);
        let first = s.deploy("hello", &says("one")).await.unwrap();
        let host = s.connect("hello").await;
        assert_eq!(s.get(&host, "/").await.unwrap(), (200, "one".into()));
        let again = s.deploy("hello", &says("one")).await.unwrap();
        assert!(again.repeated && again.version.id == first.version.id && again.deployment.id == first.deployment.id);

        let second = s.workers.version_create(&s.account, &name, module(&says("two"), "[]"), &author()).await.unwrap();
        assert_eq!(second.number, 2);
        assert_ne!(second.code_digest, first.version.code_digest);
        assert_eq!(s.get(&host, "/").await.unwrap().1, "one", "a stored version gets no traffic");
        let retried = s.workers.version_create(&s.account, &name, module(&says("two"), "[]"), &author()).await.unwrap();
        assert_eq!(retried.id, second.id);
        let split = [(first.version.id.clone(), 75.0), (second.id.clone(), 25.0)];
        let shared = s.workers.deployment_create(&s.account, &name, &split, none(), &author()).await.unwrap();
        assert_eq!(shared.minor.map(|m| m.version), Some(second.id.clone()));
        let mut twos = 0;
        for _ in 0..40 {
            twos += usize::from(s.get(&host, "/").await.unwrap().1 == "two");
        }
        assert!((8..=12).contains(&twos), "a quarter of 40 requests is not {twos}");
        let all = [(second.id.clone(), 100.0)];
        let deployment = s.workers.deployment_create(&s.account, &name, &all, none(), &author()).await.unwrap();
        assert_eq!(s.get(&host, "/").await.unwrap().1, "two");
        let repeated = s.workers.deployment_create(&s.account, &name, &all, none(), &author()).await.unwrap();
        assert_eq!(repeated.id, deployment.id);
        let listed = s.workers.deployment_list(&s.account, &name).await.unwrap();
        assert_eq!(listed.iter().map(|d| &d.version).collect::<Vec<_>>(), [&second.id, &first.version.id, &first.version.id]);

        let back = [(first.version.id.clone(), 100.0)];
        s.workers.deployment_create(&s.account, &name, &back, none(), &author()).await.unwrap();
        assert_eq!(s.get(&host, "/").await.unwrap().1, "one", "a rollback starts the old version again");

        let stranger = CloudAccountId::mint(&s.env);
        assert_eq!(s.workers.script_get(&stranger, &name).await.unwrap_err().code(), 10_007);
        assert!(s.workers.deployment_create(&stranger, &name, &all, none(), &author()).await.is_err());
        s.workers.script_delete(&s.account, &name, false).await.unwrap();
        assert!(s.get(&host, "/").await.is_err());
        assert!(s.workers.domain_list(&s.account).await.unwrap().is_empty());
        assert_eq!(s.workers.script_delete(&s.account, &name, false).await.unwrap_err().code(), 10_007);
    })
    .await;
}

#[tokio::test]
async fn code_that_does_not_start_is_refused_in_workerds_words_and_the_old_serves_on() {
    let Some(workerd) = workerd() else { return };
    let db = purser_db::testing::sqlite(MIGRATIONS).await;
    let folder = tempfile::tempdir().unwrap();
    let s = Service::open(&db, folder.path(), &workerd).await;
    s.deploy("hello", &says("one")).await.unwrap();
    let host = s.connect("hello").await;
    for (code, words) in [
        ("export default { fetch({ }", "SyntaxError"),
        ("throw new Error('boom at start'); export default {}", "boom at start"),
        ("import './nope.js'; export default {}", "nope.js"),
        ("export const x = 1", "TypeError"),
    ] {
        let e = s.deploy("hello", code).await.unwrap_err();
        assert_eq!(e.code(), 10_021, "{e}");
        let text = e.to_string();
        assert!(text.contains(words) && text.contains("hello") && !text.contains("service w"), "{text}");
        assert_eq!(s.get(&host, "/").await.unwrap().1, "one");
    }
    let late = upload(
        r#"{"main_module":"a.js","compatibility_date":"2999-01-01"}"#,
        &[("a.js", "application/javascript+module", b"export default {}")],
    );
    assert_eq!(s.workers.script_upload(&s.account, &"hello".parse().unwrap(), late, &author()).await.unwrap_err().code(), 10_021);
    let big = vec![b' '; slipway_workers::limits::CODE_BYTES + 1];
    let big = upload(r#"{"main_module":"a.js"}"#, &[("a.js", "application/javascript+module", &big)]);
    assert_eq!(s.workers.script_upload(&s.account, &"hello".parse().unwrap(), big, &author()).await.unwrap_err().code(), 10_027);
    assert_eq!(s.workers.version_list(&s.account, &"hello".parse().unwrap()).await.unwrap().len(), 1, "nothing of it was stored");
}

#[tokio::test]
async fn bindings_arrive_secrets_survive_and_are_sealed() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        let name = "env".parse().unwrap();
        let code = "export default { fetch(r, env) { return new Response(JSON.stringify(
            [env.T, env.J.a, env.SECRET, env.META && env.META.id.length, typeof env.GONE])) } }";
        let text = r#"a \" b ü \n <>"#;
        let bindings = format!(
            r#"[{{"name":"T","type":"plain_text","text":"{text}"}},{{"name":"J","type":"json","json":{{"a":[1]}}}},
                {{"name":"SECRET","type":"secret_text","text":"s3cret-value"}},{{"name":"META","type":"version_metadata"}}]"#
        );
        s.workers.script_upload(&s.account, &name, module(code, &bindings), &author()).await.unwrap();
        let host = s.connect("env").await;
        let expected = |t: &str, secret: &str| format!(r#"["{t}",[1],{secret},36,"undefined"]"#);
        assert_eq!(s.get(&host, "/").await.unwrap().1, expected(text, r#""s3cret-value""#));

        let without =
            r#"[{"name":"T","type":"inherit"},{"name":"J","type":"json","json":{"a":[1]}},{"name":"META","type":"version_metadata"}]"#;
        s.workers.script_upload(&s.account, &name, module(&format!("{code}\n"), without), &author()).await.unwrap();
        assert_eq!(s.get(&host, "/").await.unwrap().1, expected(text, r#""s3cret-value""#), "keep_bindings and inherit carry over");

        let key = "SECRET".parse().unwrap();
        s.workers.secret_put(&s.account, &name, &key, Secret::new("another".into()), &author()).await.unwrap();
        assert_eq!(s.get(&host, "/").await.unwrap().1, expected(text, r#""another""#));
        s.workers.secret_delete(&s.account, &name, &key, &author()).await.unwrap();
        assert_eq!(s.get(&host, "/").await.unwrap().1, expected(text, "null"));
        assert_eq!(s.workers.secret_delete(&s.account, &name, &key, &author()).await.unwrap_err().code(), 10_056);

        let changes = BTreeMap::from([(key.clone(), Some(Secret::new("later".to_owned())))]);
        s.workers.secret_bulk(&s.account, &name, changes.clone(), &author(), Rollout::Store).await.unwrap();
        assert_eq!(s.get(&host, "/").await.unwrap().1, expected(text, "null"), "a stored secret waits for its deployment");
        assert_eq!(s.workers.secret_bulk(&s.account, &name, changes, &author(), Rollout::Deploy).await.unwrap_err().code(), 10_215);

        let bad = r#"[{"name":"NOPE","type":"inherit"}]"#;
        let e = s.workers.script_upload(&s.account, &name, module(code, bad), &author()).await.unwrap_err();
        assert_eq!(e.code(), 10_057);
        assert!(e.to_string().starts_with("inherit binding 'NOPE' is invalid"));
        let shown = s.workers.script_get(&s.account, &name).await.unwrap();
        assert!(!format!("{shown:?}").contains("s3cret-value"));
        let sealed = db
            .read(|tx| {
                let rows = tx.query("select sealed from worker_secret", purser_db::params![])?;
                rows.iter().map(|r| r.get::<Vec<u8>>("sealed")).collect::<Result<Vec<_>, purser_db::DbError>>()
            })
            .await
            .unwrap();
        assert!(!sealed.is_empty() && sealed.iter().all(|b| !b.windows(6).any(|w| w == b"s3cret")));
    })
    .await;
}

#[tokio::test]
async fn everything_is_live_again_after_a_restart() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        s.deploy("one", &says("one")).await.unwrap();
        s.deploy("two", &says("two")).await.unwrap();
        let hosts = [s.connect("one").await, s.connect("two").await];
        let on = ScriptSubdomain { enabled: true, previews_enabled: false };
        s.workers.script_subdomain_put(&s.account, &"one".parse().unwrap(), on).await.unwrap();
        let below = s.workers.script_hostname(&s.account, &"one".parse().unwrap()).await.unwrap().unwrap();
        let env = s.env.clone();
        drop(s);
        let workers = open(&db, folder.path(), &workerd, &env).await;
        for (host, text) in [(hosts[0].as_str(), "one"), (hosts[1].as_str(), "two"), (below.as_str(), "one")] {
            let answer = crate::support::visit(workers.runtime(), host, "/").await;
            assert_eq!(answer.unwrap(), (200, text.to_owned()), "the first request waits for the process");
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_under_a_known_hash_changes_nothing_that_others_serve_and_nothing_that_was_uploaded() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        let (honest, other) = ("honest".parse().unwrap(), "other".parse().unwrap());
        let hash = "a".repeat(32);
        let manifest: slipway_workers::view::Manifest =
            serde_json::from_str(&format!(r#"{{"/index.html":{{"hash":"{hash}","size":4}}}}"#)).unwrap();
        let file = |bytes: &'static [u8]| {
            vec![AssetFile { hash: hash.clone(), content_type: "text/html".into(), bytes: Bytes::from_static(bytes) }]
        };

        // before anybody: by another token, and by the same for another Worker
        for (script, token) in [(&honest, "tok_evil"), (&other, "tok_good")] {
            let session = s.workers.assets_session_create(&s.account, script, manifest.clone(), token).await.unwrap();
            s.workers.assets_upload(&session.jwt, file(b"evil")).await.unwrap();
        }
        let session = s.workers.assets_session_create(&s.account, &honest, manifest.clone(), "tok_good").await.unwrap();
        assert_eq!(session.buckets, [[hash.clone()]], "somebody else's file counts as the honest one");
        let done = s.workers.assets_upload(&session.jwt, file(b"good")).await.unwrap().unwrap();
        // and after, also by whoever holds the very token of the session
        for token in ["tok_evil", "tok_good"] {
            let session = s.workers.assets_session_create(&s.account, &honest, manifest.clone(), token).await.unwrap();
            assert!(session.buckets.is_empty());
        }
        let replaced = s.workers.assets_upload(&session.jwt, file(b"evil")).await;
        assert_eq!(replaced.unwrap_err().code(), 10_304, "a hash got other bytes");
        assert!(s.workers.assets_upload(&session.jwt, file(b"good")).await.unwrap().is_some(), "a repeat is no conflict");

        let metadata = format!(r#"{{"assets":{{"jwt":"{done}","config":{{}}}},"compatibility_date":"2026-11-01"}}"#);
        s.workers.script_upload(&s.account, &honest, upload(&metadata, &[]), &author()).await.unwrap();
        let host = s.connect("honest").await;
        assert_eq!(s.get(&host, "/").await.unwrap(), (200, "good".into()));
    })
    .await;
}

#[tokio::test]
async fn assets_are_uploaded_once_and_served_beside_the_worker() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        let name = "site".parse().unwrap();
        let (page, style) = ("a".repeat(32), "b".repeat(32));
        let manifest = |text: &str| serde_json::from_str(text).unwrap();
        let both = format!(r#"{{"/index.html":{{"hash":"{page}","size":5}},"/s.css":{{"hash":"{style}","size":3}}}}"#);
        let session = s.workers.assets_session_create(&s.account, &name, manifest(&both), "tok_1").await.unwrap();
        assert_eq!(session.buckets, [[page.clone(), style.clone()]]);
        let file = |hash: &str, kind: &str, bytes: &'static [u8]| AssetFile {
            hash: hash.into(),
            content_type: kind.into(),
            bytes: Bytes::from_static(bytes),
        };
        let metadata = |jwt: &str| format!(r#"{{"assets":{{"jwt":"{jwt}","config":{{}}}},"compatibility_date":"2026-11-01"}}"#);
        let early = s.workers.script_upload(&s.account, &name, upload(&metadata(&session.jwt), &[]), &author()).await;
        assert_eq!(early.unwrap_err().code(), 10_000, "a session is no completion");
        let wrong = s.workers.assets_upload(&session.jwt, vec![file(&page, "text/html", b"longer")]).await;
        assert_eq!(wrong.unwrap_err().code(), 10_304);
        let first = s.workers.assets_upload(&session.jwt, vec![file(&page, "text/html", b"hello")]).await.unwrap();
        assert!(first.is_none());
        let done = s.workers.assets_upload(&session.jwt, vec![file(&style, "application/null", b"css")]).await.unwrap().unwrap();
        let deployed = s.workers.script_upload(&s.account, &name, upload(&metadata(&done), &[]), &author()).await.unwrap();
        assert!(deployed.version.has_assets && deployed.version.main_module.is_none());
        let host = s.connect("site").await;
        assert_eq!(s.get(&host, "/").await.unwrap(), (200, "hello".into()));
        assert_eq!(s.get(&host, "/nope").await.unwrap().0, 404);

        let repeated = s.workers.assets_session_create(&s.account, &name, manifest(&both), "tok_1").await.unwrap();
        assert!(repeated.buckets.is_empty());
        let stranger = CloudAccountId::mint(&s.env);
        let foreign = s.workers.script_upload(&stranger, &name, upload(&metadata(&done), &[]), &author()).await;
        assert_eq!(foreign.unwrap_err().code(), 10_000, "a completion token is its account's");

        let code = b"export default { async fetch(r, env) {
            const path = new URL(r.url).pathname;
            if (path === '/api/forged') return env.ASSETS.fetch(new Request('http://x/', { headers: { 'slipway-purpose': 'health' } }));
            if (path === '/api/page') return env.ASSETS.fetch(new Request('http://x/', r));
            return new Response('worker ' + path) } }";
        let metadata = format!(
            r#"{{"main_module":"w.js","assets":{{"jwt":"{}","config":{{"run_worker_first":["/s.css"]}}}},"compatibility_date":"2026-11-01",
                "bindings":[{{"name":"ASSETS","type":"assets"}}]}}"#,
            repeated.jwt
        );
        let with_code = upload(&metadata, &[("w.js", "application/javascript+module", code)]);
        s.workers.script_upload(&s.account, &name, with_code, &author()).await.unwrap();
        for (path, text) in
            [("/", "hello"), ("/s.css", "worker /s.css"), ("/other", "worker /other"), ("/api/page", "hello"), ("/api/forged", "hello")]
        {
            assert_eq!(s.get(&host, path).await.unwrap(), (200, text.to_owned()), "`{path}`");
        }
        for path in ["", "a", "/", "//x", "/a/../b", "/a//b", "/./a"] {
            let text = format!(r#"{{"{path}":{{"hash":"{page}","size":5}}}}"#);
            assert!(s.workers.assets_session_create(&s.account, &name, manifest(&text), "tok_1").await.is_err(), "`{path}` was taken");
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_leads_to_one_worker_of_one_account() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        s.deploy("one", &says("one")).await.unwrap();
        s.deploy("two", &says("two")).await.unwrap();
        let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
        let hosts = [owned("a.test"), owned("b.test")];
        let planned = s.workers.domain_changeset(&s.account, &one, &hosts, true).await.unwrap();
        assert_eq!(planned.added.len(), 2);
        assert_eq!(s.workers.domain_put(&s.account, &one, &hosts, false, true).await.unwrap().len(), 2);
        let again = s.workers.domain_changeset(&s.account, &one, &hosts[..1], true).await.unwrap();
        assert_eq!((again.added.len(), again.removed.len()), (0, 1));
        let taken = s.workers.domain_changeset(&s.account, &two, &hosts[..1], false).await.unwrap();
        assert_eq!(taken.conflicting[0].script.as_ref(), Some(&one));
        assert!(s.workers.domain_put(&s.account, &two, &hosts[..1], false, false).await.is_err());
        s.workers.domain_put(&s.account, &two, &hosts[..1], true, false).await.unwrap();
        assert_eq!(s.get("a.test", "/").await.unwrap().1, "two");
        assert_eq!(s.get("b.test", "/").await.unwrap().1, "one");

        let stranger = CloudAccountId::mint(&s.env);
        s.workers.script_upload(&stranger, &one, module(&says("stranger"), "[]"), &author()).await.unwrap();
        let foreign = s.workers.domain_changeset(&stranger, &one, &hosts[..1], false).await.unwrap();
        assert_eq!(foreign.conflicting[0].script, None);
        assert!(s.workers.domain_put(&stranger, &one, &hosts[..1], true, false).await.is_err());

        s.workers.account_suspend(&s.account, true).await.unwrap();
        assert!(s.get("a.test", "/").await.is_err());
        s.workers.account_suspend(&s.account, false).await.unwrap();
        assert_eq!(s.get("a.test", "/").await.unwrap().1, "two");
        s.workers.zone_clear("test", Some("zone")).await.unwrap();
        assert_eq!(s.get("a.test", "/").await.unwrap().1, "two", "what lies in the zone itself went");
        s.workers.zone_clear("test", None).await.unwrap();
        assert!(s.get("a.test", "/").await.is_err(), "a new zone begins with what was there before");
        s.workers.domain_put(&s.account, &two, &hosts[..1], true, false).await.unwrap();
        s.workers.domain_release_zone(&s.account, "test").await.unwrap();
        assert!(s.get("a.test", "/").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_worker_calls_another_of_its_account_and_protects_it() {
    let Some(workerd) = workerd() else { return };
    let db = purser_db::testing::sqlite(MIGRATIONS).await;
    let folder = tempfile::tempdir().unwrap();
    let s = Service::open(&db, folder.path(), &workerd).await;
    s.deploy("back", &says("back")).await.unwrap();
    let code = "export default { async fetch(r, env) { return new Response('front+' + await (await env.BACK.fetch(r)).text()) } }";
    let bindings = r#"[{"name":"BACK","type":"service","service":"back"}]"#;
    s.workers.script_upload(&s.account, &"front".parse().unwrap(), module(code, bindings), &author()).await.unwrap();
    let host = s.connect("front").await;
    assert_eq!(s.get(&host, "/").await.unwrap().1, "front+back");
    let back = "back".parse().unwrap();
    assert_eq!(s.workers.script_delete(&s.account, &back, false).await.unwrap_err().code(), 10_064);
    s.workers.script_delete(&s.account, &back, true).await.unwrap();
    assert!(s.get(&host, "/").await.unwrap().1.contains("not deployed"), "a broken binding answers, and says what is missing");
}

#[tokio::test]
async fn no_request_is_lost_while_versions_change() {
    let Some(workerd) = workerd() else { return };
    let db = purser_db::testing::sqlite(MIGRATIONS).await;
    let folder = tempfile::tempdir().unwrap();
    let s = Service::open(&db, folder.path(), &workerd).await;
    s.deploy("hello", &says("v0")).await.unwrap();
    let host = s.connect("hello").await;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let visitor = {
        let (workers, host) = (s.workers.clone(), host.clone());
        tokio::spawn(async move {
            let (mut answers, mut last) = (0_u32, 0_u32);
            while !*stopped.borrow_and_update() {
                let (status, text) = crate::support::visit(workers.runtime(), &host, "/").await.expect("an answer");
                let version: u32 = text.trim_start_matches('v').parse().expect("a version");
                assert!(status == 200 && version >= last, "went back from v{last} to {text}");
                (answers, last) = (answers + 1, version);
            }
            (answers, last)
        })
    };
    for version in 1..=5 {
        s.deploy("hello", &says(&format!("v{version}"))).await.unwrap();
    }
    eventually(5, "the last version answers", async || s.get(&host, "/").await.unwrap().1 == "v5").await;
    stop.send(true).unwrap();
    let (answers, _) = visitor.await.unwrap();
    assert!(answers > 10, "only {answers} requests were made");
}

/// The digests of the blobs that lie in the folder.
fn files(folder: &std::path::Path) -> std::collections::BTreeSet<String> {
    let mut found = std::collections::BTreeSet::new();
    for head in std::fs::read_dir(folder.join("blobs")).unwrap().map(|entry| entry.unwrap()) {
        for file in std::fs::read_dir(head.path()).unwrap() {
            found.insert(format!("{}{}", head.file_name().display(), file.unwrap().file_name().display()));
        }
    }
    found
}

#[tokio::test]
async fn an_account_that_is_full_keeps_what_it_has_and_gets_no_more_and_nobody_else_is_full() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        s.deploy("hello", &says("one")).await.unwrap();
        let host = s.connect("hello").await;
        let (id, rest) = (s.account.clone(), slipway_workers::limits::ACCOUNT_BYTES - 2 * slipway_workers::limits::BLOB_LEAST_BYTES);
        let fill = move |tx: &mut purser_db::Tx<'_>| {
            let insert = "insert into worker_blob (account, sha256, bytes, touched_at) values ($1, 'filler', $2, $3)";
            tx.execute(insert, purser_db::params![id, rest, i64::MAX])
        };
        db.write(fill).await.unwrap();
        let before = files(folder.path());
        s.deploy("hello", &says("the last that fits")).await.unwrap();
        let full = s.deploy("hello", &says("too much")).await.unwrap_err();
        assert!(matches!(full, slipway_workers::WorkersError::TooLarge(_)) && full.to_string().contains("full"), "{full}");
        let page = "a".repeat(32);
        let manifest = serde_json::from_str(&format!(r#"{{"/index.html":{{"hash":"{page}","size":5}}}}"#)).unwrap();
        let session = s.workers.assets_session_create(&s.account, &"site".parse().unwrap(), manifest, "tok_1").await;
        assert!(matches!(session, Err(slipway_workers::WorkersError::TooLarge(_))));
        assert_eq!(files(folder.path()).len(), before.len() + 1, "something was written that was refused");
        assert_eq!(s.get(&host, "/").await.unwrap(), (200, "the last that fits".into()));
        s.deploy("hello", &says("one")).await.unwrap(); // what is there already costs nothing

        let stranger = CloudAccountId::mint(&s.env);
        s.workers.script_upload(&stranger, &"other".parse().unwrap(), module(&says("mine"), "[]"), &author()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_no_version_needs_is_removed_after_a_while_and_what_one_needs_never() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        let site: slipway_workers::name::ScriptName = "site".parse().unwrap();
        let page = "a".repeat(32);
        let manifest: slipway_workers::store::asset::Manifest =
            serde_json::from_str(&format!(r#"{{"/index.html":{{"hash":"{page}","size":5}}}}"#)).unwrap();
        let session = s.workers.assets_session_create(&s.account, &site, manifest.clone(), "tok_1").await.unwrap();
        let file = AssetFile { hash: page.clone(), content_type: "text/html".into(), bytes: Bytes::from_static(b"hello") };
        let done = s.workers.assets_upload(&session.jwt, vec![file]).await.unwrap().unwrap();
        let metadata = format!(r#"{{"assets":{{"jwt":"{done}","config":{{}}}},"compatibility_date":"2026-11-01"}}"#);
        s.workers.script_upload(&s.account, &site, upload(&metadata, &[]), &author()).await.unwrap();
        s.deploy("code", &says("code")).await.unwrap();
        s.deploy("gone", &says("gone")).await.unwrap();
        let (site_host, code_host) = (s.connect("site").await, s.connect("code").await);
        s.workers.script_delete(&s.account, &"gone".parse().unwrap(), false).await.unwrap();

        assert_eq!(s.workers.blob_sweep().await.unwrap(), slipway_workers::storage::Swept::default(), "all of it is fresh");
        // as if all had been uploaded long ago, and one version before anybody counted
        let age = |tx: &mut purser_db::Tx<'_>| {
            tx.execute("update worker_blob set touched_at = 1", purser_db::params![])?;
            tx.execute("delete from worker_blob where sha256 not in (select sha256 from worker_asset)", purser_db::params![])
        };
        db.write(age).await.unwrap();
        let before = files(folder.path());
        let swept = s.workers.blob_sweep().await.unwrap();
        // the manifest and the deleted Worker's module
        assert_eq!((swept.let_go, swept.files, files(folder.path()).len()), (0, 2, before.len() - 2), "{swept:?}");
        assert_eq!(s.workers.blob_sweep().await.unwrap(), slipway_workers::storage::Swept::default());
        assert_eq!(s.get(&site_host, "/").await.unwrap(), (200, "hello".into()));
        s.deploy("code", &says("newer")).await.unwrap();
        assert_eq!(s.get(&code_host, "/").await.unwrap(), (200, "newer".into()));

        s.workers.script_delete(&s.account, &site, false).await.unwrap();
        db.write(|tx: &mut purser_db::Tx<'_>| tx.execute("update worker_blob set touched_at = 1", purser_db::params![])).await.unwrap();
        let swept = s.workers.blob_sweep().await.unwrap();
        assert_eq!((swept.let_go, swept.files), (2, 2), "the page and the list of it");
        let again = s.workers.assets_session_create(&s.account, &site, manifest, "tok_1").await.unwrap();
        assert_eq!(again.buckets, [[page]], "a hash whose file is gone is asked for again");
        let restarted = crate::support::service::open(&db, folder.path(), &workerd, &s.env).await;
        assert_eq!(crate::support::visit(restarted.runtime(), &code_host, "/").await.unwrap(), (200, "newer".into()));
    })
    .await;
}

#[tokio::test]
async fn of_many_upload_sessions_the_newest_stay() {
    let Some(workerd) = workerd() else { return };
    each_engine(MIGRATIONS, |db| async {
        let db = db;
        let folder = tempfile::tempdir().unwrap();
        let s = Service::open(&db, folder.path(), &workerd).await;
        let site = "site".parse().unwrap();
        let manifest: slipway_workers::store::asset::Manifest =
            serde_json::from_str(&format!(r#"{{"/index.html":{{"hash":"{}","size":5}}}}"#, "a".repeat(32))).unwrap();
        let stranger = CloudAccountId::mint(&s.env);
        let theirs = s.workers.assets_session_create(&stranger, &site, manifest.clone(), "tok_2").await.unwrap();
        let mut tokens = Vec::new();
        for _ in 0..=slipway_workers::limits::ASSET_SESSIONS {
            tokens.push(s.workers.assets_session_create(&s.account, &site, manifest.clone(), "tok_1").await.unwrap().jwt);
        }
        assert_eq!(s.workers.assets_session_holder(&tokens[0]).await.unwrap_err().code(), 10_000, "the oldest is still open");
        for token in tokens[1..].iter().chain([&theirs.jwt]) {
            s.workers.assets_session_holder(token).await.unwrap();
        }
    })
    .await;
}
