//! The tables of zones and records.

use purser_db::{DbError, Migrations, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::record::{Data, Owner, Record};
use crate::zone::Zone;

/// The tables of this crate.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "dns",
    steps: &["create table dns_zone (
        name {text} primary key,
        id {text} not null unique,
        account {text} not null,
        serial {int} not null,
        created_at {int} not null
    ){strict};
    create index dns_zone_account on dns_zone (account, name);
    create table dns_record (
        zone {text} not null references dns_zone (name) on delete cascade,
        owner {text} not null,
        data {text} not null,
        ttl_s {int} not null,
        primary key (zone, owner, data)
    ){strict};"],
};

/// The serial number after `before`: the time in seconds, so that it also rises across a zone that was removed and made again.
pub(crate) fn serial_after(before: u32, now: Timestamp) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX).max(before.saturating_add(1))
}

pub(crate) fn insert_zone(tx: &mut Tx<'_>, z: &Zone) -> Result<(), DbError> {
    tx.execute(
        "insert into dns_zone (name, id, account, serial, created_at) values ($1, $2, $3, $4, $5)",
        params![z.name, z.id, z.account, z.serial, z.created_at],
    )
    .map(drop)
}

pub(crate) fn delete_zone(tx: &mut Tx<'_>, name: &DomainName) -> Result<(), DbError> {
    tx.execute("delete from dns_record where zone = $1", params![name])?;
    tx.execute("delete from dns_zone where name = $1", params![name]).map(drop)
}

pub(crate) fn zone(tx: &mut Tx<'_>, name: &DomainName) -> Result<Option<Zone>, DbError> {
    tx.query_opt("select * from dns_zone where name = $1", params![name])?.map(|row| read_zone(&row)).transpose()
}

pub(crate) fn zones(tx: &mut Tx<'_>) -> Result<Vec<Zone>, DbError> {
    tx.query("select * from dns_zone order by name", params![])?.iter().map(read_zone).collect()
}

pub(crate) fn zones_of(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Zone>, DbError> {
    tx.query("select * from dns_zone where account = $1 order by name", params![account])?.iter().map(read_zone).collect()
}

/// Records that the zone changed.
pub(crate) fn touch(tx: &mut Tx<'_>, zone: &Zone, now: Timestamp) -> Result<(), DbError> {
    let serial = serial_after(zone.serial, now);
    tx.execute("update dns_zone set serial = $2 where name = $1", params![zone.name, serial]).map(drop)
}

pub(crate) fn put_record(tx: &mut Tx<'_>, zone: &DomainName, r: &Record) -> Result<(), DbError> {
    tx.execute(
        "insert into dns_record (zone, owner, data, ttl_s) values ($1, $2, $3, $4)
         on conflict (zone, owner, data) do update set ttl_s = excluded.ttl_s",
        params![zone, r.owner.as_str(), text(&r.data), r.ttl_s],
    )
    .map(drop)
}

pub(crate) fn delete_record(tx: &mut Tx<'_>, zone: &DomainName, owner: &Owner, data: &Data) -> Result<bool, DbError> {
    let sql = "delete from dns_record where zone = $1 and owner = $2 and data = $3";
    Ok(tx.execute(sql, params![zone, owner.as_str(), text(data)])? > 0)
}

pub(crate) fn count_records(tx: &mut Tx<'_>, zone: &DomainName) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from dns_record where zone = $1", params![zone])?.get("n")
}

pub(crate) fn records(tx: &mut Tx<'_>, zone: &DomainName) -> Result<Vec<Record>, DbError> {
    tx.query("select * from dns_record where zone = $1 order by owner, data", params![zone])?.iter().map(read_record).collect()
}

pub(crate) fn records_at(tx: &mut Tx<'_>, zone: &DomainName, owner: &Owner) -> Result<Vec<Record>, DbError> {
    let rows = tx.query("select * from dns_record where zone = $1 and owner = $2 order by data", params![zone, owner.as_str()])?;
    rows.iter().map(read_record).collect()
}

/// One text for one value, because the data is part of the key: the fields come in the order of the type.
fn text(data: &Data) -> serde_json::Value {
    serde_json::json!(data)
}

fn read_zone(row: &Row) -> Result<Zone, DbError> {
    Ok(Zone {
        id: row.get("id")?,
        account: row.parse("account")?,
        name: row.parse("name")?,
        serial: row.get("serial")?,
        created_at: row.get("created_at")?,
    })
}

fn read_record(row: &Row) -> Result<Record, DbError> {
    Ok(Record { owner: row.parse("owner")?, ttl_s: row.get("ttl_s")?, data: row.json("data")? })
}
