//! The job table.

use std::collections::HashMap;

use purser_values::id::JobId;
use purser_values::{Env, Timestamp};

use crate::error::DbError;
use crate::params;
use crate::row::Row;
use crate::tx::{Engine, Tx};

/// A job to enqueue.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub kind: &'static str,
    pub payload: serde_json::Value,
    /// Not before this moment.
    pub run_at: Timestamp,
    /// A second job with the same text is not enqueued, for effects that must happen exactly once.
    pub dedupe: Option<String>,
    /// Where it goes, for what waits for a stranger's answer: few of one lane run at once, and they keep no others waiting.
    pub lane: Option<String>,
}

/// A claimed job.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub kind: String,
    pub payload: serde_json::Value,
    /// How often it was claimed, this time included.
    pub attempts: i64,
    pub lane: Option<String>,
}

/// A job that was given up and waits for a person.
#[derive(Debug, Clone)]
pub struct Parked {
    pub id: JobId,
    pub kind: String,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}

impl NewJob {
    /// A job that may run at once.
    #[must_use]
    pub fn now(env: &Env, kind: &'static str, payload: serde_json::Value) -> Self {
        Self { kind, payload, run_at: env.now(), dedupe: None, lane: None }
    }
}

/// Puts a job into the queue, in the caller's write.
///
/// # Errors
/// When the store fails.
pub fn enqueue(tx: &mut Tx<'_>, env: &Env, job: &NewJob) -> Result<(), DbError> {
    let insert = "insert into job (id, kind, payload, state, attempts, run_at, created_at, dedupe, lane)
                  values ($1, $2, $3, 'ready', 0, $4, $5, $6, $7) on conflict do nothing";
    let id = JobId::mint(env);
    tx.execute(insert, params![id, job.kind, job.payload, job.run_at, env.now(), job.dedupe, job.lane]).map(drop)
}

/// Forgets jobs that were done and are older than this moment.
///
/// # Errors
/// When the store fails.
pub fn forget_done(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64, DbError> {
    tx.execute("delete from job where state = 'done' and created_at < $1", params![before])
}

/// The jobs that were given up, oldest first.
///
/// # Errors
/// When the store fails.
pub fn parked(tx: &mut Tx<'_>) -> Result<Vec<Parked>, DbError> {
    let rows = tx.query("select id, kind, last_error, created_at from job where state = 'parked' order by created_at", params![])?;
    rows.iter()
        .map(|row| {
            Ok(Parked {
                id: row.parse("id")?,
                kind: row.get("kind")?,
                last_error: row.get("last_error")?,
                created_at: row.get("created_at")?,
            })
        })
        .collect()
}

/// How many jobs of each kind wait, wait after a try that failed (`retrying`), and are parked for a person.
///
/// # Errors
/// When the store fails.
pub fn waiting(tx: &mut Tx<'_>) -> Result<Vec<(String, String, i64)>, DbError> {
    let select =
        "select kind, case when state = 'parked' then 'parked' when last_error is not null then 'retrying' else 'waiting' end as standing,
            count(*) as number
        from job where state in ('ready', 'parked') group by kind, standing order by kind, standing";
    tx.query(select, params![])?.iter().map(|row| Ok((row.get("kind")?, row.get("standing")?, row.get("number")?))).collect()
}

/// Takes up to `most` jobs in no lane whose time has come and leases them until `until`.
pub(super) fn claim(tx: &mut Tx<'_>, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Job>, DbError> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "update job set attempts = attempts + 1, run_at = $2 where id in (
                select id from job where state = 'ready' and lane is null and run_at <= $1 order by run_at limit $3)
             returning id, kind, payload, attempts, lane"
        }
        Engine::Postgres => {
            "update job set attempts = attempts + 1, run_at = $2 where id in (
                select id from job where state = 'ready' and lane is null and run_at <= $1 order by run_at limit $3 for update skip locked)
             returning id, kind, payload, attempts, lane"
        }
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    tx.query(sql, params![now, until, most])?.iter().map(job).collect()
}

/// The same in lanes, of which each has at most `each` jobs under way, those that are (`busy`) included.
pub(super) fn claim_lanes(
    tx: &mut Tx<'_>,
    now: Timestamp,
    until: Timestamp,
    busy: &HashMap<String, usize>,
    each: usize,
    most: usize,
) -> Result<Vec<Job>, DbError> {
    let first = "select id, lane from (
                     select id, lane, run_at, row_number() over (partition by lane order by run_at, id) as place from job
                     where state = 'ready' and lane is not null and run_at <= $1) as due
                 where place <= $2 order by run_at, id";
    let mut busy = busy.clone();
    let mut chosen = Vec::new();
    for row in tx.query(first, params![now, i64::try_from(each).unwrap_or(i64::MAX)])? {
        let under_way = busy.entry(row.get("lane")?).or_insert(0);
        if chosen.len() < most && *under_way < each {
            *under_way += 1;
            chosen.push(params![row.parse::<JobId>("id")?, now, until].to_vec());
        }
    }
    let claim = "update job set attempts = job.attempts + 1, run_at = r.c3 from {rows:text,int,int}
                 where job.id = r.c1 and job.state = 'ready' and job.run_at <= r.c2
                 returning job.id, job.kind, job.payload, job.attempts, job.lane";
    tx.query_rows(claim, &chosen)?.iter().map(job).collect()
}

fn job(row: &Row) -> Result<Job, DbError> {
    Ok(Job {
        id: row.parse("id")?,
        kind: row.get("kind")?,
        payload: row.json("payload")?,
        attempts: row.get("attempts")?,
        lane: row.get("lane")?,
    })
}

/// Leases the jobs until then, as far as they still belong to these claims.
pub(super) fn renew(tx: &mut Tx<'_>, claims: &[(JobId, i64)], until: Timestamp) -> Result<(), DbError> {
    let update =
        "update job set run_at = r.c3 from {rows:text,int,int} where job.id = r.c1 and job.attempts = r.c2 and job.state = 'ready'";
    let rows: Vec<_> = claims.iter().map(|(id, attempts)| params![id, attempts, until].to_vec()).collect();
    tx.execute_rows(update, &rows).map(drop)
}

/// What was done is done, whoever has claimed it since.
pub(super) fn done(tx: &mut Tx<'_>, id: &JobId) -> Result<(), DbError> {
    tx.execute("update job set state = 'done', last_error = null where id = $1", params![id]).map(drop)
}

/// Nothing for a claim that another process has taken over, here and in the two that follow.
pub(super) fn again(tx: &mut Tx<'_>, id: &JobId, attempts: i64, at: Timestamp, error: &str) -> Result<(), DbError> {
    let update = "update job set run_at = $3, last_error = $4 where id = $1 and attempts = $2 and state = 'ready'";
    tx.execute(update, params![id, attempts, at, error]).map(drop)
}

pub(super) fn park(tx: &mut Tx<'_>, id: &JobId, attempts: i64, error: &str) -> Result<(), DbError> {
    let update = "update job set state = 'parked', last_error = $3 where id = $1 and attempts = $2 and state = 'ready'";
    tx.execute(update, params![id, attempts, error]).map(drop)
}

/// The try does not count.
pub(super) fn hand_back(tx: &mut Tx<'_>, id: &JobId, attempts: i64, now: Timestamp) -> Result<(), DbError> {
    let update = "update job set run_at = $3, attempts = attempts - 1 where id = $1 and attempts = $2 and state = 'ready'";
    tx.execute(update, params![id, attempts, now]).map(drop)
}
