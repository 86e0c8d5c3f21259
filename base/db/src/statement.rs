//! Statements that do not wait for each other's answers and go to the store together.
//!
//! On PostgreSQL all of them are one round trip; they run in their order, and the first that fails is what is answered. On SQLite,
//! where a statement costs no trip, they run one after the other.

use crate::error::DbError;
use crate::postgres::Sent;
use crate::rows;
use crate::tx::Engine;
use crate::value::Value;

/// One statement with what is bound to it.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) bound: Bound,
}

#[derive(Clone, Debug)]
pub enum Bound {
    Once(Vec<Value>),
    Rows(Vec<Vec<Value>>),
}

impl Statement {
    /// A statement that runs once.
    #[must_use]
    pub const fn once(sql: &'static str, params: Vec<Value>) -> Self {
        Self { sql, bound: Bound::Once(params) }
    }

    /// A statement that names rows, for all of these; for none it does nothing. See [`crate::Tx::execute_rows`].
    #[must_use]
    pub const fn rows(sql: &'static str, rows: Vec<Vec<Value>>) -> Self {
        Self { sql, bound: Bound::Rows(rows) }
    }

    /// How many rows come with it.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.bound {
            Bound::Once(_) => 1,
            Bound::Rows(rows) => u64::try_from(rows.len()).unwrap_or(u64::MAX),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As PostgreSQL takes it.
    pub(crate) fn sent(&self) -> Result<Sent<'_>, DbError> {
        match &self.bound {
            Bound::Once(params) => Ok(Sent::values(self.sql, params)),
            Bound::Rows(all) => sent_rows(self.sql, all),
        }
    }
}

pub fn sent_rows(sql: &'static str, all: &[Vec<Value>]) -> Result<Sent<'static>, DbError> {
    let expanded = rows::expanded(sql, Engine::Postgres)?;
    rows::check(&expanded.kinds, all)?;
    let arrays = rows::arrays(&expanded.kinds, all);
    Ok(Sent::arrays(expanded.sql.clone(), arrays))
}

#[cfg(test)]
mod tests {
    use super::Statement;
    use crate::testing::each_engine;
    use crate::{DbError, Migrations, params, values};

    const TABLES: &[Migrations] =
        &[Migrations { domain: "together", steps: &["create table pair (name {text} primary key, size {int}){clustered}"] }];

    #[tokio::test]
    async fn statements_that_go_together_run_in_their_order_and_answer_each_at_its_place() {
        each_engine(TABLES, |db| async move {
            let all = db.write(|tx| -> Result<_, DbError> {
                let insert = "insert into pair (name, size) {values:text,int}";
                let changed = tx.execute_all(&[
                    Statement::rows(insert, vec![values!["a", 1], values!["b", 2]]),
                    Statement::rows(insert, Vec::new()),
                    Statement::once("update pair set size = size + $1 where name = $2", values![10, "b"]),
                ])?;
                assert_eq!(changed, [2, 0, 1]);
                let found = tx.query_all(&[
                    Statement::once("select name, size from pair where size > $1 order by name", values![0]),
                    Statement::rows("select p.size from {rows:text} join pair p on p.name = r.c1", Vec::new()),
                    Statement::rows(
                        "select r.n, p.size from {rows:text} join pair p on p.name = r.c1",
                        vec![values!["none"], values!["b"]],
                    ),
                ])?;
                assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 1]);
                Ok((found[0][1].get::<i64>("size")?, found[2][0].get::<i64>("n")?))
            });
            assert_eq!(all.await.unwrap(), (12, 1));
        })
        .await;
    }

    #[tokio::test]
    async fn the_first_that_fails_is_answered_and_a_part_of_a_write_can_go_on_without_it() {
        each_engine(TABLES, |db| async move {
            let write = db.write(|tx| -> Result<_, DbError> {
                tx.execute("insert into pair (name, size) values ('kept', 1)", params![])?;
                let part = tx.savepoint(|tx| {
                    let insert = "insert into pair (name, size) values ($1, $2)";
                    tx.execute_all(&[
                        Statement::once(insert, values!["lost", 1]),
                        Statement::once("insert into pair (name, size) values ($1, 1)", values!["kept"]),
                        Statement::once(insert, values!["never", 1]),
                    ])
                });
                assert!(matches!(part, Err(DbError::Unique(_))), "{part:?}");
                tx.execute("insert into pair (name, size) values ('after', 1)", params![])?;
                tx.query("select name from pair order by name", params![])?.iter().map(|row| row.get::<String>("name")).collect()
            });
            let names: Vec<String> = write.await.unwrap();
            assert_eq!(names, ["after", "kept"]);
        })
        .await;
    }
}
