//! Migrations: one text for both engines, applied once, never changed.

use purser_values::{Env, Sha256Digest};

use crate::db::Db;
use crate::error::DbError;
use crate::params;
use crate::tx::{Engine, Tx};

/// The tables of one domain, in steps that are only ever added to.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    pub domain: &'static str,
    pub steps: &'static [&'static str],
}

const TABLE: &str = "create table if not exists migration (
    domain {text} not null, step {int} not null, digest {text} not null, applied_at {int} not null,
    primary key (domain, step)
){strict}";

pub async fn run(db: &Db, env: &Env, all: &'static [Migrations]) -> Result<(), DbError> {
    let env = env.clone();
    db.write::<_, DbError, _>(|tx| tx.batch(&table(tx.engine()))).await?;
    db.write(move |tx| {
        if tx.engine() == Engine::Postgres {
            // One node migrates at a time; the others wait here and then find nothing left to do. It must be the first statement, and
            // no query: only a lock of a table waits before the transaction's snapshot is taken.
            tx.batch("lock table migration in share row exclusive mode")?;
        }
        for migrations in all {
            for (step, text) in migrations.steps.iter().enumerate() {
                apply(tx, &env, migrations.domain, step, text)?;
            }
        }
        Ok(())
    })
    .await
}

/// What makes the table of steps.
pub(crate) fn table(engine: Engine) -> String {
    expand(TABLE, engine)
}

fn apply(tx: &mut Tx<'_>, env: &Env, domain: &str, step: usize, text: &str) -> Result<(), DbError> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let digest = Sha256Digest::of(text.as_bytes());
    let found = tx.query_opt("select digest from migration where domain = $1 and step = $2", params![domain, step])?;
    match found {
        Some(row) if row.get::<Sha256Digest>("digest")? == digest => Ok(()),
        Some(_) => Err(DbError::MigrationChanged(format!("{domain}/{step}"))),
        None => {
            tx.batch(&expand(text, tx.engine()))?;
            let insert = "insert into migration (domain, step, digest, applied_at) values ($1, $2, $3, $4)";
            tx.execute(insert, params![domain, step, digest, env.now()]).map(drop)
        }
    }
}

/// Whether every step of these is applied. A database that a newer version has migrated further is no less so.
///
/// # Errors
/// When the store fails.
pub fn is_migrated(tx: &mut Tx<'_>, all: &[Migrations]) -> Result<bool, DbError> {
    for migrations in all {
        let row = tx.query_one("select count(*) as steps from migration where domain = $1", params![migrations.domain])?;
        if row.get::<i64>("steps")? < i64::try_from(migrations.steps.len()).unwrap_or(i64::MAX) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The tokens in the words of an engine; what stands between `{sqlite}` or `{postgres}` and `{both}` is for that engine only. `{clustered}` is `{strict}` for tables of short rows that are only ever looked up by
/// their key: SQLite then keeps the rows in the key's own tree instead of beside it.
pub(crate) fn expand(text: &str, engine: Engine) -> String {
    let (int, blob, strict, clustered) = match engine {
        Engine::Sqlite => ("integer", "blob", " strict", " strict, without rowid"),
        Engine::Postgres => ("bigint", "bytea", "", ""),
    };
    let text = only(text, engine);
    let text = text.replace("{int}", int).replace("{text}", "text").replace("{blob}", blob);
    text.replace("{strict}", strict).replace("{clustered}", clustered)
}

fn only(text: &str, engine: Engine) -> String {
    let (ours, theirs) = match engine {
        Engine::Sqlite => ("{sqlite}", "{postgres}"),
        Engine::Postgres => ("{postgres}", "{sqlite}"),
    };
    let mut parts = text.split(theirs);
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once("{both}").map_or("", |(_, after)| after));
    std::iter::once(first.as_str()).chain(rest).collect::<String>().replace(ours, "").replace("{both}", "")
}
