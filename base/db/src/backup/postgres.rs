//! Every table of a PostgreSQL database as one stream, and such a stream as the tables of an empty one.
//!
//! The form: one line of JSON with the migrations that made the tables; for each table a line of JSON with its name and columns, its rows as
//! `COPY … (format text)` writes them, and a line `\.`, which no row can be; at the end a line of JSON with the number of tables, without
//! which the stream is cut off. Tables come after those that they refer to.
//!
//! A dump is taken inside one read, so inside one snapshot: others go on writing, and what it holds is of one moment. Loading happens
//! inside one write, so that what fails leaves the database as empty as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};

use purser_values::Sha256Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::DbError;
use crate::migrate::{self, Migrations};
use crate::params;
use crate::tx::Tx;

/// The version of the form.
const FORMAT: u32 = 1;
/// What ends the rows of a table.
const END: &[u8] = b"\\.\n";
/// The longest line of JSON that is read, in bytes. Rows have no such limit.
const HEAD_BYTES: u64 = 1024 * 1024;
/// Bytes of rows that are handed over at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A table in a dump, and how many rows it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    pub table: String,
    pub rows: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("the tables cannot be written: {0}")]
    Write(io::Error),
    #[error("the tables cannot be read: {0}")]
    Read(io::Error),
    #[error("the tables are cut off or not as they were written: {0}")]
    Form(String),
    #[error("the tables were written by another version: {0}")]
    Version(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    migrations: Vec<Step>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Step {
    domain: String,
    step: i64,
    digest: Sha256Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Table { name: String, columns: Vec<String> },
    End { tables: usize },
}

/// Whether there is no table at all.
///
/// # Errors
/// When the store fails.
pub fn is_empty(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    Ok(tables(tx)?.is_empty())
}

/// Writes every table of the database as it is in the snapshot of this transaction.
///
/// # Errors
/// When the store fails, or `out` takes no more.
pub fn dump(tx: &mut Tx<'_>, out: &mut dyn Write) -> Result<Vec<Copied>, DumpError> {
    let rows = tx.query("select domain, step, digest from migration order by domain, step", params![])?;
    let step = |row: &crate::Row| Ok(Step { domain: row.get("domain")?, step: row.get("step")?, digest: row.get("digest")? });
    let migrations = rows.iter().map(step).collect::<Result<_, DbError>>()?;
    line(out, &Head { format: FORMAT, migrations })?;
    let (mut columns, mut copied) = (tables(tx)?, Vec::new());
    for name in in_order(columns.keys().cloned().collect(), &references(tx)?)? {
        let columns = columns.remove(&name).unwrap_or_default();
        line(out, &Part::Table { name: name.clone(), columns: columns.clone() })?;
        let mut rows = 0_u64;
        let mut failed = None;
        let sql = format!("copy {} ({}) to stdout", quoted(&name), list(&columns));
        tx.copy_out(&sql, |chunk| {
            rows += count_lines(chunk);
            out.write_all(chunk).map_err(|e| {
                failed = Some(e);
                DbError::Other("the copy stopped".to_owned())
            })
        })
        .map_err(|e| failed.take().map_or(DumpError::Db(e), DumpError::Write))?;
        out.write_all(END).map_err(DumpError::Write)?;
        copied.push(Copied { table: name, rows });
    }
    line(out, &Part::End { tables: copied.len() })?;
    out.flush().map_err(DumpError::Write)?;
    Ok(copied)
}

/// Makes the tables as they were when the dump was taken, and fills them. `all` are those of this version, in their order: it may know
/// later steps, which are for the next start, but not fewer.
///
/// # Errors
/// When the dump is not whole, was written by a version that knows more, or the store fails.
pub fn load(tx: &mut Tx<'_>, input: &mut dyn BufRead, all: &[Migrations]) -> Result<Vec<Copied>, DumpError> {
    let head: Head = read_line(input)?;
    if head.format != FORMAT {
        return Err(DumpError::Version(format!("their form is {}, and {FORMAT} is read here", head.format)));
    }
    make_tables(tx, &head.migrations, all)?;
    let columns_here = tables(tx)?;
    let mut copied: Vec<Copied> = Vec::new();
    loop {
        match read_line(input)? {
            Part::End { tables } if tables == copied.len() => return Ok(copied),
            Part::End { tables } => return Err(DumpError::Form(format!("{tables} tables are announced, {} are there", copied.len()))),
            Part::Table { name, columns } => {
                // the names become part of a statement, so they are those of tables and columns that are there
                let known: BTreeSet<&String> = columns_here.get(&name).into_iter().flatten().collect();
                if known.len() != columns.len() || !columns.iter().all(|column| known.contains(column)) {
                    return Err(DumpError::Version(format!("the table `{name}` is another one here")));
                }
                let sql = format!("copy {} ({}) from stdin", quoted(&name), list(&columns));
                let mut failed = None;
                let outcome = tx.copy_in(&sql, || {
                    chunk(&mut *input).map_err(|e| {
                        failed = Some(e);
                        DbError::Other("the copy stopped".to_owned())
                    })
                });
                let rows = outcome.map_err(|e| failed.take().unwrap_or(DumpError::Db(e)))?;
                copied.push(Copied { table: name, rows });
            }
        }
    }
}

/// The steps that the dump names, which must be the first ones of ours, word for word.
fn make_tables(tx: &mut Tx<'_>, steps: &[Step], all: &[Migrations]) -> Result<(), DumpError> {
    tx.batch(&migrate::table(tx.engine()))?;
    for step in steps {
        let ours = all.iter().find(|m| m.domain == step.domain).and_then(|m| m.steps.get(usize::try_from(step.step).ok()?));
        if ours.is_none_or(|text| Sha256Digest::of(text.as_bytes()) != step.digest) {
            return Err(DumpError::Version(format!("step {} of `{}` is not one of this version", step.step, step.domain)));
        }
    }
    for migrations in all {
        let taken = steps.iter().filter(|step| step.domain == migrations.domain).count();
        for text in migrations.steps.iter().take(taken) {
            tx.batch(&migrate::expand(text, tx.engine()))?;
        }
    }
    Ok(())
}

/// The tables with their columns in order.
fn tables(tx: &mut Tx<'_>) -> Result<BTreeMap<String, Vec<String>>, DbError> {
    let sql = "select t.table_name::text as name, c.column_name::text as of_column
               from information_schema.tables t
               join information_schema.columns c on c.table_schema = t.table_schema and c.table_name = t.table_name
               where t.table_schema = current_schema() and t.table_type = 'BASE TABLE'
               order by t.table_name, c.ordinal_position";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in tx.query(sql, params![])? {
        found.entry(row.get("name")?).or_default().push(row.get("of_column")?);
    }
    Ok(found)
}

/// Which table refers to which.
fn references(tx: &mut Tx<'_>) -> Result<Vec<(String, String)>, DbError> {
    let sql = "select f.relname::text as from_table, t.relname::text as to_table
               from pg_constraint k join pg_class f on f.oid = k.conrelid join pg_class t on t.oid = k.confrelid
               where k.contype = 'f' and k.connamespace = current_schema()::regnamespace and k.conrelid <> k.confrelid";
    tx.query(sql, params![])?.iter().map(|row| Ok((row.get("from_table")?, row.get("to_table")?))).collect()
}

/// Those first that refer to none of the rest.
fn in_order(mut rest: BTreeSet<String>, references: &[(String, String)]) -> Result<Vec<String>, DbError> {
    let mut ordered = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let waits = |name: &String| references.iter().any(|(from, to)| from == name && rest.contains(to));
        let ready: Vec<String> = rest.iter().filter(|name| !waits(name)).cloned().collect();
        if ready.is_empty() {
            return Err(DbError::Other("tables refer to each other in a circle".to_owned()));
        }
        rest.retain(|name| !ready.contains(name));
        ordered.extend(ready);
    }
    Ok(ordered)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

fn count_lines(chunk: &[u8]) -> u64 {
    chunk.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<(), DumpError> {
    let mut text = serde_json::to_vec(value).map_err(|e| DumpError::Form(e.to_string()))?;
    text.push(b'\n');
    out.write_all(&text).map_err(DumpError::Write)
}

fn read_line<T: DeserializeOwned>(input: &mut dyn BufRead) -> Result<T, DumpError> {
    let mut text = Vec::new();
    io::Read::take(&mut *input, HEAD_BYTES).read_until(b'\n', &mut text).map_err(DumpError::Read)?;
    serde_json::from_slice(&text).map_err(|_| DumpError::Form("a line that names a table does not read".to_owned()))
}

/// The next rows, and whether they are the table's last.
fn chunk(input: &mut dyn BufRead) -> Result<(Vec<u8>, bool), DumpError> {
    let mut rows = Vec::new();
    while rows.len() < CHUNK_BYTES {
        let from = rows.len();
        input.read_until(b'\n', &mut rows).map_err(DumpError::Read)?;
        if rows.last() != Some(&b'\n') {
            return Err(DumpError::Form("a table does not end".to_owned()));
        }
        if &rows[from..] == END {
            rows.truncate(from);
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each_engine;
    use crate::{Engine, MIGRATIONS, params};

    const HOUSES: Migrations = Migrations {
        domain: "houses",
        steps: &[
            "create table house (id {text} primary key, number {int}, plan {blob}){strict}",
            "create table a_room (id {text} primary key, house {text} not null references house (id)){strict}",
        ],
    };
    const ALL: &[Migrations] = &[MIGRATIONS, HOUSES];

    #[test]
    fn tables_come_after_those_that_they_refer_to() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let refers = [("a".to_owned(), "c".to_owned()), ("c".to_owned(), "b".to_owned())];
        assert_eq!(in_order(names("a b c d"), &refers).unwrap(), ["b", "d", "c", "a"]);
        assert!(in_order(names("a b"), &[("a".to_owned(), "b".to_owned()), ("b".to_owned(), "a".to_owned())]).is_err());
    }

    #[tokio::test]
    async fn what_was_dumped_is_loaded_row_for_row_and_a_dump_that_was_cut_is_not() {
        each_engine(ALL, |db| async move {
            if db.engine() == Engine::Sqlite {
                return;
            }
            db.write::<_, DbError, _>(|tx| {
                let strange = "tab\t line\n back\\slash \\. \\N ünï \u{1}";
                let insert = "insert into house (id, number, plan) values ($1, $2, $3)";
                tx.execute(insert, params!["\\.", 7_i64, vec![0_u8, 255, 10, 92]])?;
                tx.execute(insert, params![strange, Option::<i64>::None, Option::<Vec<u8>>::None])?;
                tx.execute("insert into a_room (id, house) values ('', $1)", params![strange])?;
                for i in 0..20_000_i64 {
                    tx.execute(insert, params![format!("house-{i}"), i, Option::<Vec<u8>>::None])?;
                }
                Ok(())
            })
            .await
            .unwrap();
            let (dumped, first) = db
                .read::<_, DumpError, _>(|tx| {
                    let mut bytes = Vec::new();
                    let copied = dump(tx, &mut bytes)?;
                    Ok((bytes, copied))
                })
                .await
                .unwrap();
            // into another schema of the same database, inside one write that is undone in the end
            let again = |bytes: Vec<u8>, all: &'static [Migrations]| {
                let db = db.clone();
                async move {
                    db.write::<(), Undone, _>(move |tx| {
                        tx.batch("create schema load_here; set local search_path to load_here")?;
                        assert!(is_empty(tx)?);
                        let copied = load(tx, &mut bytes.as_slice(), all)?;
                        let mut back = Vec::new();
                        dump(tx, &mut back)?;
                        Err(Undone::Loaded(copied, back))
                    })
                    .await
                    .unwrap_err()
                }
            };
            match again(dumped.clone(), ALL).await {
                Undone::Loaded(copied, back) => {
                    assert_eq!(copied, first);
                    assert!(back == dumped, "the tables are others than those that were dumped");
                }
                Undone::Refused(e) => panic!("{e}"),
            }
            assert_eq!(first.iter().find(|t| t.table == "house").unwrap().rows, 20_002);
            for cut in [dumped.len() - 5, dumped.len() / 2, 10] {
                let refused = again(dumped[..cut].to_vec(), ALL).await;
                assert!(matches!(refused, Undone::Refused(DumpError::Form(_))), "cut at {cut}");
            }
            assert!(matches!(again(dumped, &[MIGRATIONS]).await, Undone::Refused(DumpError::Version(_))));
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dump_is_of_one_moment_while_others_write() {
        each_engine(ALL, |db| async move {
            if db.engine() == Engine::Sqlite {
                return;
            }
            db.write::<_, DbError, _>(|tx| {
                for i in 0..10_i64 {
                    tx.execute("insert into house (id, number) values ($1, 100)", params![format!("h{i}")])?;
                }
                Ok(())
            })
            .await
            .unwrap();
            let stop = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
            let movers: Vec<_> = (0..4_i64)
                .map(|mover| {
                    let (db, stop) = (db.clone(), stop.clone());
                    tokio::spawn(async move {
                        for n in 0_i64.. {
                            if stop.load(std::sync::atomic::Ordering::Relaxed) == 1 {
                                return n;
                            }
                            let (from, to) = (format!("h{}", (mover + n) % 10), format!("h{}", (mover + 3 * n + 1) % 10));
                            db.write::<_, DbError, _>(move |tx| {
                                tx.execute("update house set number = number - 1 where id = $1", params![from.as_str()])?;
                                tx.execute("update house set number = number + 1 where id = $1", params![to.as_str()])
                            })
                            .await
                            .unwrap();
                        }
                        0
                    })
                })
                .collect();
            let mut seen = BTreeSet::new();
            for _ in 0..20 {
                let bytes = db.read::<_, DumpError, _>(|tx| {
                    let mut bytes = Vec::new();
                    dump(tx, &mut bytes).map(|_| bytes)
                });
                let text = String::from_utf8(bytes.await.unwrap()).unwrap();
                let rows = text.lines().filter(|line| line.starts_with('h') && line.as_bytes()[1].is_ascii_digit());
                let numbers: Vec<i64> = rows.map(|row| row.split('\t').nth(1).unwrap().parse().unwrap()).collect();
                assert_eq!((numbers.len(), numbers.iter().sum::<i64>()), (10, 1000), "half of a move is in it");
                seen.insert(numbers);
            }
            stop.store(1, std::sync::atomic::Ordering::Relaxed);
            let mut moves = 0;
            for mover in movers {
                moves += mover.await.unwrap();
            }
            assert!(moves > 0 && seen.len() > 1, "nobody wrote meanwhile");
        })
        .await;
    }

    enum Undone {
        Loaded(Vec<Copied>, Vec<u8>),
        Refused(DumpError),
    }

    impl From<DbError> for Undone {
        fn from(e: DbError) -> Self {
            Self::Refused(e.into())
        }
    }

    impl From<DumpError> for Undone {
        fn from(e: DumpError) -> Self {
            Self::Refused(e)
        }
    }
}
