//! Backups of an installation on SQLite, while it serves; and putting one back.
//!
//! A backup is a folder: the database, the audit log's signed checkpoint, uploads on their way, and a list of all with their digests that
//! is written last. The key-encryption key is never in it: what is sealed in the database stays sealed, and is kept elsewhere, once.

mod restore;
mod take;

pub use restore::{Restored, restore};
pub use take::take;

use std::io;
use std::path::{Path, PathBuf};

use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// The name of the list.
const MANIFEST: &str = "backup.json";
const DATABASE: &str = "purser.db";
const AUDIT: &str = "audit";
const UPLOADS: &str = "uploads";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: String,
    pub taken_at: Timestamp,
    pub public_url: String,
    pub files: Vec<BackedUp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Below the backup's folder.
    pub path: String,
    pub bytes: u64,
    pub sha256: Sha256Digest,
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the database is PostgreSQL's, which has its own way")]
    Postgres,
    #[error("there is no database at `{0}`")]
    NoDatabase(PathBuf),
    #[error("there is no signed checkpoint at `{0}`")]
    NoCheckpoint(PathBuf),
    #[error("`{0}` is not empty")]
    Occupied(PathBuf),
    #[error("`{0}` is no finished backup")]
    Unfinished(PathBuf),
    #[error("`{0}` is not as it was backed up")]
    Changed(String),
    #[error("`{0}` holds no key-encryption key")]
    NoKey(PathBuf),
    #[error("the key-encryption key is not the one that the backup was sealed with")]
    OtherKey,
    #[error("the audit log of the backup does not verify: {0}")]
    Log(purser_audit::VerifyError),
    #[error("`{path}`: {why}")]
    File { path: PathBuf, why: io::Error },
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Db(#[from] purser_db::DbError),
}

impl PublicError for BackupError {
    fn code(&self) -> &'static str {
        match self {
            Self::Postgres => "backup_with_pg_dump",
            Self::NoDatabase(_) | Self::NoCheckpoint(_) => "backup_nothing",
            Self::Occupied(_) => "backup_place_taken",
            Self::Unfinished(_) => "backup_unfinished",
            Self::Changed(_) => "backup_changed",
            Self::NoKey(_) => "backup_key_missing",
            Self::OtherKey => "backup_key_wrong",
            Self::Log(_) => "backup_log_broken",
            Self::File { .. } => "backup_file",
            Self::Config(_) => "invalid_request",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Postgres | Self::Config(_) => Kind::Invalid,
            Self::NoDatabase(_) | Self::NoCheckpoint(_) | Self::Unfinished(_) | Self::NoKey(_) => Kind::NotFound,
            Self::Occupied(_) | Self::Changed(_) | Self::OtherKey | Self::Log(_) => Kind::Conflict,
            Self::File { .. } => Kind::Unavailable,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Postgres => "copy `data/audit` first, then run `pg_dump`; docs/production.md has the commands",
            Self::Occupied(_) => "name a new folder, or move what is there away and write down that you did",
            Self::Unfinished(_) => "take another one: the list of files is written last",
            Self::Changed(_) | Self::Log(_) => "keep it as it is, it is evidence; use an older backup",
            Self::NoKey(_) | Self::OtherKey => "put back the `keys` folder of the installation that was backed up",
            Self::NoCheckpoint(_) => "it is made within a moment of the first start; start `purser serve`, or wait",
            Self::NoDatabase(_) | Self::File { .. } | Self::Config(_) | Self::Db(_) => return None,
        };
        Some(hint.to_owned())
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |why| BackupError::File { path, why }
}

/// A new folder of mode 0700, or an empty one that was there.
fn empty_folder(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
    match std::fs::read_dir(path).map_err(failed(path))?.next() {
        None => Ok(()),
        Some(_) => Err(BackupError::Occupied(path.to_owned())),
    }
}

/// Copies the plain files of a folder, those that are gone meanwhile left out. A folder that is not there holds none.
fn copy_folder(from: &Path, to: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(from)(e)),
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(failed(to))?;
    for entry in entries {
        let entry = entry.map_err(failed(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target)?;
        } else if !target.exists() {
            match copy_file(&source, &target) {
                Err(BackupError::File { why, .. }) if why.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// A durable copy of mode 0600.
fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut source = std::fs::File::open(from).map_err(failed(from))?;
    let mut target = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed(to))?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(failed(to))
}

/// The digest of a file of any size, with its length.
fn digest(path: &Path) -> Result<(u64, Sha256Digest), BackupError> {
    let file = std::fs::File::open(path).map_err(failed(path))?;
    Sha256Digest::of_reader(file).map_err(failed(path))
}
