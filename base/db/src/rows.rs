//! One statement for many rows: what a batch of requests looks up and writes goes to the store in a few statements.
//!
//! The text names the columns of the rows that come with it, by one of two tokens:
//!
//! - `{values:text,int}` stands for the rows themselves: `insert into t (a, b) {values:text,int} on conflict do nothing`;
//! - `{rows:text,int}` stands for a table `r` with the columns `c1`, `c2`, … and `n`, the row's place counted from nought:
//!   `select r.n, t.b from {rows:text} join t on t.a = r.c1`.
//!
//! On PostgreSQL each column is one array and the statement is one round trip. On SQLite, where a statement costs no trip, the
//! prepared statement runs once for each row, in order.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::error::DbError;
use crate::tx::Engine;
use crate::value::Value;

/// What a column of the rows holds; either may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
}

/// A statement's text for one engine, with the kinds of its columns.
#[derive(Debug)]
pub struct Expanded {
    pub sql: String,
    pub kinds: Vec<Kind>,
}

thread_local! {
    /// By the place of the text in the program: texts are the program's own, so there are only so many.
    static EXPANDED: RefCell<HashMap<(usize, usize, Engine), Rc<Expanded>>> = RefCell::default();
}

/// The text spelled out for an engine. A thread does that once for each: for a lone purchase it took as long as to run the statement.
pub fn expanded(sql: &'static str, engine: Engine) -> Result<Rc<Expanded>, DbError> {
    let key = (sql.as_ptr().addr(), sql.len(), engine);
    if let Some(known) = EXPANDED.with_borrow(|all| all.get(&key).cloned()) {
        return Ok(known);
    }
    let new = Rc::new(expand(sql, engine)?);
    EXPANDED.with_borrow_mut(|all| all.insert(key, new.clone()));
    Ok(new)
}

/// Spells the token out.
fn expand(sql: &'static str, engine: Engine) -> Result<Expanded, DbError> {
    let no_token = || DbError::Other("a statement for rows names no rows".to_owned());
    let (name, at) = match (sql.find("{values:"), sql.find("{rows:")) {
        (Some(at), _) => ("{values:", at),
        (None, Some(at)) => ("{rows:", at),
        (None, None) => return Err(no_token()),
    };
    let (before, rest) = (&sql[..at], &sql[at + name.len()..]);
    let (list, after) = rest.split_once('}').ok_or_else(no_token)?;
    let kinds: Vec<Kind> = list.split(',').map(kind).collect::<Option<_>>().ok_or_else(no_token)?;
    let each = |one: &dyn Fn(usize, Kind) -> String| {
        let all: Vec<String> = kinds.iter().enumerate().map(|(i, kind)| one(i + 1, *kind)).collect();
        all.join(", ")
    };
    let arrays = || {
        each(&|i, kind| match kind {
            Kind::Text => format!("${i}::text[]"),
            Kind::Int => format!("${i}::bigint[]"),
        })
    };
    let table = match (engine, name) {
        (Engine::Sqlite, "{values:") => format!("values ({})", each(&|i, _| format!("${i}"))),
        (Engine::Sqlite, _) => format!("(select {}, ${} as n) as r", each(&|i, _| format!("${i} as c{i}")), kinds.len() + 1),
        (Engine::Postgres, "{values:") => format!("select * from unnest({})", arrays()),
        (Engine::Postgres, _) => format!(
            "(select {}, u.n - 1 as n from unnest({}) with ordinality as u ({}, n)) as r",
            each(&|i, _| format!("u.c{i}")),
            arrays(),
            each(&|i, _| format!("c{i}"))
        ),
    };
    Ok(Expanded { sql: locked(&format!("{before}{table}{after}"), engine), kinds })
}

/// `{lock:a}` at the end of a query keeps the rows of the table `a` for this write; on SQLite nobody else writes.
fn locked(sql: &str, engine: Engine) -> String {
    match (engine, sql.split_once("{lock:")) {
        (Engine::Sqlite, Some((before, _))) => before.to_owned(),
        (Engine::Postgres, Some((before, table))) => format!("{before}for update of {}", table.trim_end_matches('}')),
        (_, None) => sql.to_owned(),
    }
}

/// One column of all rows, as PostgreSQL takes it.
pub enum Array {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
}

/// Whether each row holds what the statement says.
pub fn check(kinds: &[Kind], rows: &[Vec<Value>]) -> Result<(), DbError> {
    let fits = |(kind, value): (&Kind, &Value)| {
        matches!((kind, value), (_, Value::Null) | (Kind::Text, Value::Text(_)) | (Kind::Int, Value::Int(_)))
    };
    if rows.iter().all(|row| row.len() == kinds.len() && kinds.iter().zip(row).all(fits)) {
        Ok(())
    } else {
        Err(DbError::Other("a row does not hold what its statement says".to_owned()))
    }
}

/// The rows, which were checked, column by column.
pub fn arrays(kinds: &[Kind], rows: &[Vec<Value>]) -> Vec<Array> {
    let column = |i: usize| rows.iter().filter_map(move |row| row.get(i));
    let of = |(i, kind): (usize, &Kind)| match kind {
        Kind::Text => Array::Text(column(i).map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None }).collect()),
        Kind::Int => Array::Int(column(i).map(|value| if let Value::Int(number) = value { Some(*number) } else { None }).collect()),
    };
    kinds.iter().enumerate().map(of).collect()
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        "text" => Some(Kind::Text),
        "int" => Some(Kind::Int),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::each_engine;
    use crate::{DbError, Migrations, params};

    const TABLES: &[Migrations] =
        &[Migrations { domain: "rows", steps: &["create table pair (name {text} primary key, size {int}){clustered}"] }];

    #[tokio::test]
    async fn many_rows_are_written_looked_up_and_changed_by_one_statement_each() {
        each_engine(TABLES, |db| async move {
            let all = db.write(|tx| -> Result<_, DbError> {
                let rows = [params!["a", 1].to_vec(), params!["b", Option::<i64>::None].to_vec(), params!["a", 7].to_vec()];
                let insert = "insert into pair (name, size) {values:text,int} on conflict (name) do nothing";
                assert_eq!(tx.execute_rows(insert, &rows)?, 2);
                let add = "update pair set size = coalesce(size, 0) + r.c2 from {rows:text,int} where pair.name = r.c1";
                assert_eq!(tx.execute_rows(add, &[params!["b", 5].to_vec(), params!["none", 1].to_vec()])?, 1);
                let look = "select r.n, p.size from {rows:text} join pair p on p.name = r.c1";
                let mut found: Vec<(i64, i64)> = tx
                    .query_rows(look, &[params!["b"].to_vec(), params!["none"].to_vec(), params!["a"].to_vec()])?
                    .iter()
                    .map(|row| Ok((row.get("n")?, row.get("size")?)))
                    .collect::<Result<_, DbError>>()?;
                found.sort_unstable();
                assert!(tx.query_rows(look, &[])?.is_empty());
                assert!(tx.query_rows(look, &[params![1].to_vec()]).is_err(), "another kind of value was taken");
                Ok(found)
            });
            assert_eq!(all.await.unwrap(), [(0, 5), (2, 1)]);
        })
        .await;
    }
}
