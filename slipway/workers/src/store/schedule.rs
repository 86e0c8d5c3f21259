//! Cron triggers of Workers, and when each is due next.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::name::ScriptName;
use crate::view::Schedule;

/// Triggers that are looked at in one go.
const AT_ONCE: i64 = 100;

/// One that is due.
#[derive(Clone, Debug)]
pub struct Due {
    pub account: CloudAccountId,
    pub script: ScriptName,
    pub cron: String,
    pub at: Timestamp,
}

pub fn list(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<Schedule>, DbError> {
    const SQL: &str = "select cron, created_at, modified_at from worker_schedule where account = $1 and script = $2 order by cron";
    let read =
        |row: &Row| Ok(Schedule { cron: row.get("cron")?, created_at: row.get("created_at")?, modified_at: row.get("modified_at")? });
    tx.query(SQL, params![account, script])?.iter().map(read).collect()
}

/// Triggers of an account.
pub fn count(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from worker_schedule where account = $1", params![account])?.get("n")
}

/// Replaces all triggers of a Worker; one that stays keeps its next time.
pub fn put(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    script: &ScriptName,
    crons: &[(String, Timestamp)],
    now: Timestamp,
) -> Result<(), DbError> {
    for old in list(tx, account, script)? {
        if !crons.iter().any(|(cron, _)| *cron == old.cron) {
            let delete = "delete from worker_schedule where account = $1 and script = $2 and cron = $3";
            tx.execute(delete, params![account, script, old.cron])?;
        }
    }
    for (cron, next) in crons {
        tx.execute(
            "insert into worker_schedule (account, script, cron, created_at, modified_at, next_at) values ($1, $2, $3, $4, $4, $5)
             on conflict (account, script, cron) do update set modified_at = excluded.modified_at",
            params![account, script, cron, now, next],
        )?;
    }
    Ok(())
}

/// Those whose time has come, the oldest first.
pub fn due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<Due>, DbError> {
    const SQL: &str = "select account, script, cron, next_at from worker_schedule where next_at <= $1 order by next_at limit $2";
    let read = |row: &Row| {
        Ok(Due { account: row.parse("account")?, script: row.parse("script")?, cron: row.get("cron")?, at: row.get("next_at")? })
    };
    tx.query(SQL, params![now, AT_ONCE])?.iter().map(read).collect()
}

/// Moves a trigger on to its next time; false when somebody else did.
pub fn advance(tx: &mut Tx<'_>, due: &Due, next: Timestamp) -> Result<bool, DbError> {
    const SQL: &str = "update worker_schedule set next_at = $5 where account = $1 and script = $2 and cron = $3 and next_at = $4";
    Ok(tx.execute(SQL, params![due.account, due.script, due.cron, due.at, next])? == 1)
}

pub fn delete(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<(), DbError> {
    tx.execute("delete from worker_schedule where account = $1 and script = $2", params![account, script]).map(drop)
}
