//! Custom domains: a host name leads to one Worker, of one account.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_values::name::HostName;

use crate::name::{ScriptName, Uuid};
use crate::view::{CustomDomain, OwnedHost};

pub fn find(tx: &mut Tx<'_>, hostname: &HostName) -> Result<Option<(CloudAccountId, CustomDomain)>, DbError> {
    let row = tx.query_opt("select * from worker_domain where hostname = $1", params![hostname])?;
    row.map(|row| Ok((row.parse("account")?, read(&row)?))).transpose()
}

pub fn list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<CustomDomain>, DbError> {
    tx.query("select * from worker_domain where account = $1 order by hostname", params![account])?.iter().map(read).collect()
}

/// Connects a name; a row that is there is moved.
pub fn put(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId, script: &ScriptName, owned: &OwnedHost) -> Result<(), DbError> {
    tx.execute(
        "insert into worker_domain (hostname, id, account, script, zone_id, zone_name, created_at) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (hostname) do update set account = excluded.account, script = excluded.script, zone_id = excluded.zone_id,
            zone_name = excluded.zone_name",
        params![owned.hostname, Uuid::mint(env), account, script, owned.zone_id, owned.zone_name, env.now()],
    )
    .map(drop)
}

pub fn delete(tx: &mut Tx<'_>, account: &CloudAccountId, id: &Uuid) -> Result<bool, DbError> {
    Ok(tx.execute("delete from worker_domain where account = $1 and id = $2", params![account, id])? == 1)
}

pub fn release_zone(tx: &mut Tx<'_>, account: &CloudAccountId, zone_name: &str) -> Result<(), DbError> {
    tx.execute("delete from worker_domain where account = $1 and zone_name = $2", params![account, zone_name]).map(drop)
}

/// Disconnects the hosts of a zone's name that belong to other zones than this one; whose they were.
pub fn release_name(tx: &mut Tx<'_>, zone_name: &str, keep: &str) -> Result<Vec<CloudAccountId>, DbError> {
    let delete = "delete from worker_domain where zone_name = $1 and zone_id <> $2 returning account";
    tx.query(delete, params![zone_name, keep])?.iter().map(|row| row.parse("account")).collect()
}

fn read(row: &Row) -> Result<CustomDomain, DbError> {
    Ok(CustomDomain {
        id: row.parse("id")?,
        hostname: row.parse("hostname")?,
        zone_id: row.get("zone_id")?,
        zone_name: row.get("zone_name")?,
        script: row.parse("script")?,
    })
}
