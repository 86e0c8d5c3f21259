//! The environments of an account that have a process of their own, each with a number for its uid.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::tenant::Environment;

/// Numbers of accounts, which are those of their first environment, and of further environments are never the same: each is a uid.
pub const NEXT: &str = "select coalesce(max(number), 0) + 1 as n from
    (select number from worker_account union all select number from worker_environment) as used";

/// The number of an environment other than the account's first; made on first sight.
pub fn ensure(tx: &mut Tx<'_>, account: &CloudAccountId, environment: &Environment, now: Timestamp) -> Result<u32, DbError> {
    let select = "select number from worker_environment where account = $1 and environment = $2";
    if let Some(row) = tx.query_opt(select, params![account, environment.as_str()])? {
        return row.get("number");
    }
    let number: i64 = tx.query_one(NEXT, params![])?.get("n")?;
    let insert = "insert into worker_environment (account, environment, number, created_at) values ($1, $2, $3, $4)";
    tx.execute(insert, params![account, environment.as_str(), number, now])?;
    u32::try_from(number).map_err(|_| DbError::Corrupt("there are more environments than numbers".into()))
}

/// Those that have a Worker, in which there is a process.
pub fn used(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Environment>, DbError> {
    let select = "select distinct environment from worker_script where account = $1 order by environment";
    tx.query(select, params![account])?.iter().map(|row| row.parse("environment")).collect()
}
