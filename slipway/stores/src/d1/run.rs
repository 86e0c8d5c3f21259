//! Runs a customer's statements: all of a call in one transaction, under a deadline, with answers of bounded size.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use purser_values::id::CloudAccountId;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Batch, Connection, ErrorCode, Statement, StatementStatus};
use serde_json::{Value, json};

use super::call::Call;
use super::engine::Held;
use super::fulltext::FullText;
use super::history::Moment;
use super::query::{Answer, Meta, Query};
use super::watch::Watch;
use super::{database, guard};
use crate::error::StoreError;
use crate::limits;
use crate::room;
use crate::stores::Stores;

/// Who answers, as it is told.
const SERVED_BY: &str = "slipway";
/// Steps of SQLite's machine between two looks at the clock: few, since each may be a function that reads megabytes.
const STEPS: i32 = 100;

const STOPPED: &str = "the query took too long or wrote too much and was stopped: SQLITE_INTERRUPT";

/// How much a call may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub sql_bytes: usize,
    pub statements: usize,
    pub time: Duration,
    /// Whether rows are told; otherwise they are counted.
    pub rows: bool,
}

/// What a call did.
pub struct Done {
    pub answers: Vec<Answer>,
    pub bookmark: String,
    pub(super) bytes: u64,
    pub(super) past: u64,
    pub(super) tables: i64,
}

impl Bounds {
    /// Those of a query.
    pub const QUERY: Self = Self {
        sql_bytes: limits::D1_SQL_BYTES,
        statements: limits::D1_STATEMENTS,
        time: Duration::from_millis(limits::D1_TIME_MS),
        rows: true,
    };
    /// Those of a file.
    pub const IMPORT: Self = Self {
        sql_bytes: limits::D1_IMPORT_BYTES,
        statements: usize::MAX,
        time: Duration::from_millis(limits::D1_IMPORT_TIME_MS),
        rows: false,
    };
}

impl Stores {
    /// Runs the queries in their order, as one transaction: all of them or none.
    ///
    /// # Errors
    /// When the account has no such database, or a statement fails or may not be said.
    pub async fn d1_run(&self, account: &CloudAccountId, id: &str, queries: Vec<Query>, bounds: Bounds) -> Result<Done, StoreError> {
        if queries.iter().map(|query| query.sql.len()).any(|bytes| bytes > bounds.sql_bytes) {
            return Err(StoreError::Sql(format!("the SQL is longer than {} bytes", bounds.sql_bytes)));
        }
        self.d1_with(account, id, move |held, call| {
            let answers = transaction(held, &queries, bounds, call, |_, _, _| Ok(()))?;
            let moment = held.history.committed()?;
            done(held, answers, moment)
        })
        .await
    }

    /// Does something with a database of the account and brings its size to the books.
    pub(super) async fn d1_with(
        &self,
        account: &CloudAccountId,
        id: &str,
        work: impl FnOnce(&mut Held, &mut Call) -> Result<Done, StoreError> + Send + 'static,
    ) -> Result<Done, StoreError> {
        // what is left is read when the turn has come: whoever was first may have taken it
        let place = self.inner().d1.enter(account, id).await?;
        let (of, at, room) = (account.clone(), id.to_owned(), self.inner().room.clone());
        // also a reading call is refused when its caller was stopped
        let (known, left) = self.allowed(move |tx| Ok((database::find(tx, &of, &at)?, room::left(tx, &room, &of)?))).await?;
        let (mut call, _asking) = Call::begin(self, account, &known, left);
        let run = place.run(move |held| {
            let done = work(held, &mut call);
            call.settle(done.as_ref().ok(), held)?;
            done
        });
        run.await
    }

    /// Reads under the caller's condition.
    pub(super) async fn allowed<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut purser_db::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let condition = self.condition();
        self.look(move |tx| {
            if let Some(condition) = &condition {
                condition(tx)?;
            }
            read(tx)
        })
        .await
    }
}

/// What a call tells of the database as it is now.
pub(super) fn done(held: &Held, answers: Vec<Answer>, moment: Moment) -> Result<Done, StoreError> {
    let connection = &held.history.connection;
    let tables = "select count(*) from sqlite_schema where type = 'table' and name not like 'sqlite!_%' escape '!'";
    let tables = connection.query_row(tables, [], |row| row.get(0)).map_err(StoreError::internal)?;
    Ok(Done { answers, bookmark: held.history.bookmark(moment), bytes: size(connection)?, past: held.history.past_bytes()?, tables })
}

/// `seal` is what else belongs to it: run when the statements have been, and what it writes is committed with what they did.
pub(super) fn transaction(
    held: &mut Held,
    queries: &[Query],
    bounds: Bounds,
    call: &mut Call,
    seal: impl FnOnce(&Connection, &[Answer], &mut Call) -> Result<(), StoreError>,
) -> Result<Vec<Answer>, StoreError> {
    held.history.begin();
    let connection = &held.history.connection;
    let pages = (call.most_bytes / 4_096).max(16);
    connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(())).map_err(StoreError::internal)?;
    connection.execute_batch("begin immediate").map_err(StoreError::internal)?;
    let mut watch = Watch::begin(bounds.time, call.most_bytes.saturating_mul(limits::D1_WRITTEN_TIMES).max(limits::D1_WRITTEN_LEAST));
    let (began, mut stop) = (watch, call.stop.clone());
    let result = connection
        .progress_handler(STEPS, Some(move || watch.over() || stop.over()))
        .and_then(|()| guard::arm(connection, bounds.sql_bytes))
        .map_err(StoreError::internal)
        .and_then(|fulltext| {
            let answers = all(connection, queries, bounds, began, &fulltext)?;
            fulltext.check(connection).map(|()| answers)
        });
    guard::disarm(connection).map_err(StoreError::internal)?;
    connection.progress_handler(0, None::<fn() -> bool>).map_err(StoreError::internal)?;
    let result = result.and_then(|answers| call.admit(answers.iter().any(|answer| answer.meta.changed_db)).map(|()| answers));
    let result = result.and_then(|answers| seal(connection, &answers, call).map(|()| answers));
    // before the commit: two databases at once, or a crash between, cannot take the same room
    let result = result.and_then(|answers| call.reserve(size(connection)?).map(|()| answers));
    // what a commit itself refuses, such as a deferred foreign key, is the customer's as well
    let result = result.and_then(|answers| connection.execute_batch("commit").map(|()| answers).map_err(|e| refused(&e)));
    if result.is_err() && !connection.is_autocommit() {
        connection.execute_batch("rollback").map_err(StoreError::internal)?;
    }
    result
}

fn all(connection: &Connection, queries: &[Query], bounds: Bounds, watch: Watch, fulltext: &FullText) -> Result<Vec<Answer>, StoreError> {
    let (mut answers, mut room) = (Vec::new(), limits::D1_RESULT_BYTES);
    for query in queries {
        let mut given: VecDeque<Sql> = query.params.iter().flatten().map(parameter).collect::<Result<_, _>>()?;
        let mut batch = Batch::new(connection, &query.sql);
        let before = answers.len();
        while let Some(mut statement) = batch.next().map_err(|e| refused(&e))? {
            if answers.len() >= bounds.statements {
                return Err(StoreError::Sql(format!("one call has at most {} statements", bounds.statements)));
            }
            // a statement without a loop is never interrupted
            if watch.late() {
                return Err(StoreError::Sql(STOPPED.to_owned()));
            }
            fulltext.bound(connection).map_err(StoreError::internal)?;
            let answer = one(connection, &mut statement, &mut given, bounds, &mut room)?;
            if bounds.rows || answers.is_empty() {
                answers.push(answer);
            } else if let Some(total) = answers.last_mut() {
                add(total, &answer);
            }
        }
        if answers.len() == before && bounds.rows {
            return Err(StoreError::Sql("No SQL statements detected.".to_owned()));
        }
        if !given.is_empty() {
            return Err(StoreError::Sql(format!("{} values were given that no statement has a parameter for", given.len())));
        }
    }
    Ok(answers)
}

/// One statement counts as one more of an import's.
fn add(total: &mut Answer, one: &Answer) {
    total.rows.push(Vec::new());
    let (sum, more) = (&mut total.meta, &one.meta);
    sum.duration += more.duration;
    sum.changes += more.changes;
    sum.rows_read += more.rows_read;
    sum.rows_written += more.rows_written;
    sum.changed_db |= more.changed_db;
    (sum.last_row_id, sum.size_after) = (more.last_row_id, more.size_after);
}

fn one(
    connection: &Connection,
    statement: &mut Statement<'_>,
    given: &mut VecDeque<Sql>,
    bounds: Bounds,
    room: &mut usize,
) -> Result<Answer, StoreError> {
    let wanted = statement.parameter_count();
    if given.len() < wanted {
        return Err(StoreError::Sql(format!("Wrong number of parameter bindings for SQL query: {wanted} are needed")));
    }
    for (index, value) in given.drain(..wanted).enumerate() {
        statement.raw_bind_parameter(index + 1, value).map_err(|e| refused(&e))?;
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let (count, begun, before, writes) = (columns.len(), Instant::now(), connection.total_changes(), !statement.readonly());
    let mut told = Vec::new();
    let mut stepped = 0_u64;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|e| refused(&e))? {
        stepped += 1;
        if bounds.rows {
            let values = (0..count).map(|i| row.get_ref(i).map(value)).collect::<Result<Vec<_>, _>>().map_err(|e| refused(&e))?;
            let taken: usize = values.iter().map(weight).sum();
            *room = room
                .checked_sub(taken)
                .ok_or_else(|| StoreError::Sql(format!("the answer is larger than {} bytes", limits::D1_RESULT_BYTES)))?;
            told.push(values);
        }
    }
    drop(rows);
    let scanned = u64::try_from(statement.get_status(StatementStatus::FullscanStep)).unwrap_or(0);
    let changes = connection.total_changes().saturating_sub(before);
    let meta = Meta {
        served_by: SERVED_BY,
        served_by_primary: true,
        duration: begun.elapsed().as_secs_f64() * 1_000.0,
        changes,
        last_row_id: connection.last_insert_rowid(),
        changed_db: changes > 0 || writes,
        size_after: size(connection)?,
        rows_read: scanned.max(stepped),
        rows_written: changes,
    };
    Ok(Answer { columns, rows: told, meta })
}

pub(super) fn size(connection: &Connection) -> Result<u64, StoreError> {
    // our own question, which strangers may not ask
    let page = |what| connection.pragma_query_value(None, what, |row| row.get::<_, i64>(0));
    match (page("page_count"), page("page_size")) {
        (Ok(count), Ok(size)) => Ok(u64::try_from(count.saturating_mul(size)).unwrap_or(0)),
        (Err(e), _) | (_, Err(e)) => Err(StoreError::internal(e)),
    }
}

fn parameter(value: &Value) -> Result<Sql, StoreError> {
    Ok(match value {
        Value::Null => Sql::Null,
        Value::Bool(yes) => Sql::Integer(i64::from(*yes)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Sql::Integer(whole),
            (None, Some(real)) => Sql::Real(real),
            (None, None) => return Err(StoreError::Sql("a number of the parameters is out of range".to_owned())),
        },
        Value::String(text) => Sql::Text(text.clone()),
        Value::Array(bytes) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes = bytes.iter().map(byte).collect::<Option<Vec<u8>>>();
            Sql::Blob(bytes.ok_or_else(|| StoreError::Sql("a list among the parameters is not one of bytes".to_owned()))?)
        }
        Value::Object(_) => return Err(StoreError::Sql("an object cannot be a parameter".to_owned())),
    })
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => json!(whole),
        ValueRef::Real(real) => json!(real),
        ValueRef::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => json!(bytes),
    }
}

/// What a value takes of the answer's room.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 8,
        // a byte is a number, a comma, and a value in memory
        Value::Array(bytes) => bytes.len() * 8 + 8,
        _ => 16,
    }
}

/// SQLite's own words, for the author of the SQL.
fn refused(e: &rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(code, said) = e else { return StoreError::Sql(format!("{e}: SQLITE_ERROR")) };
    let said = said.clone().unwrap_or_else(|| code.to_string());
    match code.code {
        ErrorCode::OperationInterrupted => StoreError::Sql(STOPPED.to_owned()),
        ErrorCode::AuthorizationForStatementDenied => StoreError::Sql(format!("{said}: SQLITE_AUTH")),
        ErrorCode::DiskFull => StoreError::Sql("the database or the account is full: SQLITE_FULL".to_owned()),
        ErrorCode::ConstraintViolation => StoreError::Sql(format!("{said}: SQLITE_CONSTRAINT")),
        ErrorCode::TooBig => StoreError::Sql(format!("{said}: SQLITE_TOOBIG")),
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::internal(said)
        }
        _ => StoreError::Sql(format!("{said}: SQLITE_ERROR")),
    }
}
