//! Looking into the databases of a data folder, past every layer that could hide something.

use std::path::Path;

use purser_db::{Db, DbConfig, DbError, params};

async fn open(dir: &Path, file: &str) -> Db {
    Db::open(&DbConfig::Sqlite { path: dir.join(file) }).await.unwrap()
}

/// The one number that a query answers, as its column `n`.
pub async fn number(dir: &Path, file: &str, sql: &'static str) -> i64 {
    let found = open(dir, file).await.read::<_, DbError, _>(move |tx| tx.query_one(sql, params![])?.get("n")).await;
    found.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The texts that a query answers, as its column `x`.
pub async fn texts(dir: &Path, file: &str, sql: &'static str) -> Vec<String> {
    let db = open(dir, file).await;
    let found = db.read::<_, DbError, _>(move |tx| tx.query(sql, params![])?.iter().map(|row| row.get("x")).collect()).await;
    found.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Every way in which the ledger does not add up.
pub async fn ledger_faults(dir: &Path) -> Vec<String> {
    let found = open(dir, "purser.db").await.read::<_, DbError, _>(purser_spend::verify::check).await.unwrap();
    found.into_iter().map(|difference| difference.what).collect()
}

/// Changes something behind the back of the system, as somebody with the file could.
pub async fn tamper(dir: &Path, sql: &'static str) -> u64 {
    tamper_in(dir, "purser.db", sql).await
}

/// The same in another database of the folder.
pub async fn tamper_in(dir: &Path, file: &str, sql: &'static str) -> u64 {
    open(dir, file).await.write::<_, DbError, _>(move |tx| tx.execute(sql, params![])).await.unwrap()
}
