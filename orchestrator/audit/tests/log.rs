//! What the log must notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purser_audit::{Entry, Log, StartError, VerifyError, about, append, list, list_after, list_for_agent, verify_offline};
use purser_authority::{Caller, Event};
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbConfig, DbError, Migrations, params, values};
use purser_values::id::{AgentId, EventId, GrantId, HoldId, OrganisationId, PersonId};
use purser_values::{Env, Sha256Digest};

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
    let cases: [(&str, Noticed); 11] = [
        ("update audit_event set body = replace(body, 'res_2', 'res_9') where seq = 3", |e| {
            matches!(e, VerifyError::Changed { seq: 3, .. })
        }),
        ("update audit_event set entries = 2 where seq = 2", |e| matches!(e, VerifyError::Changed { seq: 2, .. })),
        ("update audit_event set at = at + 1 where seq = 4", |e| matches!(e, VerifyError::Changed { seq: 4, .. })),
        ("update audit_event set organisation = null where seq = 4", |e| matches!(e, VerifyError::Changed { seq: 4, .. })),
        ("update audit_event set hashes = (select hashes from audit_event where seq = 4) where seq = 5", |e| {
            matches!(e, VerifyError::Changed { seq: 5, .. })
        }),
        ("update audit_event set hashes = hashes || '0' where seq = 5", |e| matches!(e, VerifyError::Changed { seq: 5, .. })),
        ("update audit_event set seq = null where seq = 5", |e| matches!(e, VerifyError::Changed { .. } | VerifyError::Cut { .. })),
        ("delete from audit_reference where reference = 'shop.test'", |e| matches!(e, VerifyError::Changed { seq: 1, .. })),
        ("insert into audit_reference (reference, event) select 'res_0', id from audit_event where seq = 2", |e| {
            matches!(e, VerifyError::Changed { seq: 2, .. })
        }),
        ("update audit_event set seq = 9 where seq = 3", |e| matches!(e, VerifyError::Missing { seq: 3 })),
        ("update audit_event set id = 'x' where seq = 1", |e| matches!(e, VerifyError::Changed { seq: 1, .. })),
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

/// What a batch of purchases records in one write lies in one row.
#[tokio::test]
async fn each_entry_of_a_batch_is_found_by_what_it_speaks_of_and_its_change_is_named() {
    each_engine(TABLES, |db| async move {
        let (env, _) = Env::test(START, 9);
        let (ours, theirs) = (OrganisationId::mint(&env), OrganisationId::mint(&env));
        let (person, agents) = (PersonId::mint(&env), [AgentId::mint(&env), AgentId::mint(&env)]);
        let holds: Vec<HoldId> = (0..300).map(|_| HoldId::mint(&env)).collect();
        let events: Vec<Event> = (0..300)
            .map(|n| {
                let grant = GrantId::mint(&env);
                let (agent, organisation) = (agents[n % 2].clone(), [&ours, &theirs][n / 250].clone());
                let caller = Caller::Agent { agent, grant, on_behalf_of: person.clone(), organisation, chain: Vec::new() };
                Event::done(["purchase_hold", "payment_token_issue"][n % 2], &caller, holds[n].as_str()).related([format!("name-{n}")])
            })
            .collect();
        let writer = env.clone();
        db.write::<_, DbError, _>(move |tx| append(tx, &writer, &events)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let _log = Log::start(db.clone(), env.clone(), folder.path().to_owned(), Arc::new(key)).await.unwrap();
        chained(&db, 300).await;
        db.read::<_, DbError, _>(move |tx| {
            let rows = tx.query_one("select count(*) as n, max(entries) as most from audit_event", params![])?;
            assert_eq!((rows.get::<i64>("n")?, rows.get::<i64>("most")?), (3, 128));
            let subjects = |found: &[(i64, Entry)]| -> Vec<String> { found.iter().map(|(_, entry)| entry.event.subject.clone()).collect() };
            // a page that begins and ends inside a run, both ways
            let back = list(tx, &ours, Some(200), 120)?;
            assert!(back.iter().map(|(seq, _)| *seq).eq((80..200).rev()), "{:?}", back.first());
            assert_eq!(subjects(&back)[0], holds[198].as_str());
            let on = list_after(tx, &ours, 79, None, 120)?;
            assert_eq!(subjects(&on), subjects(&back).into_iter().rev().collect::<Vec<_>>());
            let tokens = list_after(tx, &ours, 100, Some("payment_token_issue"), 500)?;
            assert!(tokens.iter().map(|(seq, _)| *seq).eq((102..=250).step_by(2)));
            assert_eq!(list(tx, &theirs, None, 500)?.len(), 50);
            // by an id that shares its key with all the others, in its own organisation only
            for (n, hold) in holds.iter().enumerate().step_by(7) {
                let [own, other] = if n < 250 { [&ours, &theirs] } else { [&theirs, &ours] };
                assert_eq!(about(tx, own, hold.as_str())?.iter().map(|e| e.event.subject.as_str()).collect::<Vec<_>>(), [hold.as_str()]);
                assert!(about(tx, other, hold.as_str())?.is_empty());
            }
            assert_eq!(about(tx, &ours, "name-7")?.len(), 1);
            let of_agent = list_for_agent(tx, &ours, &agents[1], Some(200), 40)?;
            assert!(of_agent.iter().map(|(seq, _)| *seq).eq((120..200).rev().step_by(2).map(|seq| seq - 1)), "{of_agent:?}");
            purser_audit::verify(tx, None).unwrap();
            Ok(())
        })
        .await
        .unwrap();
        for (sql, seq) in [
            ("update audit_event set body = replace(body, 'name-41\"', 'name-14\"')", 42),
            ("delete from audit_reference where reference = 'name-200'", 201),
            ("update audit_event set entries = 127, seq = 127 where seq = 128", 1),
            ("update audit_event set organisation = null where seq = 250", 129),
        ] {
            let found = db.write::<(), Undone, _>(move |tx| {
                assert!(tx.execute(sql, params![])? > 0);
                Err(Undone(purser_audit::verify(tx, None).unwrap_err().to_string()))
            });
            let said = found.await.unwrap_err().0;
            assert!(said.starts_with(&format!("entry {seq} (`evt_")) && said.contains("was changed"), "{sql}: {said}");
        }
    })
    .await;
}

#[derive(Debug)]
struct Undone(String);

impl From<DbError> for Undone {
    fn from(e: DbError) -> Self {
        Self(e.to_string())
    }
}

async fn chained(db: &Db, entries: i64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while db.read(purser_audit::head_number).await.unwrap() < entries {
        assert!(Instant::now() < deadline, "the entries were not chained");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The tables of versions that kept a row for each entry.
const BEFORE: &[Migrations] =
    &[Migrations { domain: purser_audit::MIGRATIONS.domain, steps: purser_audit::MIGRATIONS.steps.split_at(2).0 }];

#[tokio::test]
async fn a_log_of_a_row_for_each_entry_is_taken_over_as_it_is_and_goes_on() {
    each_engine(BEFORE, |db| async move {
        let (env, _) = Env::test(START, 9);
        let organisation = OrganisationId::mint(&env);
        let mut previous = Sha256Digest::of(b"purser audit log, version 1");
        for seq in 1..=3_i64 {
            let (id, hold) = (EventId::mint(&env), HoldId::mint(&env));
            let event = Event::done("purchase_hold", &Caller::System, hold.as_str()).related(["shop.test"]).in_organisation(&organisation);
            let body = serde_json::to_string(&Entry { id: id.clone(), at: START, event }).unwrap();
            let hash = Sha256Digest::of_parts(&[previous.as_bytes(), &seq.to_be_bytes(), body.as_bytes()]);
            let row = [values![id, seq, START, organisation, "purchase_hold", "done", hold, body, previous, hash]];
            let mentions = [values![hold, id], values!["shop.test", id]];
            db.write::<_, DbError, _>(move |tx| {
                let insert = "insert into audit_event (id, seq, at, organisation, verb, outcome, subject, body, previous, hash)
                              {values:text,int,int,text,text,text,text,text,text,text}";
                tx.execute_rows(insert, &row)?;
                tx.execute_rows("insert into audit_reference (reference, event) {values:text,text}", &mentions)
            })
            .await
            .unwrap();
            previous = hash;
        }
        db.migrate(&env, TABLES).await.unwrap();
        let report = db.read(|tx| purser_audit::verify(tx, None)).await.unwrap();
        assert_eq!((report.entries, report.head), (3, previous));
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let _log = Log::start(db.clone(), env.clone(), folder.path().to_owned(), Arc::new(key)).await.unwrap();
        let more = [Event::done("resource_add", &Caller::System, "res").related(["shop.test"]).in_organisation(&organisation)];
        db.write::<_, DbError, _>(move |tx| append(tx, &env, &more)).await.unwrap();
        chained(&db, 4).await;
        db.read::<_, DbError, _>(move |tx| {
            assert_eq!(purser_audit::verify(tx, None).unwrap().entries, 4);
            let found = about(tx, &organisation, "shop.test")?;
            assert_eq!(found.len(), 4);
            assert_eq!(about(tx, &organisation, &found[1].event.subject)?, found[1..2]);
            Ok(())
        })
        .await
        .unwrap();
    })
    .await;
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
