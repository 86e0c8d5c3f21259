//! Routes by pattern, of a zone's account.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Env;
use purser_values::id::CloudAccountId;

use crate::name::{ScriptName, Uuid};
use crate::view::ZoneRoute;

pub const TABLE: &str = "
create table worker_route (
    id {text} primary key, account {text} not null, zone_id {text} not null, zone_name {text} not null, pattern {text} not null,
    script {text}, created_at {int} not null, unique (zone_id, pattern)
){strict};
create index worker_route_by_account on worker_route (account, zone_id);
";

pub fn list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<ZoneRoute>, DbError> {
    tx.query("select * from worker_route where account = $1 order by zone_name, pattern", params![account])?.iter().map(read).collect()
}

pub fn insert(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId, route: &ZoneRoute) -> Result<(), DbError> {
    tx.execute(
        "insert into worker_route (id, account, zone_id, zone_name, pattern, script, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
        params![route.id, account, route.zone_id, route.zone_name, route.pattern.to_string(), route.script, env.now()],
    )
    .map(drop)
}

pub fn update(tx: &mut Tx<'_>, account: &CloudAccountId, route: &ZoneRoute) -> Result<(), DbError> {
    let sql = "update worker_route set pattern = $3, script = $4 where account = $1 and id = $2";
    tx.execute(sql, params![account, route.id, route.pattern.to_string(), route.script]).map(drop)
}

pub fn delete(tx: &mut Tx<'_>, account: &CloudAccountId, id: &Uuid) -> Result<bool, DbError> {
    Ok(tx.execute("delete from worker_route where account = $1 and id = $2", params![account, id])? == 1)
}

pub fn release_zone(tx: &mut Tx<'_>, account: &CloudAccountId, zone_name: &str) -> Result<(), DbError> {
    tx.execute("delete from worker_route where account = $1 and zone_name = $2", params![account, zone_name]).map(drop)
}

/// Ends the routes of a zone's name that belong to other zones than this one; whose they were.
pub fn release_name(tx: &mut Tx<'_>, zone_name: &str, keep: &str) -> Result<Vec<CloudAccountId>, DbError> {
    let delete = "delete from worker_route where zone_name = $1 and zone_id <> $2 returning account";
    tx.query(delete, params![zone_name, keep])?.iter().map(|row| row.parse("account")).collect()
}

/// Where a Worker was, nothing is: a route to it goes with it.
pub fn release_script(tx: &mut Tx<'_>, account: &CloudAccountId, script: &ScriptName) -> Result<(), DbError> {
    tx.execute("delete from worker_route where account = $1 and script = $2", params![account, script]).map(drop)
}

fn read(row: &Row) -> Result<ZoneRoute, DbError> {
    Ok(ZoneRoute {
        id: row.parse("id")?,
        zone_id: row.get("zone_id")?,
        zone_name: row.get("zone_name")?,
        pattern: row.parse("pattern")?,
        script: row.parse_opt("script")?,
    })
}
