//! Certificates, what is due, and our account at the authority. Keys are sealed.

use purser_db::{DbError, Migrations, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::name::HostName;

use crate::limits;

const DAY_US: i64 = 86_400_000_000;

/// The tables of this crate.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "edge",
    steps: &["
create table edge_certificate (
    host {text} primary key,
    next_at {int} not null,
    failures {int} not null,
    why {text},
    chain {text},
    sealed_key {blob},
    not_after {int},
    order_url {text},
    sealed_order_key {blob}
){strict};
create index edge_certificate_due on edge_certificate (next_at);
create table edge_authority_account (directory {text} primary key, sealed {blob} not null, created_at {int} not null){strict};
", "
create table edge_certificate_wanted (account {text} not null, day {int} not null, names {int} not null, primary key (account, day)){strict};
"],
};

/// A name whose certificate is to be ordered or renewed.
#[derive(Debug, Clone)]
pub struct Due {
    pub host: HostName,
    pub next_at: Timestamp,
    pub failures: u32,
    /// An order that a crash may have left, and the sealed key that it is for.
    pub open_order: Option<(String, Vec<u8>)>,
}

/// A certificate as it is kept.
#[derive(Debug, Clone)]
pub struct Issued {
    pub host: HostName,
    pub chain: String,
    pub sealed_key: Vec<u8>,
    pub not_after: Timestamp,
}

/// Writes a name of an account down. One that is known already keeps its turn. One too many beside its siblings, or of the account's today, is
/// let go: a route for every name below a zone must not let visitors who make names up, at any depth, spend the orders of all.
pub fn want(tx: &mut Tx<'_>, host: &HostName, account: &str, now: Timestamp) -> Result<(), DbError> {
    let siblings = host.as_str().split_once('.').map_or("", |(_, parent)| parent);
    let count = "select count(*) as n from edge_certificate where host like $1 and host not like $2";
    let siblings = tx.query_one(count, params![format!("%.{siblings}"), format!("%.%.{siblings}")])?.get::<i64>("n")?;
    if siblings >= limits::SIBLING_CERTIFICATES {
        return Ok(());
    }
    let day = now.micros_since(Timestamp::EPOCH).div_euclid(DAY_US);
    let today = "select names from edge_certificate_wanted where account = $1 and day = $2";
    let today = tx.query_opt(today, params![account, day])?.map_or(Ok(0), |row| row.get::<i64>("names"))?;
    if today >= limits::NEW_CERTIFICATES_A_DAY {
        return Ok(());
    }
    let insert = "insert into edge_certificate (host, next_at, failures) values ($1, $2, 0) on conflict (host) do nothing";
    if tx.execute(insert, params![host, now])? == 0 {
        return Ok(());
    }
    tx.execute("delete from edge_certificate_wanted where day < $1", params![day])?;
    let counted = "insert into edge_certificate_wanted (account, day, names) values ($1, $2, 1)
        on conflict (account, day) do update set names = edge_certificate_wanted.names + 1";
    tx.execute(counted, params![account, day]).map(drop)
}

/// What comes next, the earliest first.
pub fn due(tx: &mut Tx<'_>, most: u32) -> Result<Vec<Due>, DbError> {
    let sql = "select host, next_at, failures, order_url, sealed_order_key from edge_certificate order by next_at, host limit $1";
    tx.query(sql, params![most])?.iter().map(read_due).collect()
}

pub fn issued(tx: &mut Tx<'_>) -> Result<Vec<Issued>, DbError> {
    let sql = "select host, chain, sealed_key, not_after from edge_certificate where chain is not null";
    tx.query(sql, params![])?.iter().map(read_issued).collect()
}

/// The order and its key, before the authority is asked to sign: what it signs after a crash is still of use.
pub fn ordered(tx: &mut Tx<'_>, host: &HostName, url: &str, sealed_key: &[u8]) -> Result<(), DbError> {
    let sql = "update edge_certificate set order_url = $2, sealed_order_key = $3 where host = $1";
    tx.execute(sql, params![host, url, sealed_key]).map(drop)
}

pub fn done(tx: &mut Tx<'_>, issued: &Issued, renew_at: Timestamp) -> Result<(), DbError> {
    let sql = "update edge_certificate set chain = $2, sealed_key = $3, not_after = $4, next_at = $5, failures = 0, why = null,
        order_url = null, sealed_order_key = null where host = $1";
    tx.execute(sql, params![issued.host, issued.chain, issued.sealed_key, issued.not_after, renew_at]).map(drop)
}

pub fn failed(tx: &mut Tx<'_>, host: &HostName, failures: u32, next_at: Timestamp, why: &str) -> Result<(), DbError> {
    let sql =
        "update edge_certificate set failures = $2, next_at = $3, why = $4, order_url = null, sealed_order_key = null where host = $1";
    tx.execute(sql, params![host, failures, next_at, why]).map(drop)
}

pub fn put_off(tx: &mut Tx<'_>, host: &HostName, next_at: Timestamp) -> Result<(), DbError> {
    tx.execute("update edge_certificate set next_at = $2 where host = $1", params![host, next_at]).map(drop)
}

pub fn forget(tx: &mut Tx<'_>, host: &HostName) -> Result<(), DbError> {
    tx.execute("delete from edge_certificate where host = $1", params![host]).map(drop)
}

pub fn account(tx: &mut Tx<'_>, directory: &str) -> Result<Option<Vec<u8>>, DbError> {
    let row = tx.query_opt("select sealed from edge_authority_account where directory = $1", params![directory])?;
    row.map(|row| row.get("sealed")).transpose()
}

pub fn put_account(tx: &mut Tx<'_>, directory: &str, sealed: &[u8], now: Timestamp) -> Result<(), DbError> {
    let sql = "insert into edge_authority_account (directory, sealed, created_at) values ($1, $2, $3)
        on conflict (directory) do update set sealed = excluded.sealed, created_at = excluded.created_at";
    tx.execute(sql, params![directory, sealed, now]).map(drop)
}

fn read_due(row: &Row) -> Result<Due, DbError> {
    let (url, key): (Option<String>, Option<Vec<u8>>) = (row.get("order_url")?, row.get("sealed_order_key")?);
    Ok(Due { host: row.parse("host")?, next_at: row.get("next_at")?, failures: row.get("failures")?, open_order: url.zip(key) })
}

fn read_issued(row: &Row) -> Result<Issued, DbError> {
    Ok(Issued { host: row.parse("host")?, chain: row.get("chain")?, sealed_key: row.get("sealed_key")?, not_after: row.get("not_after")? })
}

#[cfg(test)]
mod tests {
    use purser_db::testing::each_engine;

    use super::*;

    #[tokio::test]
    async fn a_name_keeps_its_turn_and_an_order_outlives_a_crash_until_it_is_done() {
        each_engine(&[MIGRATIONS], |db| async move {
            let (a, b): (HostName, HostName) = ("a.test".parse().unwrap(), "b.test".parse().unwrap());
            let at = Timestamp::from_secs;
            db.write(move |tx| -> Result<(), DbError> {
                want(tx, &a, "acct_1", at(10))?;
                want(tx, &b, "acct_1", at(5))?;
                failed(tx, &b, 1, at(40), "no route")?;
                want(tx, &b, "acct_1", at(1))?;
                ordered(tx, &a, "https://ca.test/order/1", b"key")?;
                let next: Vec<_> = due(tx, 9)?.into_iter().map(|d| (d.host.to_string(), d.failures, d.open_order)).collect();
                let open = Some(("https://ca.test/order/1".to_owned(), b"key".to_vec()));
                assert_eq!(next, [("a.test".to_owned(), 0, open), ("b.test".to_owned(), 1, None)]);
                let one = Issued { host: a.clone(), chain: "pem".to_owned(), sealed_key: b"sealed".to_vec(), not_after: at(100) };
                done(tx, &one, at(66))?;
                assert_eq!(
                    due(tx, 9)?.iter().map(|d| (d.next_at, d.open_order.is_some())).collect::<Vec<_>>(),
                    [(at(40), false), (at(66), false)]
                );
                assert_eq!(issued(tx)?.len(), 1);
                forget(tx, &a)?;
                assert!(issued(tx)?.is_empty());
                put_account(tx, "https://ca.test/", b"one", at(1))?;
                put_account(tx, "https://ca.test/", b"two", at(2))?;
                assert_eq!(account(tx, "https://ca.test/")?.as_deref(), Some(&b"two"[..]));
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn names_that_visitors_make_up_at_any_depth_spend_one_accounts_day_and_nobody_elses() {
        each_engine(&[MIGRATIONS], |db| async move {
            let (now, tomorrow) = (Timestamp::from_secs(100), Timestamp::from_secs(100 + 86_400));
            let names =
                |label: &str, n: i64| (0..n).map(|i| format!("x.{label}{i}.shop.test").parse::<HostName>().unwrap()).collect::<Vec<_>>();
            let count = |tx: &mut Tx<'_>| tx.query_one("select count(*) as n from edge_certificate", params![])?.get::<i64>("n");
            db.write(move |tx| -> Result<(), DbError> {
                for name in names("a", limits::NEW_CERTIFICATES_A_DAY + 20) {
                    want(tx, &name, "acct_1", now)?;
                    want(tx, &name, "acct_1", now)?;
                }
                assert_eq!(count(tx)?, limits::NEW_CERTIFICATES_A_DAY, "a visitor spent more than a day's orders");
                for name in names("a", 3) {
                    forget(tx, &name)?;
                    want(tx, &name, "acct_1", now)?;
                }
                assert_eq!(count(tx)?, limits::NEW_CERTIFICATES_A_DAY - 3, "what was forgotten was ordered again on the same day");
                want(tx, &"www.other.test".parse().unwrap(), "acct_2", now)?;
                want(tx, &"www.shop.test".parse().unwrap(), "acct_1", tomorrow)?;
                assert_eq!(count(tx)?, limits::NEW_CERTIFICATES_A_DAY - 1);
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
