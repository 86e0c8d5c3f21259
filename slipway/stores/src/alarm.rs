//! The alarms of Durable Objects, read while no process has them open.
//!
//! workerd keeps them in a database of its own beside the objects (`metadata.sqlite`, table `_cf_ALARM`, nanoseconds), and takes a row
//! away when it has fired. The files are a tenant's: whoever broke out of workerd can have written anything there. So they are copied, up to a
//! size, and only the copy is opened; what it may have SQLite do is bounded in steps.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use purser_values::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// Largest database of alarms, and log of one, that is looked into, in bytes. Some hundred thousand alarms fit.
const BYTES: u64 = 16 * 1024 * 1024;
/// Steps of SQLite's machine between two counts, and counts after which it is stopped.
const STEPS: i32 = 1_000;
const COUNTS: u32 = 10_000;

/// When the earliest is due; nothing when there is none, or the file is not one that workerd made.
#[must_use]
pub fn earliest(file: &Path) -> Option<Timestamp> {
    let folder = tempfile::tempdir().ok()?;
    let copy = folder.path().join("alarms");
    // With its log: what a process that ended suddenly left in there is part of the database.
    for suffix in ["", "-wal"] {
        match copied(&beside(file, suffix), &beside(&copy, suffix)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && suffix == "-wal" => {}
            copied => copied.ok()?,
        }
    }
    let db = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).ok()?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).ok()?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).ok()?;
    let mut counts = 0;
    let over = move || {
        counts += 1;
        counts > COUNTS
    };
    db.progress_handler(STEPS, Some(over)).ok()?;
    // one that is no table could be anything
    let table = "select 1 from sqlite_schema where type = 'table' and name = '_cf_ALARM' and sql not like 'create virtual%'";
    db.query_row(table, [], |_| Ok(())).ok()?;
    let nanos: Option<i64> = db.query_row("select min(scheduled_time) from _cf_ALARM", [], |row| row.get(0)).ok()?;
    nanos.map(|nanos| Timestamp::from_micros(nanos / 1_000))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a plain file that is not too large. A tenant may put a link, or a pipe, in its place.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(from)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > BYTES {
        return Err(io::Error::other("it is no file of alarms"));
    }
    let mut out = fs::File::options().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut file.take(BYTES), &mut out).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_alarm_is_read_and_anything_else_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metadata.sqlite");
        assert_eq!(earliest(&file), None);
        let db = Connection::open(&file).unwrap();
        assert_eq!(earliest(&file), None);
        db.execute_batch(
            "pragma journal_mode = wal; create table _cf_ALARM (actor_id text primary key, scheduled_time integer, actor_name text)",
        )
        .unwrap();
        assert_eq!(earliest(&file), None);
        db.execute_batch("insert into _cf_ALARM values ('b', 9000000, null), ('a', 5000000, null)").unwrap();
        let log = fs::read(beside(&file, "-wal")).unwrap();
        assert!(!log.is_empty(), "it is in the file already: this tests nothing");
        assert_eq!(earliest(&file), Some(Timestamp::from_micros(5_000)));
        assert_eq!(fs::read(beside(&file, "-wal")).unwrap(), log, "the tenant's own files were written to");
    }

    #[test]
    fn a_file_that_somebody_made_up_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let view = folder.path().join("view.sqlite");
        let endless = "create view _cf_ALARM as with recursive c(scheduled_time) as (select 1 union all select scheduled_time + 1 from c) select * from c";
        Connection::open(&view).unwrap().execute_batch(endless).unwrap();
        let link = folder.path().join("link.sqlite");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let large = folder.path().join("large.sqlite");
        File::create(&large).unwrap().set_len(BYTES + 1).unwrap();
        for file in [&view, &link, &large] {
            assert_eq!(earliest(file), None, "{}", file.display());
        }
    }
}
