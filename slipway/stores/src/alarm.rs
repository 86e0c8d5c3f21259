//! The alarms of Durable Objects, read while no process has them open.
//!
//! workerd keeps them in a database of its own beside the objects (`metadata.sqlite`, table `_cf_ALARM`, nanoseconds), and takes a row
//! away when it has fired.

use std::path::Path;

use purser_values::Timestamp;
use rusqlite::{Connection, OpenFlags};

/// When the earliest is due; nothing when there is none, or the file is not one that workerd made.
#[must_use]
pub fn earliest(file: &Path) -> Option<Timestamp> {
    // Not read-only: what a process that ended suddenly left in its log is part of the database.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(file, flags).ok()?;
    let nanos: Option<i64> = db.query_row("select min(scheduled_time) from _cf_ALARM", [], |row| row.get(0)).ok()?;
    nanos.map(|nanos| Timestamp::from_micros(nanos / 1_000))
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
        db.execute_batch("create table _cf_ALARM (actor_id text primary key, scheduled_time integer, actor_name text)").unwrap();
        assert_eq!(earliest(&file), None);
        db.execute_batch("insert into _cf_ALARM values ('b', 9000000, null), ('a', 5000000, null)").unwrap();
        assert_eq!(earliest(&file), Some(Timestamp::from_micros(5_000)));
    }
}
