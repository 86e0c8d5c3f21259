//! Copies of databases that may be in use: of a SQLite file, and of every table of a PostgreSQL database.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::DbError;

pub mod postgres;

/// Writes a consistent copy of the database at `from` into a new file of mode 0600. Others go on reading and writing meanwhile; the copy
/// holds everything that was committed before it began.
///
/// # Errors
/// When there is no database, the new file exists or cannot be written.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), DbError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let unwritable = |e: std::io::Error| DbError::Unavailable(format!("`{}` cannot be written: {e}", to.display()));
    let target = to.to_str().ok_or_else(|| DbError::Unavailable("the path of a copy must be UTF-8".to_owned()))?;
    // An empty file is taken as it is, so that the copy is never readable by others.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(unwritable)?;
    let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.execute("vacuum into ?1", [target])?;
    file.sync_all().map_err(unwritable)
}
