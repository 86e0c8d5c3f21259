//! The PostgreSQL engine: serialisable transactions with bounded retry.
//!
//! Closures are synchronous, so each runs on a blocking thread and waits there for its statements. A serialisation failure
//! is seen at the statement or at the commit, whatever the closure makes of it, and the closure runs again.

mod address;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use futures_util::future::{join, join_all};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::runtime::Handle;
use tokio_postgres::Statement;
use tokio_postgres::types::{ToSql, Type};

pub use address::{Address, AddressError};

use crate::error::{DbError, is_retry, source_chain};
use crate::observe::Commits;
use crate::row::Row;
use crate::rows::Array;
use crate::tx::{Inner, Tx};
use crate::value::Value;

/// Connections in the pool.
const CONNECTIONS: usize = 16;
/// The oldest PostgreSQL that is taken.
pub const OLDEST: i64 = 15;
/// A plan that reads a whole table because it was small when the plan was made is kept while the table grows; and at this level such a
/// read conflicts with every other write to that table. What it is told to avoid, the planner counts as very dear, and what is very dear it
/// compiles before it runs it, which takes a hundred times as long as our statements.
const BEGIN: &str = "begin isolation level serializable; set local jit = off; set local enable_seqscan = off";
const BEGIN_READ: &str = "begin isolation level repeatable read read only; set local jit = off";
/// See [`Tx::by_keys`].
pub const BY_KEYS: &str = "set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off";
/// Times that a write runs before contention is reported.
const ATTEMPTS: u32 = 30;
/// Times that a write runs again because a key was there already: run anew, the closure sees the rival's row and can answer.
const RIVAL_ATTEMPTS: u32 = 3;

#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    pub commits: Commits,
}

/// One connection inside one transaction.
pub struct Session {
    client: Object,
    handle: Handle,
    /// Statements that nobody waits for, such as the beginning of the transaction.
    before: String,
    /// Set when the server asked for the transaction to be run again.
    retry: bool,
    /// Set when a key was there already: a rival may have committed it after this snapshot was taken.
    rival: bool,
}

/// A statement with what is bound to it.
pub struct Sent<'a> {
    sql: Cow<'a, str>,
    given: Given<'a>,
}

enum Given<'a> {
    Values(&'a [Value]),
    Arrays(Vec<Array>),
}

impl<'a> Sent<'a> {
    pub const fn values(sql: &'a str, values: &'a [Value]) -> Self {
        Self { sql: Cow::Borrowed(sql), given: Given::Values(values) }
    }

    pub const fn arrays(sql: String, arrays: Vec<Array>) -> Self {
        Self { sql: Cow::Owned(sql), given: Given::Arrays(arrays) }
    }

    fn bound(&self) -> Vec<&(dyn ToSql + Sync)> {
        match &self.given {
            Given::Values(values) => values.iter().map(|value| value as &(dyn ToSql + Sync)).collect(),
            Given::Arrays(arrays) => arrays
                .iter()
                .map(|array| match array {
                    Array::Text(all) => all as &(dyn ToSql + Sync),
                    Array::Int(all) => all,
                })
                .collect(),
        }
    }
}

impl Session {
    /// How many rows each of the statements changed.
    pub fn execute(&mut self, all: &[Sent<'_>]) -> Result<Vec<u64>, DbError> {
        self.together(all, async |client: &Object, statement, bound| client.execute(statement, bound).await)
    }

    /// The rows that each of the statements answers.
    pub fn query(&mut self, all: &[Sent<'_>]) -> Result<Vec<Vec<Row>>, DbError> {
        let answers = self.together(all, async |client: &Object, statement, bound| client.query(statement, bound).await)?;
        answers.iter().map(|rows| read_rows(rows)).collect()
    }

    /// Sends what nobody waited for and all of these before it waits for the first answer: one round trip. The server runs them in
    /// this order, and after one that failed none.
    fn together<T>(
        &mut self,
        all: &[Sent<'_>],
        one: impl AsyncFn(&Object, &Statement, &[&(dyn ToSql + Sync)]) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, DbError> {
        let (before, client) = (std::mem::take(&mut self.before), &self.client);
        let outcome = self.handle.block_on(async {
            let control = async { if before.is_empty() { Ok(()) } else { client.batch_execute(&before).await } };
            let work = async {
                let mut prepared = Vec::with_capacity(all.len());
                for sent in all {
                    prepared.push((client.prepare_cached(&sent.sql).await?, sent.bound()));
                }
                let answers = join_all(prepared.iter().map(|(statement, bound)| one(client, statement, bound))).await;
                answers.into_iter().collect::<Result<Vec<T>, _>>()
            };
            // in this order: what comes first is polled first, and is sent when it is polled
            let (control, answers) = join(control, work).await;
            control.and(answers)
        });
        self.note(outcome)
    }

    /// A statement without an answer that matters: it goes with the next that has one.
    pub fn control(&mut self, sql: &str) {
        self.before.push_str(sql);
        self.before.push(';');
    }

    pub fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        let all = std::mem::take(&mut self.before) + sql;
        let outcome = self.handle.block_on(self.client.batch_execute(&all));
        self.note(outcome)
    }

    pub fn copy_out(&mut self, sql: &str, mut take: impl FnMut(&[u8]) -> Result<(), DbError>) -> Result<(), DbError> {
        self.send_control()?;
        let outcome = self.handle.block_on(async {
            let mut rows = pin!(self.client.copy_out(sql).await?);
            while let Some(chunk) = rows.next().await {
                if let Err(e) = take(&chunk?) {
                    return Ok(Err(e));
                }
            }
            Ok(Ok(()))
        });
        self.note(outcome)?
    }

    pub fn copy_in(&mut self, sql: &str, mut give: impl FnMut() -> Result<(Vec<u8>, bool), DbError>) -> Result<u64, DbError> {
        self.send_control()?;
        let outcome = self.handle.block_on(async {
            let mut sink = pin!(self.client.copy_in::<_, Bytes>(sql).await?);
            loop {
                // what is given up half-way is not sent: dropping the sink ends the copy, and with it the transaction
                let (rows, last) = match give() {
                    Ok(given) => given,
                    Err(e) => return Ok(Err(e)),
                };
                if !rows.is_empty() {
                    sink.send(rows.into()).await?;
                }
                if last {
                    return sink.as_mut().finish().await.map(Ok);
                }
            }
        });
        self.note(outcome)?
    }

    fn send_control(&mut self) -> Result<(), DbError> {
        if self.before.is_empty() { Ok(()) } else { self.batch("") }
    }

    fn note<T>(&mut self, outcome: Result<T, tokio_postgres::Error>) -> Result<T, DbError> {
        outcome.map_err(|e| {
            self.retry |= e.code().is_some_and(is_retry);
            self.rival |= e.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION);
            DbError::from(e)
        })
    }
}

impl Postgres {
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let Address { config, tls } = url.parse().map_err(|e: AddressError| DbError::Unavailable(e.to_string()))?;
        let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager).max_size(CONNECTIONS).build().map_err(|e| DbError::Unavailable(e.to_string()))?;
        let postgres = Self { pool, commits: Commits::default() };
        let row = postgres.session().await?.client.query_one("select current_setting('server_version_num')::bigint", &[]).await?;
        supported(row.try_get(0)?)?;
        Ok(postgres)
    }

    async fn session(&self) -> Result<Session, DbError> {
        let client = self.pool.get().await.map_err(|e| DbError::Unavailable(source_chain(&e)))?;
        Ok(Session { client, handle: Handle::current(), before: String::new(), retry: false, rival: false })
    }

    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (mut session, commits) = (self.session().await?, self.commits.clone());
        blocking(move || {
            for attempt in 0..ATTEMPTS {
                match attempt_write(&mut session, &work, attempt < RIVAL_ATTEMPTS, &commits) {
                    Attempt::Done(outcome) => return outcome,
                    Attempt::Again => session.handle.block_on(tokio::time::sleep(back_off(attempt))),
                }
            }
            Err(E::from(DbError::Contention))
        })
        .await
    }

    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let mut session = self.session().await?;
        blocking(move || {
            session.control(BEGIN_READ);
            let outcome = caught(|| work(&mut Tx::new(Inner::Postgres(&mut session))));
            session.batch("rollback")?;
            outcome
        })
        .await
    }
}

/// Whether the server is one that this program is tested with; the number is its own, such as `150004`.
fn supported(version: i64) -> Result<(), DbError> {
    let major = version / 10_000;
    if major < OLDEST { Err(DbError::TooOld(major)) } else { Ok(()) }
}

enum Attempt<T, E> {
    Done(Result<T, E>),
    Again,
}

fn attempt_write<T, E, F>(session: &mut Session, work: &F, rivals_left: bool, commits: &Commits) -> Attempt<T, E>
where
    E: From<DbError>,
    F: Fn(&mut Tx<'_>) -> Result<T, E>,
{
    (session.retry, session.rival) = (false, false);
    session.control(BEGIN);
    let outcome = caught(|| work(&mut Tx::new(Inner::Postgres(session))));
    let ended = match &outcome {
        Ok(_) if !session.retry => {
            let began = Instant::now();
            let committed = session.batch("commit");
            commits.tried();
            committed.inspect(|()| commits.took(began.elapsed()))
        }
        _ => session.batch("rollback"),
    };
    let again = session.retry || (session.rival && rivals_left && outcome.is_err());
    match (again, ended) {
        (true, _) => Attempt::Again,
        (false, Err(e)) => Attempt::Done(Err(e.into())),
        (false, Ok(())) => Attempt::Done(outcome),
    }
}

fn caught<T, E: From<DbError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(E::from(DbError::Other("a closure stopped half-way and was undone".to_owned()))))
}

/// Grows to about 50 ms, spread by chance so that rivals do not meet again.
fn back_off(attempt: u32) -> Duration {
    let spread = u16::from_be_bytes(purser_values::Env::system().bytes::<2>()) % 5_000;
    Duration::from_micros(u64::from(attempt.min(10)) * 4_000 + u64::from(spread))
}

async fn blocking<T: Send + 'static, E: From<DbError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.unwrap_or_else(|e| Err(E::from(DbError::Unavailable(e.to_string()))))
}

fn read_rows(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, DbError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns: Arc<[String]> = first.columns().iter().map(|c| c.name().to_owned()).collect();
    rows.iter().map(|row| read_row(row, &columns)).collect()
}

fn read_row(row: &tokio_postgres::Row, columns: &Arc<[String]>) -> Result<Row, DbError> {
    let values = row.columns().iter().enumerate().map(|(i, column)| read_value(row, i, column.type_())).collect::<Result<_, _>>()?;
    Ok(Row { columns: columns.clone(), values })
}

fn read_value(row: &tokio_postgres::Row, i: usize, ty: &Type) -> Result<Value, DbError> {
    let value = match *ty {
        Type::INT8 => row.try_get::<_, Option<i64>>(i)?.map(Value::Int),
        Type::INT4 => row.try_get::<_, Option<i32>>(i)?.map(|v| Value::Int(v.into())),
        Type::BOOL => row.try_get::<_, Option<bool>>(i)?.map(|v| Value::Int(v.into())),
        Type::TEXT | Type::VARCHAR | Type::NAME => row.try_get::<_, Option<String>>(i)?.map(Value::Text),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i)?.map(Value::Blob),
        ref other => return Err(DbError::Corrupt(format!("a column has the type {other}; cast it to bigint, text or bytea"))),
    };
    Ok(value.unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_with_what_to_do() {
        assert!(supported(150_000).is_ok() && supported(170_002).is_ok());
        let refused = supported(149_999).unwrap_err().to_string();
        assert_eq!(refused, "the database is PostgreSQL 14; use PostgreSQL 15 or later");
    }
}
