//! What one write changes for many requests: statements that go to the store together, each with what it must have changed.

use purser_db::{DbError, Statement, Tx, Value};

/// Statements in the order in which they were added.
#[derive(Debug, Default)]
pub struct Writes {
    statements: Vec<Statement>,
    musts: Vec<Must>,
}

/// What a statement must change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// Its rows are new by their making.
    Nothing,
    /// One row for each: see [`crate::ledger::once`].
    EachOnce,
    /// One row for each, which was read and locked before: anything else is a defect, and must not be written.
    EachFound,
}

impl Writes {
    pub fn add(&mut self, must: Must, sql: &'static str, rows: Vec<Vec<Value>>) {
        if !rows.is_empty() {
            self.statements.push(Statement::rows(sql, rows));
            self.musts.push(must);
        }
    }

    /// Runs them all.
    ///
    /// # Errors
    /// When the store fails, or a statement did not change what it must.
    pub fn run(self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        let changed = tx.execute_all(&self.statements)?;
        for ((changed, statement), must) in changed.into_iter().zip(&self.statements).zip(self.musts) {
            match must {
                Must::EachOnce if changed != statement.len() => return Err(DbError::Contention),
                Must::EachFound if changed != statement.len() => {
                    return Err(DbError::Corrupt("an account is not there, in another currency, or holds less than was read".to_owned()));
                }
                Must::Nothing | Must::EachOnce | Must::EachFound => {}
            }
        }
        Ok(())
    }
}
