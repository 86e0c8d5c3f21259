//! What the log must notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purser_audit::{Log, StartError, VerifyError, append, verify_offline};
use purser_authority::{Caller, Event};
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbConfig, DbError, Migrations, params};
use purser_values::Env;
use purser_values::id::OrganisationId;

const TABLES: &[Migrations] = &[purser_audit::MIGRATIONS];

async fn filled(data: &Path, key: &SigningKey, env: &Env) -> Db {
    let db = Db::open(&DbConfig::Sqlite { path: data.join("purser.db") }).await.unwrap();
    db.migrate(env, TABLES).await.unwrap();
    let log = Log::start(db.clone(), env.clone(), data.join("audit"), Arc::new(key.clone())).await.unwrap();
    let organisation = OrganisationId::mint(env);
    for i in 0..5 {
        let event = Event::done("resource_add", &Caller::System, format!("res_{i}")).related(["shop.test"]).in_organisation(&organisation);
        let env = env.clone();
        db.write::<_, DbError, _>(move |tx| append(tx, &env, std::slice::from_ref(&event))).await.unwrap();
        log.wake();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while verify_offline(data, |_| Ok(false)).await.ok().and_then(|r| r.checkpoint) != Some(5) {
        assert!(Instant::now() < deadline, "no checkpoint was written: {:?}", verify_offline(data, |_| Ok(false)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    db
}

async fn tamper(db: &Db, sql: &'static str) {
    db.write::<_, DbError, _>(move |tx| tx.execute(sql, params![])).await.unwrap();
}

#[tokio::test]
async fn an_untouched_log_verifies_and_every_tampering_is_named() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let (env, _) = Env::test(START, 9);
    type Noticed = fn(&VerifyError) -> bool;
    let cases: [(&str, Noticed); 10] = [
        ("update audit_event set body = replace(body, 'res_2', 'res_9') where seq = 3", |e| {
            matches!(e, VerifyError::Changed { seq: 3, .. })
        }),
        ("update audit_event set verb = 'resource_adx' where seq = 2", |e| matches!(e, VerifyError::Changed { seq: 2, .. })),
        ("update audit_event set at = at + 1 where seq = 4", |e| matches!(e, VerifyError::Changed { seq: 4, .. })),
        ("update audit_event set organisation = null where seq = 4", |e| matches!(e, VerifyError::Changed { seq: 4, .. })),
        ("update audit_event set hash = previous where seq = 5", |e| matches!(e, VerifyError::Changed { seq: 5, .. })),
        ("update audit_event set seq = null where seq = 5", |e| matches!(e, VerifyError::Changed { .. } | VerifyError::Cut { .. })),
        ("delete from audit_reference where reference = 'shop.test'", |e| matches!(e, VerifyError::Changed { seq: 1, .. })),
        ("insert into audit_reference (reference, event) select 'res_0', id from audit_event where seq = 2", |e| {
            matches!(e, VerifyError::Changed { seq: 2, .. })
        }),
        ("update audit_event set seq = 9 where seq = 3", |e| matches!(e, VerifyError::Missing { seq: 3 })),
        ("update audit_event set subject = 'x' where seq = 1", |e| matches!(e, VerifyError::Changed { seq: 1, .. })),
    ];
    for (sql, noticed) in cases {
        let data = tempfile::tempdir().unwrap();
        let db = filled(data.path(), &key, &env).await;
        assert_eq!(verify_offline(data.path(), |_| Ok(false)).await.unwrap().entries, 5);
        tamper(&db, sql).await;
        let error = verify_offline(data.path(), |_| Ok(false)).await.unwrap_err();
        assert!(noticed(&error), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_cut_tail_is_found_and_the_log_does_not_start_over_it() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let (env, _) = Env::test(START, 9);
    let data = tempfile::tempdir().unwrap();
    let db = filled(data.path(), &key, &env).await;
    tamper(&db, "delete from audit_reference where event in (select id from audit_event where seq = 5)").await;
    tamper(&db, "delete from audit_event where seq = 5").await;
    let error = verify_offline(data.path(), |_| Ok(false)).await.unwrap_err();
    assert!(matches!(error, VerifyError::Cut { last: 4, checkpoint: 5 }), "{error}");
    let again = Log::start(db, env, data.path().join("audit"), Arc::new(key)).await;
    assert!(matches!(again, Err(StartError::Cut { seq: 5 })));
}

#[tokio::test]
async fn a_checkpoint_signed_by_another_key_is_refused() {
    let (env, _) = Env::test(START, 9);
    let data = tempfile::tempdir().unwrap();
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    drop(filled(data.path(), &key, &env).await);
    let other = SigningKey::generate(Algorithm::EdDsa).unwrap();
    std::fs::write(data.path().join("audit/checkpoint-key.json"), serde_json::to_string(other.public()).unwrap()).unwrap();
    assert!(matches!(verify_offline(data.path(), |_| Ok(false)).await, Err(VerifyError::Checkpoint(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_race_leave_one_unbroken_chain_on_both_engines() {
    each_engine(TABLES, |db| async move {
        let env = Env::system();
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let log = Log::start(db.clone(), env.clone(), folder.path().to_owned(), Arc::new(key)).await.unwrap();
        let tasks: Vec<_> = (0..40)
            .map(|i| {
                let (db, env) = (db.clone(), env.clone());
                let event = Event::done("resource_add", &Caller::System, format!("res_{i}"));
                tokio::spawn(async move { db.write::<_, DbError, _>(move |tx| append(tx, &env, std::slice::from_ref(&event))).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        log.wake();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let report = db.read(|tx| purser_audit::verify(tx, None)).await.unwrap();
            if report.entries == 40 {
                break;
            }
            assert!(Instant::now() < deadline, "only {} entries were chained", report.entries);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
