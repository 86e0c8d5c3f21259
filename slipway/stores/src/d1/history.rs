//! A database's file with its past: what makes any moment of the last days come back.
//!
//! SQLite writes each commit to the end of its write-ahead log. We never let it fold the log into the file by itself: when the log is long
//! enough, or a restore needs it, we keep a copy of it as a *segment* and then have it folded in. So `base N` and the first frames of
//! segment N are the database at any commit of segment N, bit by bit. A bookmark is the segment and the number of frames.
//!
//! ```text
//! ID/db.sqlite(-wal)         now
//! ID/history/00000003.base   the file when segment 3 began (not for each segment)
//! ID/history/00000003.wal    segment 3, once it is over
//! ID/history/commits         lines of `segment frames micros`
//! ```
//!
//! INVARIANT (segment-before-fold): a segment is durable before the log that it copies is folded into the file and begun anew.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use purser_values::{Env, Sha256Digest, Timestamp};
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};

use super::guard;
use crate::error::StoreError;
use crate::limits;

/// Header of a log, and of each of its frames, in bytes (sqlite.org/fileformat2.html, 4.1).
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
const PAGE: u64 = 4_096;

thread_local! {
    /// Frames of the log after the last commit of this thread: the hook that is told cannot keep anything else.
    static FRAMES: Cell<Option<u32>> = const { Cell::new(None) };
}

/// A moment of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub segment: u32,
    pub frames: u32,
}

/// An open database.
pub struct History {
    folder: PathBuf,
    name: String,
    env: Env,
    pub connection: Connection,
    now: Moment,
}

impl History {
    pub fn open(folder: &Path, env: Env) -> Result<Self, StoreError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join("history"))?;
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        finish_restore(folder)?;
        let connection = connect(&folder.join("db.sqlite"))?;
        let segment = last_segment(folder)?;
        let frames = frames_of(&folder.join("db.sqlite-wal"))?;
        let this = Self { folder: folder.to_owned(), name, env, connection, now: Moment { segment, frames } };
        if !this.base(segment).exists() && segment == 0 {
            this.write_base(0)?;
        }
        Ok(this)
    }

    /// The moment of the last commit.
    pub const fn moment(&self) -> Moment {
        self.now
    }

    /// Begins a call: what an earlier one on this thread left is not ours.
    pub fn begin(&self) {
        FRAMES.set(None);
    }

    /// Notes a commit that was just made on this connection and thread. A long log becomes a segment.
    pub fn committed(&mut self) -> Result<Moment, StoreError> {
        let Some(frames) = FRAMES.take() else { return Ok(self.now) };
        self.now.frames = frames;
        let moment = self.now;
        let line = format!("{:08x} {:08x} {}\n", moment.segment, moment.frames, self.env.now().as_micros());
        // not flushed: a bookmark tells itself where it is, and a line that a crash takes costs the time of one commit
        options().append(true).create(true).open(self.commits())?.write_all(line.as_bytes())?;
        if u64::from(frames) * (PAGE + FRAME_HEADER) > limits::D1_SEGMENT_BYTES {
            self.turn_over()?;
        }
        Ok(moment)
    }

    /// The bookmark of a moment, as text that sorts by time.
    pub fn bookmark(&self, moment: Moment) -> String {
        let text = format!("{:08x}-{:08x}", moment.segment, moment.frames);
        let sum = Sha256Digest::of_parts(&[self.name.as_bytes(), text.as_bytes()]).to_string();
        format!("{text}-{}-{}", &sum[..8], &sum[8..40])
    }

    /// The moment of a bookmark of this database.
    pub fn find(&self, bookmark: &str) -> Result<Moment, StoreError> {
        let unknown = || StoreError::Refused(7_400, "this is no bookmark of this database".to_owned());
        let mut parts = bookmark.split('-').map(|part| u32::from_str_radix(part, 16));
        let (Some(Ok(segment)), Some(Ok(frames))) = (parts.next(), parts.next()) else { return Err(unknown()) };
        let moment = Moment { segment, frames };
        if self.bookmark(moment) == bookmark && moment <= self.now { Ok(moment) } else { Err(unknown()) }
    }

    /// The last moment that was not after this time.
    pub fn at(&self, time: Timestamp) -> Result<Moment, StoreError> {
        let text = match fs::read_to_string(self.commits()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let mut hex = || u32::from_str_radix(words.next()?, 16).ok();
            let moment = Moment { segment: hex()?, frames: hex()? };
            Some((moment, words.next()?.parse::<i64>().ok()?))
        };
        let before = text.lines().filter_map(parse).take_while(|(_, at)| *at <= time.as_micros()).last();
        let oldest = Moment { segment: self.oldest_base()?, frames: 0 };
        Ok(before.map_or(oldest, |(moment, _)| moment).max(oldest))
    }

    /// The time by this database's clock.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// What a restore writes at most: the log of the present as a segment, and the database as it was then, in bytes.
    pub fn cost(&self, moment: Moment) -> Result<(u64, u64), StoreError> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let log = length(&self.folder.join("db.sqlite-wal"));
        let base = (0..=moment.segment).rev().find(|n| self.base(*n).exists()).ok_or_else(gone)?;
        let segments: u64 = (base..=moment.segment).map(|n| if n == self.now.segment { log } else { length(&self.segment(n)) }).sum();
        Ok((log, length(&self.base(base)).saturating_add(segments)))
    }

    /// Makes a moment of the past the present. What was the present stays in the past.
    pub fn restore(&mut self, moment: Moment) -> Result<(), StoreError> {
        let base = (0..=moment.segment).rev().find(|n| self.base(*n).exists()).ok_or_else(gone)?;
        // what is now becomes a segment, so that it can come back
        self.turn_over()?;
        let next = self.now.segment;
        let work = self.folder.join("restore.sqlite");
        remove_database(&work)?;
        fs::copy(self.base(base), &work)?;
        for segment in base..=moment.segment {
            let from = self.segment(segment);
            if !from.exists() {
                return Err(gone());
            }
            let most = if segment == moment.segment { Some(moment.frames) } else { None };
            fold(&work, &from, most)?;
        }
        File::open(&work)?.sync_all()?;
        // from here on a crash finishes it: see `finish_restore`
        let ready = self.folder.join(format!("restored-{:08x}.sqlite", next));
        fs::rename(&work, &ready)?;
        File::open(&self.folder)?.sync_all()?;
        self.connection = Connection::open_in_memory().map_err(sql)?;
        finish_restore(&self.folder)?;
        self.connection = connect(&self.folder.join("db.sqlite"))?;
        self.now = Moment { segment: next, frames: 0 };
        let line = format!("{:08x} {:08x} {}\n", next, 0, self.env.now().as_micros());
        options().append(true).create(true).open(self.commits())?.write_all(line.as_bytes())?;
        Ok(())
    }

    /// Ends the segment and begins the next.
    fn turn_over(&mut self) -> Result<(), StoreError> {
        let log = self.folder.join("db.sqlite-wal");
        let over = self.segment(self.now.segment);
        let part = over.with_extension("part");
        if log.exists() {
            fs::copy(&log, &part)?;
        } else {
            File::create(&part)?;
        }
        File::open(&part)?.sync_all()?;
        fs::rename(&part, &over)?;
        File::open(self.folder.join("history"))?.sync_all()?;
        let busy: i64 = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0)).map_err(sql)?;
        if busy != 0 {
            return Err(StoreError::internal("a database's log cannot be folded"));
        }
        self.now = Moment { segment: self.now.segment + 1, frames: 0 };
        let base = (0..self.now.segment).rev().find(|n| self.base(*n).exists()).unwrap_or(0);
        let since = u64::from(self.now.segment - base) * limits::D1_SEGMENT_BYTES;
        if since > limits::D1_BASE_BYTES.max(fs::metadata(self.folder.join("db.sqlite"))?.len()) {
            self.write_base(self.now.segment)?;
            self.prune()?;
        }
        Ok(())
    }

    /// What the past takes on the disk, the log of the present among it.
    pub fn past_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = fs::metadata(self.folder.join("db.sqlite-wal")).map_or(0, |log| log.len());
        for entry in fs::read_dir(self.folder.join("history"))? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Keeps the file as it is, which has everything in it when a segment begins.
    fn write_base(&self, segment: u32) -> Result<(), StoreError> {
        let part = self.base(segment).with_extension("new");
        fs::copy(self.folder.join("db.sqlite"), &part)?;
        File::open(&part)?.sync_all()?;
        fs::rename(&part, self.base(segment))?;
        Ok(File::open(self.folder.join("history"))?.sync_all()?)
    }

    /// Forgets what is older than the past goes back, whole bases at a time.
    fn prune(&self) -> Result<(), StoreError> {
        let cutoff = self.at(self.env.now().plus_secs(-limits::D1_PAST_S))?;
        let Some(first) = (0..=cutoff.segment).rev().find(|n| self.base(*n).exists()) else { return Ok(()) };
        self.forget(first)?;
        // and the oldest, when all of it is too much
        while self.past_bytes()? > limits::D1_PAST_BYTES {
            let Some(next) = (self.oldest_base()? + 1..=self.now.segment).find(|n| self.base(*n).exists()) else { break };
            self.forget(next)?;
        }
        Ok(())
    }

    /// Removes everything before a base.
    fn forget(&self, first: u32) -> Result<(), StoreError> {
        for entry in fs::read_dir(self.folder.join("history"))? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| u32::from_str_radix(stem.to_str()?, 16).ok());
            if stem.is_some_and(|segment| segment < first) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn oldest_base(&self) -> Result<u32, StoreError> {
        (0..=self.now.segment).find(|n| self.base(*n).exists()).ok_or_else(|| StoreError::internal("a database has no past"))
    }

    fn base(&self, segment: u32) -> PathBuf {
        self.folder.join("history").join(format!("{segment:08x}.base"))
    }

    fn segment(&self, segment: u32) -> PathBuf {
        self.folder.join("history").join(format!("{segment:08x}.wal"))
    }

    fn commits(&self) -> PathBuf {
        self.folder.join("history").join("commits")
    }
}

fn gone() -> StoreError {
    StoreError::Refused(7_400, "the database was not kept for so long; choose a later bookmark".to_owned())
}

/// Puts a restored file, which is whole, in place of the present one, whose log was folded in and kept before.
fn finish_restore(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?.path();
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(segment) = name.strip_prefix("restored-").and_then(|rest| rest.strip_suffix(".sqlite")) else { continue };
        let (db, base) = (folder.join("db.sqlite"), folder.join("history").join(format!("{segment}.base")));
        let part = base.with_extension("new");
        fs::copy(&entry, &part)?;
        File::open(&part)?.sync_all()?;
        fs::rename(&part, &base)?;
        File::open(folder.join("history"))?.sync_all()?;
        remove_log(&db)?;
        fs::rename(&entry, &db)?;
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !path.exists() {
        options().write(true).create(true).truncate(false).open(path)?;
    }
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NOFOLLOW).map_err(sql)?;
    let settings = format!(
        "pragma page_size = {PAGE}; pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0;
         pragma locking_mode = exclusive; pragma cache_size = -{}; pragma temp_store = file; pragma mmap_size = 0;",
        limits::D1_CACHE_KIB
    );
    connection.execute_batch(&settings).map_err(sql)?;
    guard::settle(&connection).map_err(sql)?;
    connection.wal_hook(Some(|_: &Wal, frames| {
        FRAMES.set(u32::try_from(frames).ok());
        Ok(())
    }));
    Ok(connection)
}

/// Folds the first frames of a log into a file.
fn fold(file: &Path, log: &Path, frames: Option<u32>) -> Result<(), StoreError> {
    let to = PathBuf::from(format!("{}-wal", file.display()));
    remove_log(file)?;
    let most = frames.map_or(u64::MAX, |frames| LOG_HEADER + u64::from(frames) * (PAGE + FRAME_HEADER));
    if frames == Some(0) {
        return Ok(());
    }
    let mut copy = options().write(true).create(true).truncate(true).open(&to)?;
    io::copy(&mut File::open(log)?.take(most), &mut copy)?;
    drop(copy);
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sql)?;
    connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).map_err(sql)?;
    connection.close().map_err(|(_, e)| sql(e))
}

/// Frames of a log up to its last whole commit.
fn frames_of(log: &Path) -> Result<u32, StoreError> {
    let mut file = match File::open(log) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => io::BufReader::with_capacity(1 << 16, file?),
    };
    let (mut header, mut frame) = ([0_u8; 32], vec![0_u8; usize::try_from(PAGE + FRAME_HEADER).unwrap_or(0)]);
    if file.read_exact(&mut header).is_err() {
        return Ok(0);
    }
    let (mut read, mut whole) = (0_u32, 0_u32);
    while file.read_exact(&mut frame).is_ok() && frame[8..16] == header[16..24] {
        read += 1;
        if frame[4..8] != [0; 4] {
            whole = read;
        }
    }
    Ok(whole)
}

fn last_segment(folder: &Path) -> Result<u32, StoreError> {
    let mut next = 0;
    for entry in fs::read_dir(folder.join("history"))? {
        let name = entry?.file_name();
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let name = name.to_string_lossy();
        if let Some(over) = name.strip_suffix(".wal").and_then(number) {
            next = next.max(over + 1);
        } else if let Some(begun) = name.strip_suffix(".base").and_then(number) {
            next = next.max(begun);
        }
    }
    Ok(next)
}

fn remove_log(db: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(format!("{}{suffix}", db.display())) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

fn remove_database(db: &Path) -> io::Result<()> {
    remove_log(db)?;
    match fs::remove_file(db) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

fn sql(e: rusqlite::Error) -> StoreError {
    StoreError::internal(e)
}
