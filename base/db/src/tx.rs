//! What a closure sees of the transaction that it runs in.

use std::rc::Rc;

use crate::error::DbError;
use crate::postgres::Sent;
use crate::row::Row;
use crate::rows::Expanded;
use crate::statement::{Bound, Statement, sent_rows};
use crate::value::Value;
use crate::{postgres, rows, sqlite};

/// Which engine runs the statements; only `base/db` itself may care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// The transaction of one closure. Statements are `&'static str`, so no text from outside ever becomes SQL.
pub struct Tx<'c> {
    pub(crate) inner: Inner<'c>,
    depth: u32,
}

pub(crate) enum Inner<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c mut postgres::Session),
}

impl<'c> Tx<'c> {
    pub(crate) const fn new(inner: Inner<'c>) -> Self {
        Self { inner, depth: 0 }
    }

    #[must_use]
    pub const fn engine(&self) -> Engine {
        match self.inner {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement and tells how many rows it changed.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, DbError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Inner::Postgres(session) => Ok(session.execute(&[Sent::values(sql, params)])?.into_iter().sum()),
        }
    }

    /// All rows of the answer, in order.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => sqlite::query(connection, sql, params),
            Inner::Postgres(session) => Ok(session.query(&[Sent::values(sql, params)])?.pop().unwrap_or_default()),
        }
    }

    /// Runs a statement that names rows (see [`crate::rows`]) for all of them, and tells how many rows it changed.
    ///
    /// # Errors
    /// When the statement fails, or a row is not of its columns.
    pub fn execute_rows(&mut self, sql: &'static str, rows: &[Vec<Value>]) -> Result<u64, DbError> {
        if rows.is_empty() {
            return Ok(0);
        }
        match &mut self.inner {
            Inner::Sqlite(connection) => sqlite::execute_rows(connection, &in_turn(sql, rows)?.sql, rows),
            Inner::Postgres(session) => Ok(session.execute(&[sent_rows(sql, rows)?])?.into_iter().sum()),
        }
    }

    /// All rows that a statement which names rows answers; on PostgreSQL in no order, so ask for `r.n`.
    ///
    /// # Errors
    /// When the statement fails, or a row is not of its columns.
    pub fn query_rows(&mut self, sql: &'static str, rows: &[Vec<Value>]) -> Result<Vec<Row>, DbError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match &mut self.inner {
            Inner::Sqlite(connection) => sqlite::query_rows(connection, &in_turn(sql, rows)?.sql, rows),
            Inner::Postgres(session) => Ok(session.query(&[sent_rows(sql, rows)?])?.pop().unwrap_or_default()),
        }
    }

    /// From here to the end of the write or read, tables are joined by looking up each row by its key: for many rows of a batch that meet a
    /// large table. Otherwise PostgreSQL may keep a plan that reads the whole table, made while it was small; and it keeps one plan for each
    /// text, so whoever shares a text with a batch asks for this too.
    pub fn by_keys(&mut self) {
        if let Inner::Postgres(session) = &mut self.inner {
            session.control(postgres::BY_KEYS);
        }
    }

    /// Runs statements that do not need each other's answers, in their order and in one round trip; how many rows each changed.
    ///
    /// # Errors
    /// The first that fails; those after it did not run.
    pub fn execute_all(&mut self, all: &[Statement]) -> Result<Vec<u64>, DbError> {
        if matches!(self.inner, Inner::Sqlite(_)) {
            return all
                .iter()
                .map(|one| match &one.bound {
                    Bound::Once(params) => self.execute(one.sql, params),
                    Bound::Rows(rows) => self.execute_rows(one.sql, rows),
                })
                .collect();
        }
        self.each(all, postgres::Session::execute)
    }

    /// The same for statements that answer rows.
    ///
    /// # Errors
    /// The first that fails; those after it did not run.
    pub fn query_all(&mut self, all: &[Statement]) -> Result<Vec<Vec<Row>>, DbError> {
        if matches!(self.inner, Inner::Sqlite(_)) {
            return all
                .iter()
                .map(|one| match &one.bound {
                    Bound::Once(params) => self.query(one.sql, params),
                    Bound::Rows(rows) => self.query_rows(one.sql, rows),
                })
                .collect();
        }
        self.each(all, postgres::Session::query)
    }

    /// Those that have something to do, together; the others answer nothing.
    fn each<T: Default>(
        &mut self,
        all: &[Statement],
        run: impl FnOnce(&mut postgres::Session, &[Sent<'_>]) -> Result<Vec<T>, DbError>,
    ) -> Result<Vec<T>, DbError> {
        let Inner::Postgres(session) = &mut self.inner else { return Ok(Vec::new()) };
        let sent: Vec<Sent<'_>> = all.iter().filter(|one| !one.is_empty()).map(Statement::sent).collect::<Result<_, _>>()?;
        let mut answers = if sent.is_empty() { Vec::new() } else { run(session, &sent)? }.into_iter();
        Ok(all.iter().map(|one| if one.is_empty() { T::default() } else { answers.next().unwrap_or_default() }).collect())
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn query_opt(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>, DbError> {
        Ok(self.query(sql, params)?.into_iter().next())
    }

    /// The one row that must be there.
    ///
    /// # Errors
    /// When the statement fails or there is no row ([`DbError::NoRow`]).
    pub fn query_one(&mut self, sql: &'static str, params: &[Value]) -> Result<Row, DbError> {
        self.query_opt(sql, params)?.ok_or(DbError::NoRow)
    }

    /// Runs a part that is undone alone when it fails, so that the rest of the write can still record the refusal.
    ///
    /// # Errors
    /// What the part answers, or a failure to set or leave the savepoint.
    pub fn savepoint<T, E: From<DbError>>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.depth += 1;
        let name = format!("part_{}", self.depth);
        let outcome = self.control(&format!("savepoint {name}")).map_err(E::from).and_then(|()| {
            let outcome = part(self);
            let end = match &outcome {
                Ok(_) => format!("release savepoint {name}"),
                Err(_) => format!("rollback to savepoint {name}"),
            };
            self.control(&end)?;
            outcome
        });
        self.depth -= 1;
        outcome
    }

    /// Marks a savepoint or leaves it. Nothing waits for that: on PostgreSQL it goes with the next statement.
    fn control(&mut self, sql: &str) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => sqlite::control(connection, sql),
            Inner::Postgres(session) => {
                session.control(sql);
                Ok(())
            }
        }
    }

    /// Hands every chunk of a `COPY … TO STDOUT` to `take`. PostgreSQL's alone.
    pub(crate) fn copy_out(&mut self, sql: &str, take: impl FnMut(&[u8]) -> Result<(), DbError>) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Sqlite(_) => Err(DbError::Other("SQLite has no COPY".to_owned())),
            Inner::Postgres(session) => session.copy_out(sql, take),
        }
    }

    /// Sends what `give` has to a `COPY … FROM STDIN`, until it says that there is no more; the number of rows. PostgreSQL's alone.
    pub(crate) fn copy_in(&mut self, sql: &str, give: impl FnMut() -> Result<(Vec<u8>, bool), DbError>) -> Result<u64, DbError> {
        match &mut self.inner {
            Inner::Sqlite(_) => Err(DbError::Other("SQLite has no COPY".to_owned())),
            Inner::Postgres(session) => session.copy_in(sql, give),
        }
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Inner::Postgres(session) => session.batch(sql),
        }
    }
}

/// The text that SQLite runs for each of the rows, which it fits.
fn in_turn(sql: &'static str, rows: &[Vec<Value>]) -> Result<Rc<Expanded>, DbError> {
    let expanded = rows::expanded(sql, Engine::Sqlite)?;
    rows::check(&expanded.kinds, rows)?;
    Ok(expanded)
}
