//! The job table.

use purser_values::id::JobId;
use purser_values::{Env, Timestamp};

use crate::error::DbError;
use crate::params;
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
}

/// A claimed job.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub kind: String,
    pub payload: serde_json::Value,
    /// How often it was claimed, this time included.
    pub attempts: i64,
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
        Self { kind, payload, run_at: env.now(), dedupe: None }
    }
}

/// Puts a job into the queue, in the caller's write.
///
/// # Errors
/// When the store fails.
pub fn enqueue(tx: &mut Tx<'_>, env: &Env, job: &NewJob) -> Result<(), DbError> {
    let insert = "insert into job (id, kind, payload, state, attempts, run_at, created_at, dedupe)
                  values ($1, $2, $3, 'ready', 0, $4, $5, $6) on conflict do nothing";
    let id = JobId::mint(env);
    tx.execute(insert, params![id, job.kind, job.payload, job.run_at, env.now(), job.dedupe]).map(drop)
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

/// Takes up to `most` jobs whose time has come and leases them until `lease_until`.
pub(super) fn claim(tx: &mut Tx<'_>, now: Timestamp, lease_until: Timestamp, most: i64) -> Result<Vec<Job>, DbError> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "update job set attempts = attempts + 1, run_at = $2 where id in (
                select id from job where state = 'ready' and run_at <= $1 order by run_at limit $3)
             returning id, kind, payload, attempts"
        }
        Engine::Postgres => {
            "update job set attempts = attempts + 1, run_at = $2 where id in (
                select id from job where state = 'ready' and run_at <= $1 order by run_at limit $3 for update skip locked)
             returning id, kind, payload, attempts"
        }
    };
    let rows = tx.query(sql, params![now, lease_until, most])?;
    rows.iter()
        .map(|row| Ok(Job { id: row.parse("id")?, kind: row.get("kind")?, payload: row.json("payload")?, attempts: row.get("attempts")? }))
        .collect()
}

pub(super) fn done(tx: &mut Tx<'_>, id: &JobId) -> Result<(), DbError> {
    tx.execute("update job set state = 'done', last_error = null where id = $1", params![id]).map(drop)
}

pub(super) fn again(tx: &mut Tx<'_>, id: &JobId, at: Timestamp, error: &str) -> Result<(), DbError> {
    tx.execute("update job set run_at = $2, last_error = $3 where id = $1", params![id, at, error]).map(drop)
}

pub(super) fn park(tx: &mut Tx<'_>, id: &JobId, error: &str) -> Result<(), DbError> {
    tx.execute("update job set state = 'parked', last_error = $2 where id = $1", params![id, error]).map(drop)
}
