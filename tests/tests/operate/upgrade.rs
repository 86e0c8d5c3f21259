//! Upgrading: an older version is asked to stop while people, agents and providers go on; this version migrates what it left, and
//! nothing that was under way is lost.
//!
//! What the older version left is made from what this one left: the rows of its tables, in the tables and columns that there were then.
//! Steps of a migration never change, so the first of them are the older tables.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use purser_db::testing::{PG_URL_VAR, Schema};
use purser_db::{Db, DbConfig, DbError, Migrations, Row, Value, params};
use purser_tests::binaries::{missing, named};
use purser_tests::{Agent, Ask, Choice, processes};
use purser_values::Env;
use serde_json::json;
use url::Url;

use super::installation::{Installation, built, configure, configure_on, free_port};
use super::restart::asking;
use crate::stage::Stage;

/// How many steps each domain had in the older version; what is not here has all its steps from the start.
const OLDER: [(&str, usize); 5] = [("db", 1), ("flow", 1), ("identity", 7), ("spend", 6), ("provisioning", 1)];

fn older_tables() -> &'static [Migrations] {
    let older = purser_server::TABLES.iter().map(|now| {
        let steps = OLDER.iter().find(|(domain, _)| *domain == now.domain).map_or(now.steps.len(), |(_, steps)| *steps);
        Migrations { domain: now.domain, steps: &now.steps[..steps] }
    });
    Box::leak(older.collect::<Vec<_>>().into_boxed_slice())
}

async fn open(config: &DbConfig) -> Db {
    Db::open(config).await.unwrap()
}

fn for_ever(sql: String) -> &'static str {
    Box::leak(sql.into_boxed_str())
}

async fn rows(db: &Db, sql: &'static str) -> Vec<Row> {
    db.read::<_, DbError, _>(move |tx| tx.query(sql, params![])).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

async fn names(db: &Db, sql: &'static str) -> Vec<String> {
    rows(db, sql).await.iter().map(|row| row.get("name").unwrap()).collect()
}

fn value(row: &Row, column: &str) -> Value {
    if let Ok(int) = row.get::<Option<i64>>(column) {
        int.map_or(Value::Null, Value::Int)
    } else if let Ok(text) = row.get::<Option<String>>(column) {
        text.map_or(Value::Null, Value::Text)
    } else {
        row.get::<Option<Vec<u8>>>(column).unwrap().map_or(Value::Null, Value::Blob)
    }
}

/// The tables of the older version with their columns, in the order in which they were made, so that what is referred to comes first.
async fn tables_and_columns(folder: &Path) -> Vec<(String, Vec<String>)> {
    let older = open(&DbConfig::Sqlite { path: folder.join("older.db") }).await;
    older.migrate(&Env::system(), older_tables()).await.unwrap();
    let tables = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name <> 'migration' order by rowid";
    let mut all = Vec::new();
    for table in names(&older, tables).await {
        let columns = names(&older, for_ever(format!("select name from pragma_table_info('{table}')"))).await;
        all.push((table, columns));
    }
    let (_, saga) = all.iter().find(|(table, _)| table == "saga").unwrap();
    assert!(!saga.contains(&"waiting".to_owned()), "it is not older");
    all
}

/// Makes the database what the older version would have left.
async fn make_older(config: &DbConfig, folder: &Path) {
    let tables = tables_and_columns(folder).await;
    let now = open(config).await;
    let mut kept = Vec::new();
    for (table, columns) in &tables {
        let list = columns.join(", ");
        let places = (1..=columns.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let insert = for_ever(format!("insert into {table} ({list}) values ({places})"));
        for row in rows(&now, for_ever(format!("select {list} from {table}"))).await {
            kept.push((insert, columns.iter().map(|column| value(&row, column)).collect::<Vec<Value>>()));
        }
    }
    assert!(kept.len() > 50, "only {} rows were there", kept.len());
    let beside = match config {
        DbConfig::Sqlite { path } => DbConfig::Sqlite { path: path.with_extension("older") },
        DbConfig::Postgres { .. } => {
            // tables, and whatever else was made beside them
            let schema = names(&now, "select cast(current_schema() as text) as name").await.remove(0);
            let clear = [format!("drop schema {schema} cascade"), format!("create schema {schema}")].map(for_ever);
            let clear = move |tx: &mut purser_db::Tx<'_>| clear.iter().try_for_each(|sql| tx.execute(sql, params![]).map(drop));
            now.write::<_, DbError, _>(clear).await.unwrap();
            config.clone()
        }
    };
    {
        let (_, older) = (now, open(&beside).await);
        older.migrate(&Env::system(), older_tables()).await.unwrap();
        let put = move |tx: &mut purser_db::Tx<'_>| {
            kept.iter().try_for_each(|(insert, values)| tx.execute(insert, values).map(drop).inspect_err(|e| eprintln!("{insert}: {e}")))
        };
        older.write::<_, DbError, _>(put).await.unwrap();
    }
    if let (DbConfig::Sqlite { path }, DbConfig::Sqlite { path: beside }) = (config, &beside) {
        for suffix in ["", "-wal", "-shm"] {
            let (from, to) = (format!("{}{suffix}", beside.display()), format!("{}{suffix}", path.display()));
            let _ = fs::remove_file(&to);
            if Path::new(&from).exists() {
                fs::rename(from, to).unwrap();
            }
        }
    }
}

/// An installation with one scripted provider, on this database or its own.
async fn with_stage(database: Option<&str>) -> Option<(Installation, Arc<Stage>, tempfile::TempDir)> {
    let purser = named("PURSER_BIN", built)?;
    let parent = tempfile::tempdir().unwrap();
    let (folder, port) = (parent.path().join("one"), free_port());
    match database {
        Some(url) => configure_on(&folder, port, free_port(), url),
        None => configure(&folder, port, free_port()),
    }
    let stage = Stage::start("stage", &Url::parse(&format!("http://localhost:{port}")).unwrap(), false).await;
    let secret = folder.join("secret");
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&secret).unwrap();
    fs::write(&secret, "whsec_of-the-stage").unwrap();
    deal_with(&folder, stage.address, &secret);
    Some((Installation::serve(purser, folder).await, stage, parent))
}

fn deal_with(folder: &Path, provider: SocketAddr, secret: &Path) {
    let path = folder.join("orchestrator.toml");
    let config = fs::read_to_string(&path).unwrap();
    let provider_text =
        format!("[[providers]]\nname = \"stage\"\nurl = \"http://{provider}/\"\nsigning_secret_file = \"{}\"\n", secret.display());
    fs::write(&path, format!("fetch_allow = [\"{provider}\"]\n{config}{provider_text}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_migrates_what_an_older_version_left_and_loses_no_request() {
    upgrade(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_a_postgresql_database_loses_no_request_either() {
    let Some(schema) = Schema::make().await else {
        missing(PG_URL_VAR);
        return;
    };
    upgrade(Some(&schema.url)).await;
    schema.remove().await;
}

async fn upgrade(database: Option<&str>) {
    let Some((mut installation, stage, parent)) = with_stage(database).await else { return };
    let mut ada = installation.owner("ada").await;
    let agent = |name: &str| Agent::at(&installation.purser(), &installation.url, &parent.path().join(name), name);
    let (runner, late, mailed) = (agent("runner"), agent("late"), agent("mailed"));
    processes::until("the catalogue", Duration::from_secs(20), async || {
        runner.run(&["catalog"]).await.stdout.contains("stage/greeting").then_some(())
    })
    .await;
    runner.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    runner.must(&["init", "runner"]).await;

    // a purchase under way: its provider lets it wait
    stage.says("account_requests", |_| (202, json!({"type": "registering", "retry_after": 1})));
    let adds = json!({"project": "runner", "environment": "development", "service": "stage/greeting", "name": "first"});
    let (status, begun) = runner.call("POST", "/v1/resources?wait=0", Some(&adds), Some("first")).await;
    assert_eq!((status, begun["state"].as_str()), (200, Some("running")), "{begun}");
    processes::until("the question", Duration::from_secs(20), async || (!stage.asked("account_requests").is_empty()).then_some(())).await;
    // a mail that cannot be delivered
    let (mail, away): (PathBuf, PathBuf) = (installation.folder.join("mail"), installation.folder.join("mail.away"));
    fs::rename(&mail, &away).unwrap();
    mailed.login(&mut ada, Ask::ALL, &Choice::USUAL).await;

    // people and agents go on asking; one of them holds a poll, and its person accepts after the upgrade
    let (load, url) = (asking(&installation.url), installation.url.clone());
    let embedded = format!("sqlite:{}", installation.folder.join("data/purser.db").display());
    let config: DbConfig = database.unwrap_or(&embedded).parse().unwrap();
    let upgrade = async || {
        installation.stop();
        make_older(&config, parent.path()).await;
        fs::rename(&away, &mail).unwrap();
        installation.start_again().await;
    };
    late.login_when(&mut ada, Ask::ALL, &Choice::USUAL, upgrade).await;

    late.must(&["init", "late"]).await;
    stage.says("account_requests", |asked| {
        let bearer =
            json!({"access_token": "a", "refresh_token": null, "expires_in": null, "account": {"id": "acct", "payment_credentials": null}});
        (200, json!({"id": asked["id"], "type": "credentials", "credentials": {"type": "bearer", "bearer": bearer}}))
    });
    processes::until("the purchase that was under way", Duration::from_secs(60), async || {
        let status = runner.must(&["status"]).await;
        (status["resources"][0]["state"] == "live").then_some(())
    })
    .await;
    processes::until("the mail that waited", Duration::from_secs(60), async || {
        ada.mails().iter().any(|mail| mail.contains("mailed agent")).then_some(())
    })
    .await;
    for code in load.await.unwrap() {
        let page = ada.open(&format!("/device?user_code={code}")).await;
        assert!(page.text().contains("Restless"), "the request {code} at {url} is lost: {}", page.text());
    }
}
