//! What ends a call before its time: whoever asked has gone, or the disk is nearly full.
//!
//! Sorters, and tables that SQLite makes for one statement, spill into files that have no name and are in nobody's size. They lie below the
//! data folder, on the disk that is watched here, and are gone when the statement is.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Time between two looks at the disk.
const SELDOM: Duration = Duration::from_millis(20);

/// The disk that databases lie on.
pub struct Disk {
    folder: PathBuf,
    least_bytes: u64,
}

/// What a call asks every few steps.
#[derive(Clone)]
pub struct Stop {
    gone: Arc<AtomicBool>,
    disk: Arc<Disk>,
    looked: Option<Instant>,
}

/// Whoever waits for a call. Dropped, the call ends.
pub struct Asking(Arc<AtomicBool>);

impl Disk {
    /// Has SQLite spill below the folder. That setting is one of the whole process.
    ///
    /// # Errors
    /// When there is no such folder to be had.
    pub fn spill_below(folder: &Path, least_bytes: u64) -> io::Result<Self> {
        let folder = folder.join("spill");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let set = Connection::open_in_memory().and_then(|any| any.pragma_update(None, "temp_store_directory", folder.to_string_lossy()));
        set.map_err(io::Error::other)?;
        Ok(Self { folder, least_bytes })
    }

    fn is_low(&self) -> bool {
        rustix::fs::statvfs(&self.folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < self.least_bytes)
    }
}

impl Stop {
    pub fn new(disk: &Arc<Disk>) -> (Self, Asking) {
        let gone = Arc::new(AtomicBool::new(false));
        (Self { gone: gone.clone(), disk: disk.clone(), looked: None }, Asking(gone))
    }

    /// Whether the call is over.
    pub fn over(&mut self) -> bool {
        if self.gone.load(Ordering::Relaxed) {
            return true;
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < SELDOM) {
            return false;
        }
        self.looked = Some(Instant::now());
        self.disk.is_low()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_when_the_disk_is_nearly_full_or_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open_in_memory().unwrap();
        let long = "with recursive c(n) as (select 1 union all select n + 1 from c limit 200000) select max(n) from c";
        let run = |least_bytes, waiting: bool| {
            let disk = Arc::new(Disk::spill_below(folder.path(), least_bytes).unwrap());
            let (mut stop, asking) = Stop::new(&disk);
            let asking = Some(asking).filter(|_| waiting);
            connection.progress_handler(100, Some(move || stop.over())).unwrap();
            let ran = connection.query_row(long, [], |row| row.get::<_, i64>(0));
            drop(asking);
            ran.ok()
        };
        assert_eq!(run(0, true), Some(200_000));
        assert_eq!(run(u64::MAX, true), None, "the disk was filled to its end");
        assert_eq!(run(0, false), None, "a statement ran on that nobody waited for");
    }
}
