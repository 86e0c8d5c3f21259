//! Accounts as the runtime knows them: a number for the uid, a subdomain, and whether their sites are off line.

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};

use crate::name::SubdomainName;
use crate::store::environment::NEXT;

/// One account.
#[derive(Clone, Debug)]
pub struct AccountRow {
    pub account: CloudAccountId,
    pub number: u32,
    pub subdomain: Option<SubdomainName>,
    pub suspended: bool,
}

pub fn get(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Option<AccountRow>, DbError> {
    let row = tx.query_opt("select account, number, subdomain, suspended from worker_account where account = $1", params![account])?;
    row.map(|row| read(&row)).transpose()
}

pub fn all(tx: &mut Tx<'_>) -> Result<Vec<AccountRow>, DbError> {
    let rows = tx.query("select account, number, subdomain, suspended from worker_account order by number", params![])?;
    rows.iter().map(read).collect()
}

/// The account's row, made on first sight with a subdomain of its own: every account has one.
pub fn ensure(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId) -> Result<AccountRow, DbError> {
    if let Some(found) = get(tx, account)? {
        return Ok(found);
    }
    let now: Timestamp = env.now();
    let subdomain = format!("s{}", hex::encode(env.bytes::<5>()));
    let number: i64 = tx.query_one(NEXT, params![])?.get("n")?;
    let insert = "insert into worker_account (account, number, subdomain, suspended, created_at) values ($1, $2, $3, 0, $4)";
    tx.execute(insert, params![account, number, subdomain, now])?;
    get(tx, account)?.ok_or_else(|| DbError::Corrupt("an account that was just made is not there".into()))
}

/// False when another account has the name.
pub fn set_subdomain(tx: &mut Tx<'_>, account: &CloudAccountId, name: &SubdomainName) -> Result<bool, DbError> {
    let taken = tx.query_opt("select account from worker_account where subdomain = $1 and account <> $2", params![name, account])?;
    if taken.is_some() {
        return Ok(false);
    }
    tx.execute("update worker_account set subdomain = $2 where account = $1", params![account, name])?;
    Ok(true)
}

pub fn set_suspended(tx: &mut Tx<'_>, account: &CloudAccountId, suspended: bool) -> Result<(), DbError> {
    tx.execute("update worker_account set suspended = $2 where account = $1", params![account, suspended]).map(drop)
}

fn read(row: &purser_db::Row) -> Result<AccountRow, DbError> {
    Ok(AccountRow {
        account: row.parse("account")?,
        number: row.get("number")?,
        subdomain: row.parse_opt("subdomain")?,
        suspended: row.get("suspended")?,
    })
}
