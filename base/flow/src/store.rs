//! The journal.

use std::fmt;
use std::str::FromStr;

use purser_db::{DbError, Migrations, Row, Tx, params};
use purser_values::id::SagaId;
use purser_values::{Env, Timestamp};

use crate::saga::Failure;

/// `saga` holds where each saga is; `saga_step` what it has behind it.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "flow",
    steps: &[
        "create table saga (
        id {text} primary key, kind {text} not null, owner {text} not null, status {text} not null, step {int} not null,
        state {text} not null, tries {int} not null, run_at {int} not null, lease_until {int} not null,
        failure {text}, last_error {text}, created_at {int} not null, updated_at {int} not null
    ){strict};
    create index saga_status on saga (status, run_at);
    create table saga_step (
        saga {text} not null references saga (id), number {int} not null, name {text} not null, phase {text} not null,
        at {int} not null, took_us {int} not null, tries {int} not null, primary key (saga, number, phase)
    ){strict}",
        "alter table saga add column waiting {text}",
    ],
};

/// Where a saga is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    Undoing,
    Done,
    Undone,
    /// An undo failed for good: a person must look.
    Stuck,
}

impl Status {
    const ALL: [Self; 5] = [Self::Running, Self::Undoing, Self::Done, Self::Undone, Self::Stuck];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Undoing => "undoing",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
        }
    }

    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Stuck)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Status {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.name() == s).ok_or(())
    }
}

/// One saga as the journal knows it.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: SagaId,
    pub kind: String,
    /// Whose it is (an organisation's id), for those who ask.
    pub owner: String,
    pub status: Status,
    /// Steps that are done (running) or still to undo (undoing).
    pub step: usize,
    /// The state as JSON.
    pub state: String,
    pub tries: i64,
    pub run_at: Timestamp,
    /// Why it was undone.
    pub failure: Option<Failure>,
    /// The last transient failure, while it is being tried again.
    pub last_error: Option<String>,
    /// What its step waits for, while it does.
    pub waiting: Option<serde_json::Value>,
    pub created_at: Timestamp,
}

/// Writes the saga down, in the caller's write; [`crate::Engine::drive`] runs it after the commit.
///
/// # Errors
/// When the store fails.
pub fn begin(tx: &mut Tx<'_>, env: &Env, id: &SagaId, kind: &'static str, owner: &str, state: &str) -> Result<(), DbError> {
    let insert = "insert into saga (id, kind, owner, status, step, state, tries, run_at, lease_until, created_at, updated_at)
                  values ($1, $2, $3, 'running', 0, $4, 0, $5, 0, $5, $5)";
    tx.execute(insert, params![id, kind, owner, state, env.now()]).map(drop)
}

/// # Errors
/// When the store fails.
pub fn get(tx: &mut Tx<'_>, id: &SagaId) -> Result<Option<Record>, DbError> {
    let select =
        "select id, kind, owner, status, step, state, tries, run_at, failure, last_error, waiting, created_at from saga where id = $1";
    tx.query_opt(select, params![id])?.map(|row| record(&row)).transpose()
}

/// The sagas that are neither done, undone nor stuck, oldest first.
///
/// # Errors
/// When the store fails.
pub fn unfinished(tx: &mut Tx<'_>) -> Result<Vec<SagaId>, DbError> {
    let rows = tx.query("select id from saga where status in ('running', 'undoing') order by created_at", params![])?;
    rows.iter().map(|row| row.parse("id")).collect()
}

fn record(row: &Row) -> Result<Record, DbError> {
    let step: i64 = row.get("step")?;
    let parsed = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    let (failure, waiting): (Option<String>, Option<String>) = (row.get("failure")?, row.get("waiting")?);
    Ok(Record {
        id: row.parse("id")?,
        kind: row.get("kind")?,
        owner: row.get("owner")?,
        status: row.parse("status")?,
        step: usize::try_from(step).map_err(|_| DbError::Corrupt("a saga's step is negative".to_owned()))?,
        state: row.get("state")?,
        tries: row.get("tries")?,
        run_at: row.get("run_at")?,
        failure: failure.map(|text| serde_json::from_str(&text)).transpose().map_err(|e| DbError::Corrupt(e.to_string()))?,
        last_error: row.get("last_error")?,
        waiting: parsed(waiting).map_err(|e| DbError::Corrupt(e.to_string()))?,
        created_at: row.get("created_at")?,
    })
}

/// Takes the saga for this process until `until`, unless another has it or its time has not come.
pub fn lease(tx: &mut Tx<'_>, id: &SagaId, now: Timestamp, until: Timestamp) -> Result<bool, DbError> {
    let update = "update saga set lease_until = $3 where id = $1 and lease_until <= $2 and status in ('running', 'undoing')";
    Ok(tx.execute(update, params![id, now, until])? == 1)
}

/// A single process that starts anew knows that nobody else holds anything.
pub fn clear_leases(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    tx.execute("update saga set lease_until = 0 where status in ('running', 'undoing')", params![])
}

pub struct StepDone<'a> {
    pub name: &'a str,
    pub number: usize,
    pub took_us: i64,
    pub tries: i64,
}

/// Commits a step together with the state it left and the step that is next.
pub fn advance(
    tx: &mut Tx<'_>,
    id: &SagaId,
    now: Timestamp,
    lease: Timestamp,
    state: &str,
    status: Status,
    next: usize,
    done: &StepDone<'_>,
) -> Result<(), DbError> {
    let (next, number) = (signed(next), signed(done.number));
    let phase = if matches!(status, Status::Undoing | Status::Undone) { "undo" } else { "act" };
    let update = "update saga set state = $2, status = $3, step = $4, tries = 0, last_error = null, waiting = null, updated_at = $5, lease_until = $6 where id = $1";
    tx.execute(update, params![id, state, status.name(), next, now, lease])?;
    let insert = "insert into saga_step (saga, number, name, phase, at, took_us, tries) values ($1, $2, $3, $4, $5, $6, $7)
                  on conflict (saga, number, phase) do update set at = excluded.at, took_us = excluded.took_us, tries = excluded.tries";
    tx.execute(insert, params![id, number, done.name, phase, now, done.took_us, done.tries]).map(drop)
}

/// Turns the saga round: the step with the number `step - 1` is the first to be undone.
pub fn turn(tx: &mut Tx<'_>, id: &SagaId, now: Timestamp, status: Status, step: usize, failure: &Failure) -> Result<(), DbError> {
    let text = serde_json::to_string(failure).map_err(|e| DbError::Other(e.to_string()))?;
    let update = "update saga set status = $2, step = $3, tries = 0, last_error = null, waiting = null, updated_at = $4,
                  failure = coalesce(failure, $5) where id = $1";
    tx.execute(update, params![id, status.name(), signed(step), now, text]).map(drop)
}

/// Notes a transient failure and when to try again.
pub fn delay(tx: &mut Tx<'_>, id: &SagaId, now: Timestamp, run_at: Timestamp, why: &str) -> Result<(), DbError> {
    let update = "update saga set tries = tries + 1, last_error = $2, run_at = $3, lease_until = $3, updated_at = $4 where id = $1";
    tx.execute(update, params![id, why, run_at, now]).map(drop)
}

/// Notes what the step waits for and when to look again. Looking is no failed try.
pub fn wait(tx: &mut Tx<'_>, id: &SagaId, now: Timestamp, run_at: Timestamp, on: &str) -> Result<(), DbError> {
    let update = "update saga set tries = 0, last_error = null, waiting = $2, run_at = $3, lease_until = $3, updated_at = $4 where id = $1";
    tx.execute(update, params![id, on, run_at, now]).map(drop)
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How many sagas of each kind are not over, or stuck, by status.
///
/// # Errors
/// When the store fails.
pub fn standing_by_kind(tx: &mut Tx<'_>) -> Result<Vec<(String, String, i64)>, DbError> {
    let select = "select kind, status, count(*) as number from saga where status in ('running', 'undoing', 'stuck')
                  group by kind, status order by kind, status";
    tx.query(select, params![])?.iter().map(|row| Ok((row.get("kind")?, row.get("status")?, row.get("number")?))).collect()
}
