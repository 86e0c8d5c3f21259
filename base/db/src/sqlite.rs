//! The SQLite engine: one writer thread that groups commits, a few reader threads.
//!
//! INVARIANT (released-after-commit): a write's result leaves this file only after the commit that holds it is durable
//! (WAL, `synchronous=FULL`). When a group's commit fails, each of its writes runs again alone, so that one bad neighbour
//! or a full disk costs the others nothing but time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tracing::Span;

use crate::error::DbError;
use crate::observe::Commits;
use crate::row::Row;
use crate::tx::{Inner, Tx};
use crate::value::Value;

/// Most writes that share one commit.
const GROUP: usize = 256;
/// Threads that read.
const READERS: usize = 3;
/// Statements kept prepared on each connection.
const STATEMENTS: usize = 256;
/// Pages that the writer keeps: those that every write meets must not go and come back.
const CACHE_KIB: i64 = 32 * 1024;
/// Pages in the write-ahead log before they are put in their places: a page that every write touches goes there once for all of them.
const CHECKPOINT_PAGES: i64 = 8 * 1024;
const BUSY: Duration = Duration::from_secs(5);
/// A caller who asks again as soon as it was answered is back within this time, and waking the writer for it costs a good part of that.
const SOON: Duration = Duration::from_micros(100);

#[derive(Clone)]
pub struct Sqlite {
    writes: Sender<Box<dyn Write>>,
    reads: Sender<Read>,
    pub commits: Commits,
}

/// One read that waits for a reader.
type Read = Box<dyn FnOnce(&Connection) + Send>;

/// One write that waits for its turn, with the type of its result hidden.
trait Write: Send {
    /// Runs the closure in a savepoint and keeps the result. Tells whether it succeeded.
    fn run(&mut self, connection: &Connection);
    /// Releases the result.
    fn release(self: Box<Self>);
    /// Answers with a failure instead of the result.
    fn fail(self: Box<Self>, error: DbError);
}

struct Job<T, E, F> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    /// The request that asked, for what the closure logs.
    span: Span,
}

impl<T, E, F> Write for Job<T, E, F>
where
    T: Send,
    E: From<DbError> + Send,
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, connection: &Connection) {
        let mut tx = Tx::new(Inner::Sqlite(connection));
        let work = &self.work;
        let _in_request = self.span.enter();
        let outcome = catch_unwind(AssertUnwindSafe(|| tx.savepoint(work)));
        self.outcome = Some(outcome.unwrap_or_else(|_| {
            let undo = connection.execute_batch("rollback to savepoint part_1; release savepoint part_1");
            Err(E::from(DbError::Other(format!("a write stopped half-way and was undone ({})", undo.is_ok()))))
        }));
    }

    fn release(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // The caller may have gone away; the write stands all the same.
            let _ = self.reply.send(outcome);
        }
    }

    fn fail(self: Box<Self>, error: DbError) {
        let _ = self.reply.send(Err(E::from(error)));
    }
}

impl Sqlite {
    pub fn open(path: &Path) -> Result<Self, DbError> {
        create_private(path)?;
        let writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Each write runs in a savepoint, and what a savepoint could undo goes to a temporary file unless it is kept in memory:
        // sixteen extra writes for one hold.
        writer
            .execute_batch("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma temp_store = memory;")?;
        writer.pragma_update(None, "cache_size", -CACHE_KIB)?;
        writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        let (writes, waiting) = unbounded::<Box<dyn Write>>();
        let commits = Commits::default();
        let told = commits.clone();
        spawn("db-writer", move || write_loop(&writer, &waiting, &told))?;
        let (reads, waiting) = unbounded::<Read>();
        for _ in 0..READERS {
            let (connection, waiting) = (connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?, waiting.clone());
            connection.execute_batch("pragma query_only = on")?;
            spawn("db-reader", move || waiting.iter().for_each(|read| read(&connection)))?;
        }
        Ok(Self { writes, reads, commits })
    }

    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Box::new(Job { work, outcome: None, reply, span: Span::current() })).map_err(|_| E::from(stopped()))?;
        answer.await.unwrap_or_else(|_| Err(E::from(stopped())))
    }

    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let span = Span::current();
        let read = Box::new(move |connection: &Connection| {
            let _in_request = span.enter();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                connection.execute_batch("begin").map_err(|e| E::from(DbError::from(e)))?;
                let outcome = work(&mut Tx::new(Inner::Sqlite(connection)));
                connection.execute_batch("rollback").map_err(|e| E::from(DbError::from(e)))?;
                outcome
            }));
            let outcome = outcome.unwrap_or_else(|_| {
                let _ = connection.execute_batch("rollback");
                Err(E::from(DbError::Other("a read stopped half-way".to_owned())))
            });
            let _ = reply.send(outcome);
        });
        self.reads.send(read).map_err(|_| E::from(stopped()))?;
        answer.await.unwrap_or_else(|_| Err(E::from(stopped())))
    }
}

fn write_loop(connection: &Connection, waiting: &Receiver<Box<dyn Write>>, commits: &Commits) {
    let mut soon = false;
    while let Some(first) = next(waiting, &mut soon) {
        let mut group = vec![first];
        match commit_group(connection, &mut group, waiting, commits) {
            Ok(()) => group.into_iter().for_each(|write| write.release()),
            Err(error) if group.len() == 1 => group.into_iter().for_each(|write| write.fail(error.clone())),
            Err(_) => group.into_iter().for_each(|write| commit_alone(connection, write, commits)),
        }
    }
}

/// The next write. While writes come [soon](SOON) after the one before, the writer stays awake for them.
fn next(waiting: &Receiver<Box<dyn Write>>, soon: &mut bool) -> Option<Box<dyn Write>> {
    let since = Instant::now();
    while *soon && since.elapsed() < SOON {
        match waiting.try_recv() {
            Ok(write) => return Some(write),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    let write = waiting.recv().ok();
    *soon = since.elapsed() < SOON;
    write
}

fn commit_group(
    connection: &Connection,
    group: &mut Vec<Box<dyn Write>>,
    waiting: &Receiver<Box<dyn Write>>,
    commits: &Commits,
) -> Result<(), DbError> {
    control(connection, "begin immediate")?;
    let changes = connection.total_changes();
    let mut next = 0;
    loop {
        while next < group.len() {
            group[next].run(connection);
            next += 1;
            if connection.is_autocommit() {
                // SQLite gave up the whole transaction (a full disk, an I/O error): the earlier writes are gone too.
                return Err(DbError::Full);
            }
        }
        match waiting.try_recv() {
            Ok(more) if group.len() < GROUP => group.push(more),
            Ok(more) => {
                group.push(more);
                group[next].run(connection);
                break;
            }
            Err(_) => break,
        }
    }
    if connection.is_autocommit() {
        return Err(DbError::Full);
    }
    let began = Instant::now();
    let committed = control(connection, "commit");
    // who looks for work and finds none has written nothing that anybody can read
    if connection.total_changes() != changes {
        commits.tried();
    }
    committed.inspect_err(|_| drop(connection.execute_batch("rollback")))?;
    commits.took(began.elapsed());
    Ok(())
}

fn commit_alone(connection: &Connection, mut write: Box<dyn Write>, commits: &Commits) {
    let outcome = connection.execute_batch("begin immediate").map_err(DbError::from).and_then(|()| {
        write.run(connection);
        if connection.is_autocommit() {
            return Err(DbError::Full);
        }
        let committed = connection.execute_batch("commit");
        commits.tried();
        committed.map_err(|e| {
            let _ = connection.execute_batch("rollback");
            DbError::from(e)
        })
    });
    match outcome {
        Ok(()) => write.release(),
        Err(error) => write.fail(error),
    }
}

/// Runs a statement that begins, ends or marks a part of a transaction, which every write does, so it is kept prepared.
pub fn control(connection: &Connection, sql: &str) -> Result<(), DbError> {
    connection.prepare_cached(sql)?.raw_execute()?;
    Ok(())
}

pub fn execute(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<u64, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let changed = statement.raw_execute()?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

pub fn query(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let mut out = Vec::new();
    read_all(&mut statement.raw_query(), &mut out)?;
    Ok(out)
}

fn read_all(rows: &mut rusqlite::Rows<'_>, out: &mut Vec<Row>) -> Result<(), DbError> {
    // Named with the first row: a look that finds nothing is the commonest on the hot paths and needs no names.
    let mut columns: Option<Arc<[String]>> = out.first().map(|row: &Row| row.columns.clone());
    while let Some(row) = rows.next()? {
        let columns = columns.get_or_insert_with(|| row.as_ref().column_names().into_iter().map(str::to_owned).collect());
        let values = (0..columns.len()).map(|i| read_value(row.get_ref(i)?)).collect::<Result<_, DbError>>()?;
        out.push(Row { columns: columns.clone(), values });
    }
    Ok(())
}

/// Runs the statement once for each row, in order; each parameter is looked up by its name once.
pub fn execute_rows(connection: &Connection, sql: &str, rows: &[Vec<Value>]) -> Result<u64, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let places = places(&statement)?;
    let mut changed = 0;
    for (n, row) in rows.iter().enumerate() {
        bind_row(&mut statement, &places, n, row)?;
        changed += u64::try_from(statement.raw_execute()?).unwrap_or(u64::MAX);
    }
    Ok(changed)
}

pub fn query_rows(connection: &Connection, sql: &str, rows: &[Vec<Value>]) -> Result<Vec<Row>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let (places, mut out) = (places(&statement)?, Vec::new());
    for (n, row) in rows.iter().enumerate() {
        bind_row(&mut statement, &places, n, row)?;
        read_all(&mut statement.raw_query(), &mut out)?;
    }
    Ok(out)
}

/// Which value each parameter takes, counted from nought; the one after the last is the row's own place.
fn places(statement: &rusqlite::Statement<'_>) -> Result<Vec<usize>, DbError> {
    (1..=statement.parameter_count())
        .map(|index| statement.parameter_name(index).and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)))
        .collect::<Option<_>>()
        .ok_or_else(|| DbError::Other("a statement for rows has a parameter of its own".to_owned()))
}

fn bind_row(statement: &mut rusqlite::Statement<'_>, places: &[usize], n: usize, row: &[Value]) -> Result<(), DbError> {
    for (index, place) in (1..).zip(places) {
        match row.get(*place) {
            Some(value) => statement.raw_bind_parameter(index, value)?,
            None => statement.raw_bind_parameter(index, i64::try_from(n).unwrap_or(i64::MAX))?,
        }
    }
    Ok(())
}

/// SQLite takes `$2` for a *name* and numbers names in the order they appear, so each is bound by what it says.
fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Value]) -> Result<(), DbError> {
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok());
        let value = number.and_then(|n| params.get(n.checked_sub(1)?));
        let value = value.ok_or_else(|| DbError::Other("a statement names a parameter that was not given".to_owned()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

fn read_value(value: rusqlite::types::ValueRef<'_>) -> Result<Value, DbError> {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(i) => Ok(Value::Int(i)),
        ValueRef::Text(t) => {
            std::str::from_utf8(t).map(|t| Value::Text(t.to_owned())).map_err(|_| DbError::Corrupt("text is not UTF-8".to_owned()))
        }
        ValueRef::Blob(b) => Ok(Value::Blob(b.to_vec())),
        ValueRef::Real(_) => Err(DbError::Corrupt("a column holds a floating point number".to_owned())),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DbError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The file must never be readable by others, not even between its creation and a later change of its mode.
fn create_private(path: &Path) -> Result<(), DbError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    file.map(drop).map_err(|e| DbError::Unavailable(format!("`{}` cannot be opened: {e}", path.display())))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), DbError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(|e| DbError::Unavailable(e.to_string()))
}

fn stopped() -> DbError {
    DbError::Unavailable("its thread has stopped".to_owned())
}
