//! Classes of Durable Objects, and how far the migrations of each Worker have come.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use crate::name::ScriptName;
use crate::plan::ObjectClass;
use crate::tenant::Environment;

/// The classes of one Worker, by name.
pub fn classes(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<ObjectClass>, DbError> {
    let all = of_account(tx, account)?;
    Ok(all.into_iter().filter(|(owner, _)| owner == script).map(|(_, class)| class).collect())
}

/// All classes of one environment of an account, each with its Worker. Those of others lie in another folder, and in another process.
pub fn of_environment(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    environment: &Environment,
) -> Result<Vec<(ScriptName, ObjectClass)>, DbError> {
    const SQL: &str = "select c.key, c.script, c.class from worker_object_class c join worker_script s on s.account = c.account
        and s.name = c.script where c.account = $1 and s.environment = $2 order by c.script, c.class";
    tx.query(SQL, params![account, environment.as_str()])?.iter().map(read).collect()
}

/// All classes of an account, each with its Worker.
fn of_account(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<(ScriptName, ObjectClass)>, DbError> {
    const SQL: &str = "select key, script, class from worker_object_class where account = $1 order by script, class";
    tx.query(SQL, params![account])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<(ScriptName, ObjectClass), DbError> {
    Ok((row.parse("script")?, ObjectClass { class: row.get("class")?, key: row.get("key")? }))
}

/// The newest migration of a Worker that was applied.
pub fn tag(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Option<String>, DbError> {
    const SQL: &str = "select tag from worker_migration where account = $1 and script = $2";
    tx.query_opt(SQL, params![account, script])?.map(|row| row.get("tag")).transpose()
}

/// Makes `now` the account's classes in the place of `before`, and `tag` the newest migration of `script`. Fails as a conflict when
/// somebody changed them meanwhile.
pub fn migrate(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    script: &ScriptName,
    change: &crate::upload::migration::Change,
    at: Timestamp,
) -> Result<(), DbError> {
    for class in &change.gone {
        tx.execute("delete from worker_object_class where account = $1 and key = $2", params![account, class.key])?;
    }
    // Names may be swapped, so each is freed before any is taken.
    for (_, class) in &change.now {
        tx.execute("update worker_object_class set class = key where account = $1 and key = $2", params![account, class.key])?;
    }
    for (owner, class) in &change.now {
        tx.execute(
            "insert into worker_object_class (key, account, script, class, created_at) values ($1, $2, $3, $4, $5)
             on conflict (key) do update set script = excluded.script, class = excluded.class",
            params![class.key, account, owner, class.class, at],
        )?;
    }
    tx.execute(
        "insert into worker_migration (account, script, tag) values ($1, $2, $3)
         on conflict (account, script) do update set tag = excluded.tag",
        params![account, script, change.tag],
    )
    .map(drop)
}

/// What the account's objects kept on the disk when it was last looked, in bytes.
pub fn bytes(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    let row = tx.query_opt("select bytes from worker_object_bytes where account = $1", params![account])?;
    row.map_or(Ok(0), |row| row.get("bytes"))
}

/// Writes down what was found on the disk. Where it was looked for everybody, who is not named keeps nothing.
pub fn measured(tx: &mut Tx<'_>, found: &[(CloudAccountId, i64)], everybody: bool) -> Result<(), DbError> {
    if everybody {
        tx.execute("delete from worker_object_bytes", params![])?;
    }
    let upsert =
        "insert into worker_object_bytes (account, bytes) values ($1, $2) on conflict (account) do update set bytes = excluded.bytes";
    found.iter().try_for_each(|(account, bytes)| tx.execute(upsert, params![account, bytes]).map(drop))
}

/// Forgets everything of a Worker; answers the classes whose data nobody needs any more.
pub fn delete(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<Vec<ObjectClass>, DbError> {
    let classes = classes(tx, account, script)?;
    tx.execute("delete from worker_object_class where account = $1 and script = $2", params![account, script])?;
    tx.execute("delete from worker_migration where account = $1 and script = $2", params![account, script])?;
    Ok(classes)
}
