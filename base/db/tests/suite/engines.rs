//! What both engines must do alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use purser_db::idempotency::{self, Reservation};
use purser_db::jobs::{self, Job, JobFailure, NewJob, Runner};
use purser_db::testing::{START, each_engine};
use purser_db::{DbError, Engine, Migrations, Tx, params};
use purser_values::{Env, Sha256Digest};

const TABLES: &[Migrations] = &[
    purser_db::MIGRATIONS,
    Migrations { domain: "test", steps: &["create table cap (id {text} primary key, room {int} not null, note {blob}){strict}"] },
];

#[derive(Debug, PartialEq)]
enum Refused {
    NoRoom,
    Store(String),
}

impl From<DbError> for Refused {
    fn from(e: DbError) -> Self {
        Self::Store(e.to_string())
    }
}

fn take_one(tx: &mut Tx<'_>) -> Result<i64, Refused> {
    let room: i64 = tx.query_one("select room from cap where id = $1", params!["a"])?.get("room")?;
    if room == 0 {
        return Err(Refused::NoRoom);
    }
    tx.execute("update cap set room = room - 1 where id = $1", params!["a"])?;
    Ok(room)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_writes_is_another_one_once_a_write_is_known_and_reads_leave_it() {
    each_engine(TABLES, |db| async move {
        let before = db.writes();
        db.write::<_, DbError, _>(|tx| tx.execute("insert into cap (id, room) values ('a', 7)", params![])).await.unwrap();
        let after = db.writes();
        assert!(after > before);
        db.read::<_, DbError, _>(|tx| tx.query("select room from cap", params![])).await.unwrap();
        assert_eq!(db.writes(), after);
        db.write::<_, DbError, _>(|tx| tx.execute("update cap set room = 0 where id = 'nobody'", params![])).await.unwrap();
        assert!(db.writes() == after || db.engine() == Engine::Postgres, "looking for work in vain is no write");
        db.write::<_, DbError, _>(|tx| tx.query("update cap set room = 6 returning id", params![])).await.unwrap();
        assert!(db.writes() > after);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_that_race_exactly_seven_get_what_there_is_for_seven() {
    each_engine(TABLES, |db| async move {
        db.write::<_, DbError, _>(|tx| tx.execute("insert into cap (id, room) values ('a', 7)", params![])).await.unwrap();
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                tokio::spawn({
                    let db = db.clone();
                    async move { db.write(take_one).await }
                })
            })
            .collect();
        let mut taken = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(room) => taken.push(room),
                Err(refused) => assert_eq!(refused, Refused::NoRoom),
            }
        }
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 4, 5, 6, 7]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_write_changes_nothing_and_its_neighbours_stand() {
    each_engine(TABLES, |db| async move {
        db.write::<_, DbError, _>(|tx| tx.execute("insert into cap (id, room) values ('a', 1)", params![])).await.unwrap();
        let bad = db.write::<(), Refused, _>(|tx| {
            tx.execute("update cap set room = 99", params![])?;
            Err(Refused::NoRoom)
        });
        let good = db.write::<_, Refused, _>(|tx| Ok(tx.execute("insert into cap (id, room) values ('b', 2)", params![])?));
        let (bad, good) = tokio::join!(bad, good);
        assert_eq!((bad, good), (Err(Refused::NoRoom), Ok(1)));
        let rows = db.read::<_, DbError, _>(|tx| tx.query("select id, room from cap order by id", params![])).await.unwrap();
        let rooms: Vec<i64> = rows.iter().map(|r| r.get("room").unwrap()).collect();
        assert_eq!(rooms, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_part_can_fail_alone() {
    each_engine(TABLES, |db| async move {
        db.write::<(), Refused, _>(|tx| {
            let part = tx.savepoint::<(), Refused>(|tx| {
                tx.execute("insert into cap (id, room) values ('lost', 1)", params![])?;
                Err(Refused::NoRoom)
            });
            assert_eq!(part, Err(Refused::NoRoom));
            tx.execute("insert into cap (id, room, note) values ('kept', 1, $1)", params![vec![1_u8, 2]])?;
            Ok(())
        })
        .await
        .unwrap();
        let rows = db.read::<_, DbError, _>(|tx| tx.query("select id, note from cap", params![])).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<Vec<u8>>("note").unwrap(), [1, 2]);
        assert!(matches!(rows[0].get::<i64>("note"), Err(DbError::Corrupt(_))));
        assert!(matches!(rows[0].get::<i64>("missing"), Err(DbError::Corrupt(_))));
    })
    .await;
}

#[tokio::test]
async fn a_read_cannot_write_and_a_panic_undoes_the_write() {
    each_engine(TABLES, |db| async move {
        let read = db.read::<_, DbError, _>(|tx| tx.execute("insert into cap (id, room) values ('x', 1)", params![])).await;
        assert!(read.is_err());
        let panicked = db
            .write::<(), DbError, _>(|tx| {
                tx.execute("insert into cap (id, room) values ('x', 1)", params![])?;
                panic!("a bug")
            })
            .await;
        assert!(panicked.is_err());
        let rows = db.read::<_, DbError, _>(|tx| tx.query("select id from cap", params![])).await.unwrap();
        assert!(rows.is_empty());
        let twice = db.write::<_, DbError, _>(|tx| tx.execute("insert into cap (id, room) values ('a', 1), ('a', 2)", params![])).await;
        assert!(matches!(twice, Err(DbError::Unique(_))), "{twice:?}");
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_request() {
    each_engine(TABLES, |db| async move {
        let (one, two) = (Sha256Digest::of(b"one"), Sha256Digest::of(b"two"));
        let seen = db
            .write::<_, DbError, _>(move |tx| {
                let mut seen = vec![idempotency::reserve(tx, "s", "k", &one, START)?];
                seen.push(idempotency::reserve(tx, "s", "k", &one, START)?);
                idempotency::answer(tx, "s", "k", "first")?;
                idempotency::answer(tx, "s", "k", "second")?;
                seen.push(idempotency::reserve(tx, "s", "k", &one, START)?);
                seen.push(idempotency::reserve(tx, "s", "k", &two, START)?);
                seen.push(idempotency::reserve(tx, "other", "k", &two, START)?);
                Ok(seen)
            })
            .await
            .unwrap();
        use Reservation::{Answered, Fresh, Mismatch, Unfinished};
        assert_eq!(seen, [Fresh, Unfinished, Answered("first".into()), Mismatch, Fresh]);
    })
    .await;
}

#[tokio::test]
async fn a_job_is_tried_again_and_then_parked() {
    each_engine(TABLES, |db| async move {
        let (env, clock) = Env::test(START, 5);
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let handler: jobs::Handler = Arc::new(move |_: Job| {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err(JobFailure::Again { why: "down".into(), limit: Some(3) }) })
        });
        let runner = Runner::new(db.clone(), env.clone(), [("mail", handler)].into(), Arc::default());
        let job = NewJob { dedupe: Some("once".into()), ..NewJob::now(&env, "mail", serde_json::json!({"to": "ada"})) };
        let enqueue_env = env.clone();
        db.write::<_, DbError, _>(move |tx| {
            jobs::enqueue(tx, &enqueue_env, &job)?;
            jobs::enqueue(tx, &enqueue_env, &job)
        })
        .await
        .unwrap();
        for _ in 0..6 {
            runner.run_due().await.unwrap();
            clock.advance_secs(400);
        }
        assert_eq!(tries.load(Ordering::SeqCst), 3);
        let parked = db.read::<_, DbError, _>(jobs::parked).await.unwrap();
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].last_error.as_deref(), Some("down"));
    })
    .await;
}
