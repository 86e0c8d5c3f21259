//! What an upgrade may never do to a database: half of it, twice, or over steps that were changed.

use purser_db::testing::{START, each_place};
use purser_db::{Db, DbConfig, DbError, Migrations, params};
use purser_values::Env;

const OLD: &[Migrations] = &[Migrations { domain: "test", steps: &["create table cap (id {text} primary key){strict}"] }];
const CHANGED: &[Migrations] = &[Migrations { domain: "test", steps: &["create table cap (id {text} primary key, room {int}){strict}"] }];
/// The second of its steps fails in its middle.
const BROKEN: &[Migrations] = &[Migrations {
    domain: "test",
    steps: &[
        "create table cap (id {text} primary key){strict}",
        "create table used (id {text} primary key){strict}",
        "create table room (id {text} primary key){strict}; insert into nowhere values (1)",
    ],
}];
const NEW: &[Migrations] = &[
    Migrations {
        domain: "test",
        steps: &[
            "create table cap (id {text} primary key){strict}",
            "create table used (id {text} primary key){strict}; insert into used values ('once')",
            "alter table cap add column room {int}",
        ],
    },
    Migrations { domain: "other", steps: &["create table other (id {text} primary key){strict}; insert into other values ('once')"] },
];

async fn migrated(config: &DbConfig, all: &'static [Migrations]) -> (Db, Result<(), DbError>) {
    let (env, _) = Env::test(START, 1);
    let db = Db::open(config).await.unwrap();
    let outcome = db.migrate(&env, all).await;
    (db, outcome)
}

async fn count(db: &Db, sql: &'static str) -> Result<i64, DbError> {
    db.read(move |tx| tx.query_one(sql, params![])?.get("n")).await
}

#[tokio::test]
async fn a_step_that_was_changed_after_it_was_applied_is_refused_by_name() {
    each_place(|config| async move {
        migrated(&config, OLD).await.1.unwrap();
        let (db, refused) = migrated(&config, CHANGED).await;
        assert!(matches!(&refused, Err(DbError::MigrationChanged(step)) if step == "test/0"), "{refused:?}");
        assert!(count(&db, "select room as n from cap").await.is_err(), "the changed step was applied");
        migrated(&config, OLD).await.1.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_that_breaks_off_leaves_the_database_as_it_was_and_the_next_one_does_all_of_it() {
    each_place(|config| async move {
        let (db, _) = migrated(&config, OLD).await;
        db.write::<_, DbError, _>(|tx| tx.execute("insert into cap (id) values ('a')", params![])).await.unwrap();
        migrated(&config, BROKEN).await.1.unwrap_err();
        for table in ["select count(*) as n from used", "select count(*) as n from room"] {
            assert!(count(&db, table).await.is_err(), "a part was left: {table}");
        }
        assert_eq!(count(&db, "select count(*) as n from migration").await.unwrap(), 1);
        assert_eq!(count(&db, "select count(*) as n from cap").await.unwrap(), 1, "the old program cannot go on");
        migrated(&config, NEW).await.1.unwrap();
        assert_eq!(count(&db, "select count(*) as n from cap where room is null").await.unwrap(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_migrate_at_once_all_start_and_every_step_is_applied_once() {
    for before in [None, Some(OLD)] {
        each_place(|config| async move {
            if let Some(before) = before {
                migrated(&config, before).await.1.unwrap();
            }
            let mut nodes = tokio::task::JoinSet::new();
            for _ in 0..6 {
                let config = config.clone();
                nodes.spawn(async move { migrated(&config, NEW).await });
            }
            for (db, outcome) in nodes.join_all().await {
                assert!(outcome.is_ok(), "a node does not start: {outcome:?}");
                assert_eq!(count(&db, "select count(*) as n from migration").await.unwrap(), 4);
                assert_eq!(count(&db, "select count(*) as n from used").await.unwrap(), 1);
                assert_eq!(count(&db, "select count(*) as n from other").await.unwrap(), 1);
            }
        })
        .await;
    }
}
