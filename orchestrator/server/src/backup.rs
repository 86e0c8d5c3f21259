//! Backups of an installation while it serves; and putting one back.
//!
//! A backup is a folder: the database (a copy of SQLite's file, or one file with every table of PostgreSQL's), the audit log's signed
//! checkpoint, uploads on their way, and a list of all with their digests that is written last. The key-encryption key is never in it: what is sealed in the database stays sealed, and is kept elsewhere, once.

mod restore;
mod take;

pub use restore::{Restored, restore};
pub use take::take;

use std::io;
use std::path::{Path, PathBuf};

use purser_audit::{Report, VerifyError};
use purser_db::backup::postgres::{Copied, DumpError};
use purser_db::{Db, DbConfig};
use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// The name of the list.
const MANIFEST: &str = "backup.json";
/// The database of an installation on SQLite, and the tables of one on PostgreSQL.
const DATABASE: &str = "purser.db";
const TABLES: &str = "purser.tables";
const AUDIT: &str = "audit";
const UPLOADS: &str = "uploads";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: String,
    pub taken_at: Timestamp,
    pub public_url: String,
    pub files: Vec<BackedUp>,
    /// Of a database on PostgreSQL: its tables, all of one moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Copied>,
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
    #[error("there is no database at `{0}`")]
    NoDatabase(PathBuf),
    #[error("the database has no tables")]
    NoTables,
    #[error("the database has tables already")]
    TablesThere,
    #[error("the backup is of {0}, the configuration names another kind of database")]
    OtherEngine(&'static str),
    #[error("there is no signed checkpoint at `{0}`")]
    NoCheckpoint(PathBuf),
    #[error("there is something at `{0}` already")]
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
    #[error("the books of the backup do not add up: {0}")]
    Money(String),
    #[error(transparent)]
    Dump(#[from] DumpError),
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
            Self::OtherEngine(_) => "backup_other_engine",
            Self::NoDatabase(_) | Self::NoTables | Self::NoCheckpoint(_) => "backup_nothing",
            Self::Occupied(_) | Self::TablesThere => "backup_place_taken",
            Self::Unfinished(_) => "backup_unfinished",
            Self::Changed(_) => "backup_changed",
            Self::NoKey(_) => "backup_key_missing",
            Self::OtherKey => "backup_key_wrong",
            Self::Log(_) => "backup_log_broken",
            Self::Money(_) => "backup_books_wrong",
            Self::Dump(DumpError::Version(_)) => "backup_other_version",
            Self::Dump(DumpError::Form(_)) => "backup_changed",
            Self::Dump(DumpError::Db(e)) => e.code(),
            Self::Dump(DumpError::Read(_) | DumpError::Write(_)) => "backup_file",
            Self::File { .. } => "backup_file",
            Self::Config(_) => "invalid_request",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::OtherEngine(_) | Self::Config(_) => Kind::Invalid,
            Self::NoDatabase(_) | Self::NoTables | Self::NoCheckpoint(_) | Self::Unfinished(_) | Self::NoKey(_) => Kind::NotFound,
            Self::Occupied(_) | Self::TablesThere | Self::Changed(_) | Self::OtherKey | Self::Log(_) | Self::Money(_) => Kind::Conflict,
            Self::Dump(DumpError::Version(_) | DumpError::Form(_)) => Kind::Conflict,
            Self::Dump(DumpError::Read(_) | DumpError::Write(_)) | Self::File { .. } => Kind::Unavailable,
            Self::Db(e) | Self::Dump(DumpError::Db(e)) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::OtherEngine(_) => "name a database of the same kind in the configuration: a backup does not move between them",
            Self::TablesThere => "name an empty database: `createdb NAME`",
            Self::NoTables => "check `database` in the configuration: it is the one of the installation that serves",
            Self::Dump(DumpError::Version(_)) => "put it back with the version that took it, then start the new one, which migrates",
            Self::Dump(DumpError::Form(_)) | Self::Money(_) => "keep it as it is, it is evidence; use an older backup",
            Self::Occupied(_) => "name a new folder, or move what is there away and write down that you did",
            Self::Unfinished(_) => "take another one: the list of files is written last",
            Self::Changed(_) | Self::Log(_) => "keep it as it is, it is evidence; use an older backup",
            Self::NoKey(_) | Self::OtherKey => "put back the `keys` folder of the installation that was backed up",
            Self::NoCheckpoint(_) => "it is made within a moment of the first start; start `purser serve`, or wait",
            Self::NoDatabase(_) | Self::File { .. } | Self::Config(_) | Self::Db(_) | Self::Dump(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Checks the log in the database of an installation against the checkpoint in its data folder, whether or not it serves.
///
/// # Errors
/// The first entry that is not as it was written, or why the log cannot be read.
pub async fn audit_verify(config: &Config) -> Result<Report, VerifyError> {
    let absent = |e: <DbConfig as std::str::FromStr>::Err| VerifyError::Absent(e.to_string());
    let (check, audit) = (purser_identity::grant::consent_in_event, config.data.join(AUDIT));
    match config.database.parse::<DbConfig>().map_err(absent)? {
        DbConfig::Sqlite { path } => purser_audit::verify_files(&path, &audit, check).await,
        postgres @ DbConfig::Postgres { .. } => purser_audit::verify_store(&Db::open(&postgres).await?, &audit, check).await,
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |why| BackupError::File { path, why }
}

/// A new folder of mode 0700, or an empty one that was there.
fn empty_folder(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.is_file() {
        return Err(BackupError::Occupied(path.to_owned()));
    }
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
