//! Scripts: what stays the same over versions.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};
use serde_json::Value;

use crate::name::ScriptName;
use crate::store::json;
use crate::tenant::Environment;
use crate::view::{Script, ScriptSettings, ScriptSettingsPatch, ScriptSubdomain};

pub fn get(tx: &mut Tx<'_>, account: &CloudAccountId, name: &ScriptName) -> Result<Option<Script>, DbError> {
    const SQL: &str = "select s.*, (select d.version from worker_deployment d where d.account = s.account and d.script = s.name
        and d.number = s.deployments) as deployed, (select m.tag from worker_migration m where m.account = s.account
        and m.script = s.name) as migration_tag from worker_script s where s.account = $1 and s.name = $2";
    tx.query_opt(SQL, params![account, name])?.map(|row| read(&row)).transpose()
}

pub fn list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Script>, DbError> {
    const SQL: &str = "select s.*, (select d.version from worker_deployment d where d.account = s.account and d.script = s.name
        and d.number = s.deployments) as deployed, (select m.tag from worker_migration m where m.account = s.account
        and m.script = s.name) as migration_tag from worker_script s where s.account = $1 order by s.name";
    tx.query(SQL, params![account])?.iter().map(read).collect()
}

pub fn count(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from worker_script where account = $1", params![account])?.get("n")
}

pub fn count_live(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from worker_script where deployments > 0", params![])?.get("n")
}

/// Makes the row when there is none. The Worker stays in its environment.
pub fn ensure(
    tx: &mut Tx<'_>,
    env: &Env,
    account: &CloudAccountId,
    environment: &Environment,
    name: &ScriptName,
    now: Timestamp,
) -> Result<(), DbError> {
    let tag = hex::encode(env.bytes::<16>());
    tx.execute(
        "insert into worker_script (account, name, tag, created_at, modified_at, tags, logpush, observability, tail_consumers,
            subdomain_enabled, previews_enabled, versions, deployments, environment)
         values ($1, $2, $3, $4, $4, '[]', 0, 'null', 'null', 0, 0, 0, 0, $5) on conflict (account, name) do nothing",
        params![account, name, tag, now, environment.as_str()],
    )
    .map(drop)
}

/// Counts one more version or deployment and answers its number.
pub fn next_version(tx: &mut Tx<'_>, account: &CloudAccountId, name: &ScriptName, now: Timestamp) -> Result<i64, DbError> {
    const SQL: &str =
        "update worker_script set versions = versions + 1, modified_at = $3 where account = $1 and name = $2 returning versions";
    tx.query_one(SQL, params![account, name, now])?.get("versions")
}

pub fn next_deployment(tx: &mut Tx<'_>, account: &CloudAccountId, name: &ScriptName, now: Timestamp) -> Result<i64, DbError> {
    const SQL: &str =
        "update worker_script set deployments = deployments + 1, modified_at = $3 where account = $1 and name = $2 returning deployments";
    tx.query_one(SQL, params![account, name, now])?.get("deployments")
}

pub fn patch(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    name: &ScriptName,
    patch: &ScriptSettingsPatch,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "update worker_script set tags = coalesce($3, tags), logpush = coalesce($4, logpush), observability = coalesce($5, observability),
            tail_consumers = coalesce($6, tail_consumers), modified_at = $7 where account = $1 and name = $2",
        params![
            account,
            name,
            patch.tags.as_ref().map(json).transpose()?,
            patch.logpush,
            patch.observability.as_ref().map(Value::to_string),
            patch.tail_consumers.as_ref().map(Value::to_string),
            now
        ],
    )
    .map(drop)
}

pub fn set_subdomain(tx: &mut Tx<'_>, account: &CloudAccountId, name: &ScriptName, on: ScriptSubdomain) -> Result<(), DbError> {
    const SQL: &str = "update worker_script set subdomain_enabled = $3, previews_enabled = $4 where account = $1 and name = $2";
    tx.execute(SQL, params![account, name, on.enabled, on.previews_enabled]).map(drop)
}

/// Removes the script with its versions, secrets, deployments and domains.
pub fn delete(tx: &mut Tx<'_>, account: &CloudAccountId, name: &ScriptName) -> Result<bool, DbError> {
    let p = params![account, name];
    tx.execute("delete from worker_domain where account = $1 and script = $2", p)?;
    tx.execute("delete from worker_deployment_minor where account = $1 and script = $2", p)?;
    super::route::release_script(tx, account, name)?;
    tx.execute("delete from worker_deployment where account = $1 and script = $2", p)?;
    tx.execute("delete from worker_secret where version in (select id from worker_version where account = $1 and script = $2)", p)?;
    tx.execute("delete from worker_version where account = $1 and script = $2", p)?;
    Ok(tx.execute("delete from worker_script where account = $1 and name = $2", p)? == 1)
}

fn read(row: &Row) -> Result<Script, DbError> {
    Ok(Script {
        name: row.parse("name")?,
        environment: row.parse("environment")?,
        tag: row.get("tag")?,
        created_at: row.get("created_at")?,
        modified_at: row.get("modified_at")?,
        migration_tag: row.get("migration_tag")?,
        deployed: row.parse_opt("deployed")?,
        settings: ScriptSettings {
            tags: row.json("tags")?,
            logpush: row.get("logpush")?,
            observability: row.json("observability")?,
            tail_consumers: row.json("tail_consumers")?,
        },
        on_subdomain: ScriptSubdomain { enabled: row.get("subdomain_enabled")?, previews_enabled: row.get("previews_enabled")? },
    })
}
