//! Databases for tests: every store is tested on both engines.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use purser_values::{Env, Timestamp};

use crate::config::DbConfig;
use crate::db::Db;
use crate::migrate::Migrations;

/// Names the PostgreSQL server that tests may use; without it they run on SQLite alone and say so.
pub const PG_URL_VAR: &str = "PURSER_TEST_PG_URL";

/// The folder of one test process is this and the process's number.
const FOLDER_PREFIX: &str = "purser-test-";

/// A moment to start test clocks at: 2026-11-23T12:00:00Z.
pub const START: Timestamp = Timestamp::from_secs(1_795_435_200);

/// Runs `test` on a fresh SQLite database and, where there is a server, in a fresh PostgreSQL schema.
pub async fn each_engine<F, Fut>(migrations: &'static [Migrations], test: F)
where
    F: Fn(Db) -> Fut,
    Fut: Future<Output = ()>,
{
    let (env, _) = Env::test(START, 1);
    let (env, test) = (&env, &test);
    each_place(|config| async move { test(open(&config, env, migrations).await).await }).await;
}

/// The same with nothing in it yet, for tests that open it as several processes do.
pub async fn each_place<F, Fut>(test: F)
where
    F: Fn(DbConfig) -> Fut,
    Fut: Future<Output = ()>,
{
    let path = scratch();
    test(DbConfig::Sqlite { path: path.clone() }).await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    match Schema::make().await {
        Some(schema) => {
            test(DbConfig::Postgres { url: schema.url.clone() }).await;
            schema.remove().await;
        }
        None => {
            let promised = std::env::var_os("PURSER_PEERS").is_some_and(|value| value == "all");
            assert!(!promised, "{PG_URL_VAR} names no PostgreSQL, though every peer of the tests should be here");
            eprintln!("only SQLite was tested: {PG_URL_VAR} is not set");
        }
    }
}

/// A fresh SQLite database with the given tables, in a file of its own under the system's temporary folder.
pub async fn sqlite(migrations: &'static [Migrations]) -> Db {
    let (env, _) = Env::test(START, 1);
    open(&DbConfig::Sqlite { path: scratch() }, &env, migrations).await
}

#[allow(clippy::expect_used, reason = "only tests call this")]
async fn open(config: &DbConfig, env: &Env, migrations: &'static [Migrations]) -> Db {
    let db = Db::open(config).await.expect("a test database opens");
    db.migrate(env, migrations).await.expect("the migrations apply");
    db
}

/// A fresh PostgreSQL schema on the server for tests, for a process of its own; `None` where there is no server.
pub struct Schema {
    pub url: String,
    name: String,
    client: tokio_postgres::Client,
    task: tokio::task::JoinHandle<()>,
}

impl Schema {
    /// # Panics
    /// When the server does not answer.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub async fn make() -> Option<Self> {
        let url = std::env::var(PG_URL_VAR).ok()?;
        let name = format!("test_{}", unique());
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("the test server answers");
        let task = tokio::spawn(async move {
            // ends with the client
            let _ = connection.await;
        });
        client.batch_execute(&format!("create schema {name}")).await.expect("a schema is made");
        let joint = if url.contains('?') { '&' } else { '?' };
        Some(Self { url: format!("{url}{joint}options=-csearch_path%3D{name}"), name, client, task })
    }

    /// # Panics
    /// When the server does not answer.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub async fn remove(self) {
        self.client.batch_execute(&format!("drop schema {} cascade", self.name)).await.expect("the schema is dropped");
        self.task.abort();
    }
}

fn scratch() -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(own_folder);
    FOLDER.join(format!("{}.db", unique()))
}

/// A folder of this process. Nobody tells a test process that it ends, so each new one clears away what dead ones have left.
#[allow(clippy::expect_used, reason = "only tests call this")]
fn own_folder() -> PathBuf {
    let above = std::env::temp_dir();
    for entry in fs::read_dir(&above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.parse::<u32>().ok());
        let ended = |process: u32| Path::new("/proc/self").exists() && !Path::new("/proc").join(process.to_string()).exists();
        if of.is_some_and(ended) {
            // Another process may clear at the same time; what stays is cleared by the next one.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = above.join(format!("{FOLDER_PREFIX}{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for test databases is made");
    folder
}

fn unique() -> String {
    Env::system().bytes::<8>().iter().map(|b| format!("{b:02x}")).collect()
}
