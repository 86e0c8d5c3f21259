//! Statements on full-text tables work on shorter values than others.
//!
//! Two things in FTS5 compare each word with each, in one step that nothing interrupts: `snippet` all the places where a row matches, and a
//! phrase all the words of the query with all of the row. A function of FTS5 cannot be replaced as those of [`super::functions`] are. So what a
//! row can hold is bounded: each value that a statement on such a table reads or writes, and the number of such a table's columns.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::AuthAction;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Result};

use crate::error::StoreError;
use crate::limits;

/// What the statement that was prepared last has to do with such tables.
#[derive(Clone, Default)]
pub struct FullText {
    tables: Arc<Mutex<HashSet<String>>>,
    touched: Arc<AtomicBool>,
    /// Whether one was made in this call.
    made: Arc<AtomicBool>,
}

impl FullText {
    /// Knows those that there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of(connection: &Connection) -> Result<Self> {
        let this = Self::default();
        let mut tables = connection.prepare(TABLES)?;
        let found: Result<HashSet<String>> = tables.query_map([], |row| row.get::<_, String>(0))?.collect();
        *this.tables.lock().unwrap_or_else(PoisonError::into_inner) = found?;
        Ok(this)
    }

    /// Told of everything that a statement does, while it is prepared.
    pub fn see(&self, action: &AuthAction<'_>) {
        let name = match action {
            AuthAction::CreateVtable { .. } => {
                self.made.store(true, Ordering::Relaxed);
                return;
            }
            AuthAction::Read { table_name, .. }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Insert { table_name }
            | AuthAction::Delete { table_name } => table_name,
            _ => return,
        };
        if self.tables.lock().unwrap_or_else(PoisonError::into_inner).contains(&name.to_ascii_lowercase()) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }

    /// Bounds the values of the statement that was just prepared. Where the call made such a table, nobody has its name yet: then all are bounded.
    ///
    /// # Errors
    /// When the limit is not taken.
    pub fn bound(&self, connection: &Connection) -> Result<()> {
        let touched = self.touched.swap(false, Ordering::Relaxed) || self.made.load(Ordering::Relaxed);
        let most = if touched { limits::D1_FTS_VALUE_BYTES } else { limits::D1_VALUE_BYTES };
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, most).map(drop)
    }

    /// Refuses a table that a call made and that has too many columns.
    ///
    /// # Errors
    /// When there is one, or the database cannot be read.
    pub fn check(&self, connection: &Connection) -> std::result::Result<(), StoreError> {
        if !self.made.load(Ordering::Relaxed) {
            return Ok(());
        }
        let wide = connection.query_row(WIDEST, [], |row| row.get::<_, Option<i64>>(0)).map_err(StoreError::internal)?;
        let most = limits::D1_FTS_COLUMNS;
        if wide.is_some_and(|columns| columns > most) {
            return Err(StoreError::Sql(format!("a full-text table has {most} columns at most: SQLITE_ERROR")));
        }
        Ok(())
    }
}

/// Virtual tables, which here are full-text ones.
const TABLES: &str = "select lower(name) from sqlite_schema where type = 'table' and sql like 'create virtual table%'";
/// Columns that the table's author named: the two that each has besides are hidden.
const WIDEST: &str = "select max((select count(*) from pragma_table_xinfo(s.name) c where c.hidden = 0)) from sqlite_schema s
    where s.type = 'table' and s.sql like 'create virtual table%'";
