//! The tables of zones and records.

use purser_db::{DbError, Migrations, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use sha2::{Digest as _, Sha256};

use crate::record::{Data, Owner, Record};
use crate::zone::Zone;
use crate::zone::entry::Entry;

/// The tables of this crate.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "dns",
    steps: &[
        "create table dns_zone (
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
    ){strict};",
        "alter table dns_record add column id {text};
    alter table dns_record add column comment {text};
    alter table dns_record add column tags {text};
    alter table dns_record add column automatic {int};
    alter table dns_record add column author {text};
    alter table dns_record add column created_at {int};
    alter table dns_record add column modified_at {int};
    create unique index dns_record_id on dns_record (id);
    create table dns_record_gone (
        id {text} primary key,
        zone {text} not null,
        author {text} not null,
        at {int} not null
    ){strict};",
        "alter table dns_zone add column signing {text};
    alter table dns_zone add column signing_at {int};
    alter table dns_zone add column ds_pushed {text};
    alter table dns_zone add column ds_pushed_at {int};
    create table dns_key (
        zone {text} not null,
        tag {int} not null,
        public {blob} not null,
        sealed {blob} not null,
        state {text} not null,
        since {int} not null,
        primary key (zone, tag)
    ){strict};",
    ],
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
    tx.execute("delete from dns_record_gone where zone = $1", params![name])?;
    tx.execute("delete from dns_key where zone = $1", params![name])?;
    tx.execute("delete from dns_record where zone = $1", params![name])?;
    tx.execute("delete from dns_zone where name = $1", params![name]).map(drop)
}

pub(crate) fn zone(tx: &mut Tx<'_>, name: &DomainName) -> Result<Option<Zone>, DbError> {
    tx.query_opt("select * from dns_zone where name = $1", params![name])?.map(|row| read_zone(&row)).transpose()
}

pub(crate) fn zone_by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<Zone>, DbError> {
    tx.query_opt("select * from dns_zone where id = $1", params![id])?.map(|row| read_zone(&row)).transpose()
}

pub(crate) fn zones(tx: &mut Tx<'_>) -> Result<Vec<Zone>, DbError> {
    tx.query("select * from dns_zone order by name", params![])?.iter().map(read_zone).collect()
}

/// The zones that have keys.
pub(crate) fn signed_zones(tx: &mut Tx<'_>) -> Result<Vec<Zone>, DbError> {
    tx.query("select * from dns_zone where signing is not null order by name", params![])?.iter().map(read_zone).collect()
}

/// The longest time that resolvers may keep a record of the zone.
pub(crate) fn longest_ttl(tx: &mut Tx<'_>, zone: &DomainName) -> Result<u32, DbError> {
    let row = tx.query_one("select max(ttl_s) as ttl from dns_record where zone = $1", params![zone])?;
    Ok(row.get::<Option<u32>>("ttl")?.unwrap_or_default())
}

pub(crate) fn zones_of(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Zone>, DbError> {
    tx.query("select * from dns_zone where account = $1 order by name", params![account])?.iter().map(read_zone).collect()
}

/// Records that the zone changed.
pub(crate) fn touch(tx: &mut Tx<'_>, zone: &Zone, now: Timestamp) -> Result<(), DbError> {
    let serial = serial_after(zone.serial, now);
    tx.execute("update dns_zone set serial = $2 where name = $1", params![zone.name, serial]).map(drop)
}

/// A record that a part of ours writes: nobody's words beside it.
pub(crate) fn put_record(tx: &mut Tx<'_>, zone: &DomainName, r: &Record, now: Timestamp) -> Result<(), DbError> {
    let id = made_id(zone, r, now.as_micros());
    tx.execute(
        "insert into dns_record (zone, owner, data, ttl_s, id, created_at, modified_at) values ($1, $2, $3, $4, $5, $6, $6)
         on conflict (zone, owner, data) do update set ttl_s = excluded.ttl_s",
        params![zone, r.owner.as_str(), text(&r.data), r.ttl_s, id, now],
    )
    .map(drop)
}

/// A record that a client of the API wrote. There must be none with this owner and data.
pub(crate) fn insert_entry(tx: &mut Tx<'_>, zone: &DomainName, e: &Entry) -> Result<(), DbError> {
    tx.execute(
        "insert into dns_record (zone, owner, data, ttl_s, id, comment, tags, automatic, author, created_at, modified_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            zone,
            e.record.owner.as_str(),
            text(&e.record.data),
            e.record.ttl_s,
            e.id,
            e.comment,
            serde_json::json!(e.tags),
            e.automatic,
            e.author,
            e.created_at,
            e.modified_at
        ],
    )
    .map(drop)
}

pub(crate) fn entries(tx: &mut Tx<'_>, zone: &Zone) -> Result<Vec<Entry>, DbError> {
    let rows = tx.query("select * from dns_record where zone = $1 order by owner, data", params![zone.name])?;
    rows.iter().map(|row| read_entry(row, zone)).collect()
}

pub(crate) fn entries_at(tx: &mut Tx<'_>, zone: &Zone, owner: &Owner) -> Result<Vec<Entry>, DbError> {
    let sql = "select * from dns_record where zone = $1 and owner = $2 order by data";
    tx.query(sql, params![zone.name, owner.as_str()])?.iter().map(|row| read_entry(row, zone)).collect()
}

/// Records from before they had ids have one that follows from what they say.
pub(crate) fn entry(tx: &mut Tx<'_>, zone: &Zone, id: &str) -> Result<Option<Entry>, DbError> {
    if let Some(row) = tx.query_opt("select * from dns_record where zone = $1 and id = $2", params![zone.name, id])? {
        return read_entry(&row, zone).map(Some);
    }
    let old = tx.query("select * from dns_record where zone = $1 and id is null", params![zone.name])?;
    let old: Vec<Entry> = old.iter().map(|row| read_entry(row, zone)).collect::<Result<_, _>>()?;
    Ok(old.into_iter().find(|entry| entry.id == id))
}

/// Remembers a removal for as long as its request may arrive again.
pub(crate) fn forget(tx: &mut Tx<'_>, zone: &DomainName, id: &str, author: &str, now: Timestamp, until: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from dns_record_gone where at < $1", params![until])?;
    tx.execute(
        "insert into dns_record_gone (id, zone, author, at) values ($1, $2, $3, $4) on conflict (id) do nothing",
        params![id, zone, author, now],
    )
    .map(drop)
}

pub(crate) fn forgotten(tx: &mut Tx<'_>, zone: &DomainName, id: &str, author: &str, since: Timestamp) -> Result<bool, DbError> {
    let sql = "select id from dns_record_gone where id = $1 and zone = $2 and author = $3 and at >= $4";
    Ok(tx.query_opt(sql, params![id, zone, author, since])?.is_some())
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

fn read_entry(row: &Row, zone: &Zone) -> Result<Entry, DbError> {
    let record = read_record(row)?;
    let created_at = row.get::<Option<Timestamp>>("created_at")?.unwrap_or(zone.created_at);
    Ok(Entry {
        id: row.get::<Option<String>>("id")?.unwrap_or_else(|| made_id(&zone.name, &record, 0)),
        comment: row.get("comment")?,
        tags: if row.get::<Option<String>>("tags")?.is_some() { row.json("tags")? } else { Vec::new() },
        automatic: row.get::<Option<i64>>("automatic")? == Some(1),
        author: row.get::<Option<String>>("author")?.unwrap_or_default(),
        created_at,
        modified_at: row.get::<Option<Timestamp>>("modified_at")?.unwrap_or(created_at),
        record,
    })
}

fn made_id(zone: &DomainName, record: &Record, salt: i64) -> String {
    let said = format!("{zone} {} {} {salt}", record.owner, text(&record.data));
    hex::encode(&Sha256::digest(said)[..16])
}
