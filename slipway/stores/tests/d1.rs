//! D1: what a stranger's SQL may do, what it may not, and what comes back of the past.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use purser_db::testing::{START, sqlite};
use purser_values::Env;
use purser_values::env::TestClock;
use purser_values::id::CloudAccountId;
use serde_json::{Value, json};
use slipway_stores::body::Incoming;
use slipway_stores::d1::dump::Options;
use slipway_stores::d1::query::{Answer, Form, Query};
use slipway_stores::d1::run::Bounds;
use slipway_stores::d1::travel::To;
use slipway_stores::store::MIGRATIONS;
use slipway_stores::{StoreError, Stores, StoresConfig};

struct World {
    stores: Stores,
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    env: Env,
    account: CloudAccountId,
    id: String,
    db: purser_db::Db,
}

impl World {
    async fn new() -> Self {
        Self::within(10 << 30).await
    }

    /// With so much room for each account.
    async fn within(room: i64) -> Self {
        let (folder, db) = (tempfile::tempdir().unwrap(), sqlite(&[MIGRATIONS]).await);
        let (env, clock) = Env::test(START, 3);
        let config = StoresConfig { data: folder.path().to_owned(), s3: None };
        let stores = Stores::open_within(&config, Arc::new(move |_, _| Ok(room)), db.clone(), env.clone()).unwrap();
        let account = CloudAccountId::mint(&env);
        let id = stores.d1_create(&account, "main".into()).await.unwrap().id;
        Self { stores, folder, clock, env, account, id, db }
    }

    /// The same files as the next process sees them: one holds them at a time.
    fn again(&mut self) {
        let config = StoresConfig { data: self.folder.path().to_owned(), s3: None };
        let elsewhere = StoresConfig { data: self.folder.path().join("none"), s3: None };
        self.stores = Stores::open(&elsewhere, self.db.clone(), self.env.clone()).unwrap();
        self.stores = Stores::open(&config, self.db.clone(), self.env.clone()).unwrap();
    }

    async fn run(&self, sql: &str) -> Result<Vec<Answer>, StoreError> {
        let query = Query { sql: sql.into(), params: None };
        Ok(self.stores.d1_run(&self.account, &self.id, vec![query], Bounds::QUERY).await?.answers)
    }

    async fn rows(&self, sql: &str) -> Value {
        json!(self.run(sql).await.unwrap().pop().unwrap().objects())
    }
}

#[tokio::test]
async fn a_call_is_one_transaction_and_tells_what_it_did() {
    let world = World::new().await;
    let answers =
        world.run("create table t (a integer primary key, b text); insert into t (b) values ('x'), ('y'); select * from t").await.unwrap();
    assert_eq!(answers.len(), 3);
    assert_eq!((answers[1].meta.changes, answers[1].meta.last_row_id, answers[1].meta.changed_db), (2, 2, true));
    assert!(answers[1].meta.size_after > 0 && !answers[2].meta.changed_db && answers[2].meta.rows_read >= 2);
    let params = Some(vec![json!("z"), json!(1.5), json!(null), json!([1, 255])]);
    let query = Query { sql: "select ? as a, ? as b, ? as c, ? as d".into(), params };
    let answer = world.stores.d1_run(&world.account, &world.id, vec![query], Bounds::QUERY).await.unwrap().answers.pop().unwrap();
    assert_eq!(answer.shown(Form::Columns)["results"], json!({"columns": ["a", "b", "c", "d"], "rows": [["z", 1.5, null, [1, 255]]]}));
    for fails in [
        "insert into t (b) values ('z'); select * from none",
        "insert into t (b) values ('z'); insert into t (a) values (1)",
        "select ?",
        "",
    ] {
        assert!(matches!(world.run(fails).await, Err(StoreError::Sql(_))), "{fails}");
    }
    assert_eq!(world.rows("select count(*) as n from t").await, json!([{"n": 2}]), "what failed left something");
    let other = CloudAccountId::mint(&world.env);
    let query = vec![Query { sql: "select 1".into(), params: None }];
    assert!(matches!(world.stores.d1_run(&other, &world.id, query, Bounds::QUERY).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_strangers_sql_reaches_nothing_but_its_own_rows() {
    let world = World::new().await;
    world.run("create table t (a)").await.unwrap();
    let elsewhere = world.folder.path().join("elsewhere.db");
    let file = elsewhere.display();
    for bad in [
        format!("attach '{file}' as other"),
        format!("vacuum into '{file}'"),
        format!("attach ':memory:' as m; create table m.x (a); select load_extension('{file}')"),
        "create temp table x (a)".into(),
        "create temp table x as select zeroblob(1000000) as b".into(),
        "create table temp.x (a)".into(),
        "create temp view x as select 1".into(),
        "create temp trigger x after insert on t begin select 1; end".into(),
        "create virtual table temp.x using fts5(a)".into(),
        "insert into sqlite_temp_schema values ('table','x','x',0,'create table x(a)')".into(),
        "vacuum".into(),
        "begin".into(),
        "commit".into(),
        "rollback".into(),
        "savepoint a".into(),
        "pragma journal_mode = delete".into(),
        "pragma synchronous = off".into(),
        "pragma locking_mode = normal".into(),
        "pragma writable_schema = on".into(),
        "pragma hard_heap_limit = 1".into(),
        "pragma max_page_count = 1000000000".into(),
        "pragma temp_store_directory = '/tmp'".into(),
        "pragma wal_checkpoint(truncate)".into(),
        "pragma wal_autocheckpoint = 1".into(),
        "pragma page_size = 512".into(),
        "pragma trusted_schema = on".into(),
        "pragma mmap_size = 1000000".into(),
        "pragma data_store_directory = '/tmp'".into(),
        "select * from pragma_database_list".into(),
        "select * from pragma_compile_options".into(),
        "select * from dbstat".into(),
        "select * from sqlite_dbpage".into(),
        "update sqlite_schema set sql = 'x'".into(),
        "insert into sqlite_schema values ('table','x','x',0,'create table x(a)')".into(),
        "create virtual table v using rtree(a, b, c)".into(),
        "create virtual table v using fts3(a)".into(),
        "select fts3_tokenizer('simple')".into(),
        "select zeroblob(3000000)".into(),
        "select randomblob(1000000000)".into(),
        "select replace(hex(zeroblob(1000000)), '0', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')".into(),
    ] {
        assert!(world.run(&bad).await.is_err(), "`{bad}` was taken");
        assert!(!elsewhere.exists());
    }
    for good in [
        "pragma table_info(t)",
        "select * from pragma_table_info('t')",
        "create virtual table f using fts5(a)",
        "pragma foreign_keys",
        "analyze",
        "pragma optimize",
        "explain query plan select * from t",
        "alter table t rename to u; alter table u rename column a to b; alter table u rename to t",
    ] {
        assert!(world.run(good).await.is_ok(), "`{good}` was refused: {:?}", world.run(good).await.err());
    }
}

#[tokio::test]
async fn what_takes_too_long_or_answers_too_much_is_stopped_and_changes_nothing() {
    let world = World::new().await;
    world.run("create table t (a)").await.unwrap();
    let endless = "insert into t values (1); with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) from c";
    let bounds = Bounds { time: Duration::from_millis(150), ..Bounds::QUERY };
    let query = vec![Query { sql: endless.into(), params: None }];
    let begun = std::time::Instant::now();
    let stopped = world.stores.d1_run(&world.account, &world.id, query, bounds).await.err().unwrap();
    assert!(stopped.to_string().contains("took too long"), "{stopped}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let much = "with recursive c(n) as (select 1 union all select n + 1 from c limit 100) select n, hex(zeroblob(500000)) from c";
    assert!(world.run(much).await.err().unwrap().to_string().contains("larger than"));
    assert_eq!(world.rows("select count(*) as n from t").await, json!([{"n": 0}]));
}

#[tokio::test]
async fn an_account_has_the_room_of_its_plan_in_databases_and_in_what_sorting_spills() {
    let world = World::within(8 << 20).await;
    world.run("create table t (b blob)").await.unwrap();
    world.run("insert into t values (zeroblob(1000000))").await.unwrap();
    let full = "with recursive c(n) as (select 1 union all select n + 1 from c limit 20) insert into t select zeroblob(1000000) from c";
    assert!(world.run(full).await.err().unwrap().to_string().contains("full"));
    assert_eq!(world.rows("select count(*) as n from t").await, json!([{"n": 1}]), "all of a call or nothing");
    // 4 GB through a sorter, out of no table and into none
    let sorted = "with recursive c(n) as (select 1 union all select n + 1 from c limit 4000) select count(*) from
        (select randomblob(1000000) as r from c) group by r";
    let stopped = world.run(sorted).await.err().unwrap();
    assert!(stopped.to_string().contains("wrote too much"), "{stopped}");
    assert!(world.stores.kv_namespace_create(&world.account, "kv".into()).await.is_ok());
}

#[tokio::test]
async fn what_a_sort_spills_lies_below_the_data_folder_and_goes_with_it() {
    let world = World::new().await;
    let sort = "with recursive c(n) as (select 1 union all select n + 1 from c limit 60) select count(*) from
        (select randomblob(1000000) as r from c) group by r";
    let spilled = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        open.filter(|path| path.to_string_lossy().contains("/etilqs_")).collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    let (mut run, deadline) = (std::pin::pin!(world.run(sort)), std::time::Instant::now() + Duration::from_secs(60));
    while std::time::Instant::now() < deadline {
        seen.extend(spilled());
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(1), &mut run).await {
            done.unwrap();
            break;
        }
    }
    // the setting is the process's: another test of this program may have set it, or taken its folder away, meanwhile
    assert!(seen.iter().any(|path| path.to_string_lossy().contains("/d1/spill/")), "{:?}", seen.first());
}

#[tokio::test]
async fn functions_of_long_values_take_no_longer_than_reading_them() {
    let world = World::new().await;
    let begun = std::time::Instant::now();
    for (call, expected) in [
        ("instr(printf('%.*c', 1900000, 'a'), printf('%.*c', 900000, 'a') || 'b')", json!(0)),
        ("length(replace(printf('%.*c', 1900000, 'a'), printf('%.*c', 900000, 'a') || 'b', 'c'))", json!(1_900_000)),
        ("length(trim(printf('%.*c', 1900000, 'a'), printf('%.*c', 900000, 'b') || 'a'))", json!(0)),
        ("unhex(printf('%.*c', 1900000, 'x'), printf('%.*c', 900000, 'y') || 'x') = x''", json!(1)),
    ] {
        assert_eq!(world.rows(&format!("select {call} as n")).await, json!([{"n": expected}]), "{call}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let patch = "select json_patch(printf('{\"a\":\"%.*c\"}', 900000, 'a'), printf('{\"b\":\"%.*c\"}', 900000, 'a'))";
    assert!(world.run(patch).await.err().unwrap().to_string().contains("too long together"));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_makes_room_for_others() {
    let world = World::new().await;
    let endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) from c";
    assert!(tokio::time::timeout(Duration::from_millis(500), world.run(endless)).await.is_err());
    let begun = std::time::Instant::now();
    assert_eq!(world.rows("select 1 as n").await, json!([{"n": 1}]));
    assert!(begun.elapsed() < Duration::from_secs(15), "the next call waited for one whose caller had gone");
}

#[tokio::test]
async fn two_databases_at_once_do_not_take_the_same_room_twice() {
    let world = World::within(10 << 20).await;
    let other = world.stores.d1_create(&world.account, "other".into()).await.unwrap().id;
    let fill = "create table t (b blob); with recursive c(n) as (select 1 union all select n + 1 from c limit 6) insert into t
        select randomblob(1000000) from c";
    let run = |id: String| {
        let (stores, account) = (world.stores.clone(), world.account.clone());
        async move { stores.d1_run(&account, &id, vec![Query { sql: fill.into(), params: None }], Bounds::QUERY).await }
    };
    let (one, two) = tokio::join!(run(world.id.clone()), run(other.clone()));
    let (done, refused): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 1), "room for one");
    assert!(matches!(refused.into_iter().next().unwrap().err().unwrap(), StoreError::Full(_) | StoreError::Sql(_)));
    let mut booked = Vec::new();
    for id in [&world.id, &other] {
        booked.push(world.stores.d1_get(&world.account, id).await.unwrap().bytes);
    }
    booked.sort_unstable();
    assert!(booked[0] < 1_000_000 && booked[1] > 6_000_000, "what was claimed and did not come stayed in the books: {booked:?}");
}

#[tokio::test]
async fn files_of_exports_and_what_waits_for_its_removal_take_room() {
    let world = World::within(16 << 20).await;
    world.run("create table t (b blob); insert into t values (randomblob(1000000))").await.unwrap();
    let mut exports = 0;
    let refused = loop {
        match world.stores.d1_export(&world.account, &world.id, Options::default(), None).await {
            Ok(_) if exports < 20 => exports += 1,
            other => break other.err(),
        }
    };
    assert!((1..8).contains(&exports), "{exports} exports of 2 MB had room where 16 MB may be kept: {refused:?}");
    world.clock.advance_secs(3_601);
    world.stores.sweep().await.unwrap();
    assert!(world.stores.d1_export(&world.account, &world.id, Options::default(), None).await.is_ok(), "their time was over");
    let (account, doomed) = (world.account.clone(), slipway_stores::limits::DOOMED_FREE_BYTES + (17 << 20));
    let insert = "insert into store_object (key, account, bytes, state, at) values ('kv/aa/bb', $1, $2, 'doomed', $3)";
    let now = world.env.now();
    world.db.write(move |tx| tx.execute(insert, purser_db::params![account, doomed, now])).await.unwrap();
    assert!(matches!(world.stores.d1_export(&world.account, &world.id, Options::default(), None).await, Err(StoreError::Full(_))));
}

#[tokio::test]
async fn every_moment_of_the_past_comes_back_and_so_does_what_it_replaced() {
    let mut world = World::new().await;
    let (account, id) = (&world.account.clone(), &world.id.clone());
    world.run("create table t (n integer, filler blob)").await.unwrap();
    let mut marks = vec![(0, world.stores.d1_bookmark(account, id, None).await.unwrap(), world.env.now())];
    for n in 1..=30 {
        world.clock.advance_secs(60);
        // long enough that the log becomes several segments
        world.run(&format!("insert into t values ({n}, randomblob(400000))")).await.unwrap();
        marks.push((n, world.stores.d1_bookmark(account, id, None).await.unwrap(), world.env.now()));
    }
    assert!(marks.windows(2).all(|two| two[0].1 < two[1].1), "bookmarks do not sort by time");
    let segments = std::fs::read_dir(world.folder.path().join("d1").join(id).join("history")).unwrap().count();
    assert!(segments > 3, "the log never became a segment");
    let count = async |stores: &Stores| {
        let query = vec![Query { sql: "select count(*) as n, coalesce(max(n), 0) as m from t".into(), params: None }];
        let answer = stores.d1_run(account, id, query, Bounds::QUERY).await.unwrap().answers.pop().unwrap();
        (answer.rows[0][0].clone(), answer.rows[0][1].clone())
    };
    for pick in [30, 17, 5, 0, 29, 12] {
        let (n, bookmark, at) = &marks[pick];
        world.clock.advance_secs(60);
        let back = world.stores.d1_restore(account, id, To::Bookmark(bookmark.clone())).await.unwrap();
        assert_eq!(count(&world.stores).await, (json!(n), json!(n)), "bookmark of {n}");
        let undone = world.stores.d1_restore(account, id, To::Bookmark(back.previous)).await.unwrap();
        assert!(undone.bookmark > back.bookmark);
        if pick == 30 {
            assert_eq!(count(&world.stores).await.0, json!(30));
        }
        // times keep meaning what they meant
        if *n > 0 {
            assert_eq!(world.stores.d1_bookmark(account, id, Some(*at)).await.unwrap(), *bookmark);
        }
        // what a new process finds is the same
        let before = count(&world.stores).await;
        let told = world.stores.d1_bookmark(account, id, None).await.unwrap();
        world.again();
        assert_eq!((count(&world.stores).await, world.stores.d1_bookmark(account, id, None).await.unwrap()), (before, told));
    }
    let foreign = world.stores.d1_create(account, "other".into()).await.unwrap().id;
    assert!(world.stores.d1_restore(account, &foreign, To::Bookmark(marks[3].1.clone())).await.is_err(), "a bookmark of another database");
}

#[tokio::test]
async fn an_export_makes_the_same_database_again() {
    let world = World::new().await;
    world
        .run(
            "create table a (id integer primary key autoincrement, t text, b blob, r real);
             create table \"odd \"\" name\" (x references a(id)); create index i on a(t); create view v as select t from a;
             create trigger g after insert on a begin update a set r = 1.5 where id = new.id; end;
             insert into a (t, b) values ('it''s', x'00ff'), ('two' || char(10) || 'lines \\n' || char(13), null), (null, x'');
             insert into \"odd \"\" name\" values (1)",
        )
        .await
        .unwrap();
    let export = world.stores.d1_export(&world.account, &world.id, Options::default(), None).await.unwrap();
    assert!(world.stores.d1_download("guess").await.is_err());
    let sql = world.stores.d1_download(&export.token).await.unwrap().whole().await.unwrap();
    let copy = world.stores.d1_create(&world.account, "copy".into()).await.unwrap().id;
    let md5 = {
        use md5::Digest as _;
        hex::encode(md5::Md5::digest(&sql))
    };
    let wrong = world.stores.d1_import_begin(&world.account, &copy, &"0".repeat(32), None).await.unwrap();
    assert!(world.stores.d1_upload(&wrong.token, Incoming::of(sql.clone())).await.is_err(), "another file than was announced");
    let upload = world.stores.d1_import_begin(&world.account, &copy, &md5, None).await.unwrap();
    assert_eq!(world.stores.d1_upload(&upload.token, Incoming::of(sql.clone())).await.unwrap(), md5);
    let run = || world.stores.d1_import(&world.account, &copy, &upload.name);
    let (done, meanwhile) = tokio::join!(run(), run());
    let done = done.unwrap();
    assert!(done.statements > 8, "{done:?}");
    assert_eq!(meanwhile.unwrap().bookmark, done.bookmark, "a file is run twice at a time");
    let repeated = world.stores.d1_import(&world.account, &copy, &upload.name).await.unwrap();
    assert_eq!((repeated.statements, &repeated.bookmark), (done.statements, &done.bookmark), "a repeated call runs nothing again");
    let again = world.stores.d1_export(&world.account, &copy, Options::default(), None).await.unwrap();
    let again = world.stores.d1_download(&again.token).await.unwrap().whole().await.unwrap();
    assert_eq!(String::from_utf8(again.to_vec()).unwrap(), String::from_utf8(sql.to_vec()).unwrap());
}

/// A file of SQL, uploaded and not yet run.
async fn uploaded(world: &World, sql: &str) -> String {
    use md5::Digest as _;
    let sql = bytes::Bytes::copy_from_slice(sql.as_bytes());
    let md5 = hex::encode(md5::Md5::digest(&sql));
    let upload = world.stores.d1_import_begin(&world.account, &world.id, &md5, None).await.unwrap();
    world.stores.d1_upload(&upload.token, Incoming::of(sql)).await.unwrap();
    upload.name
}

#[tokio::test]
async fn an_import_that_a_crash_kept_out_of_the_books_is_not_applied_twice() {
    let mut world = World::new().await;
    world.run("create table t (n integer)").await.unwrap();
    let first = uploaded(&world, "insert into t values (1); insert into t values (2);").await;
    let second = uploaded(&world, "insert into t values (3);").await;
    let run = async |world: &World, name: &str| world.stores.d1_import(&world.account, &world.id, name).await;
    // as a crash leaves it after the commit: nobody noted what was done
    let crash = async |world: &World, name: &str| {
        let (name, told) = (name.to_owned(), "update d1_transfer set outcome = null where name = $1");
        assert_eq!(world.db.write(move |tx| tx.execute(told, purser_db::params![name])).await.unwrap(), 1);
    };
    let done = run(&world, &first).await.unwrap();
    crash(&world, &first).await;
    world.again();
    assert_eq!(run(&world, &first).await.unwrap().statements, done.statements);
    assert_eq!(world.rows("select count(*) as n from t").await, json!([{"n": 2}]), "the file was applied twice");
    // nor when another file came in between
    crash(&world, &first).await;
    run(&world, &second).await.unwrap();
    assert_eq!(run(&world, &first).await.unwrap().statements, done.statements);
    assert_eq!(world.rows("select count(*) as n from t").await, json!([{"n": 3}]));
    // and one that was never committed is applied
    let third = uploaded(&world, "insert into t values (4);").await;
    let tried = "update d1_transfer set tried = $2 where name = $1";
    let (name, will) = (third.clone(), serde_json::to_string(&done).unwrap());
    world.db.write(move |tx| tx.execute(tried, purser_db::params![name, will])).await.unwrap();
    run(&world, &third).await.unwrap();
    assert_eq!(world.rows("select count(*) as n from t").await, json!([{"n": 4}]));
    assert!(
        world.run("pragma user_version").await.is_err() && world.run("pragma application_id = 1").await.is_err(),
        "strangers reach the mark"
    );
}

#[tokio::test]
async fn a_restore_has_its_room_before_it_writes() {
    let world = World::within(12 << 20).await;
    world.run("create table t (b blob)").await.unwrap();
    let before = world.stores.d1_bookmark(&world.account, &world.id, None).await.unwrap();
    world.run("insert into t values (randomblob(1800000)), (randomblob(1800000))").await.unwrap();
    let full = world.stores.d1_bookmark(&world.account, &world.id, None).await.unwrap();
    world.run("drop table t").await.unwrap();
    let folder = world.folder.path().join("d1").join(&world.id);
    let files = || std::fs::read_dir(folder.join("history")).unwrap().count();
    let there = files();
    let refused = loop {
        match world.stores.d1_restore(&world.account, &world.id, To::Bookmark(full.clone())).await {
            Ok(_) if files() < there + 40 => {
                world.stores.d1_restore(&world.account, &world.id, To::Bookmark(before.clone())).await.map(drop).unwrap_or(())
            }
            other => break other,
        }
    };
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    let kept = files();
    assert!(world.stores.d1_restore(&world.account, &world.id, To::Bookmark(full)).await.is_err());
    assert_eq!(files(), kept, "a restore that was refused wrote something");
}

#[tokio::test]
async fn full_text_tables_take_values_that_one_step_can_work_on() {
    let world = World::new().await;
    world.run("create virtual table f using fts5(x); create table plain (b text)").await.unwrap();
    world.run("insert into plain values (printf('%.*c', 1000000, 'x'))").await.unwrap();
    world.run("insert into f values ('the quick brown fox')").await.unwrap();
    assert_eq!(
        world.rows("select snippet(f, 0, '[', ']', '', 5) as s from f where f match 'quick'").await[0]["s"],
        "the [quick] brown fox"
    );
    let long = "insert into f values (replace(printf('%.*c', 100000, 'a'), 'a', 'a '))";
    assert!(world.run(long).await.unwrap_err().to_string().contains("SQLITE_TOOBIG"));
    // nor by way of a trigger
    world.run("create trigger g after insert on plain begin insert into f values (new.b); end").await.unwrap();
    assert!(world.run("insert into plain values (printf('%.*c', 100000, 'x'))").await.is_err());
    assert!(world.run("insert into plain values ('short')").await.is_ok());
    // nor in the call that makes the table
    let both = format!("create virtual table h using fts5(x); {}", long.replace("into f", "into h"));
    assert!(world.run(&both).await.is_err());
    let wide: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let refused = world.run(&format!("create virtual table w using fts5({})", wide.join(", "))).await.unwrap_err();
    assert!(refused.to_string().contains("8 columns"), "{refused}");
    // and what lies beside them is as large as ever
    assert_eq!(world.rows("select length(b) as n from plain limit 1").await, json!([{"n": 1_000_000}]));
}
