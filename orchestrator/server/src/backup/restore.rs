//! Putting a backup back where nothing is.
//!
//! Nothing is overwritten: where there is a database or a checkpoint already, the answer is no. What was put back is then checked as if
//! it came from a stranger: every digest, every entry of the log against the signed checkpoint, and the keys with the key-encryption key.

use std::path::{Component, Path};

use purser_audit::Report;
use purser_crypto::seal::Keyring;
use purser_db::{Db, DbConfig, DbError};
use purser_identity::Keys;
use purser_values::Timestamp;
use serde::Serialize;

use super::{AUDIT, BackupError, DATABASE, MANIFEST, Manifest, UPLOADS, copy_file, copy_folder, digest, failed};
use crate::config::Config;
use crate::serve::read_secret;

/// What is there now.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    pub taken_at: Timestamp,
    pub files: usize,
    pub log: Report,
}

/// Puts a backup back.
///
/// # Errors
/// When it is not whole, its place is taken, the key does not fit, or the log does not verify; then the place is left empty.
pub async fn restore(config: &Config, from: &Path) -> Result<Restored, BackupError> {
    let manifest = read(from)?;
    let database = match config.database.parse::<DbConfig>().map_err(|e| BackupError::Config(e.to_string()))? {
        DbConfig::Sqlite { path } => path,
        DbConfig::Postgres { .. } => return Err(BackupError::Postgres),
    };
    let (audit, uploads) = (config.data.join(AUDIT), config.data.join(UPLOADS));
    for taken in [&database, &audit.join("checkpoint.jws")] {
        if taken.exists() {
            return Err(BackupError::Occupied(taken.clone()));
        }
    }
    let kek = config.keys.join("kek.hex");
    if !kek.is_file() {
        return Err(BackupError::NoKey(config.keys.clone()));
    }
    let keyring = read_secret(&kek).map_err(|e| BackupError::Config(e.to_string()))?;
    let keyring = Keyring::from_hex(&keyring).map_err(|_| BackupError::OtherKey)?;
    let put = put_back(from, &database, &audit, &uploads);
    let checked = match put {
        Ok(()) => check(&database, &audit, keyring).await,
        Err(e) => Err(e),
    };
    match checked {
        Ok(log) => Ok(Restored { taken_at: manifest.taken_at, files: manifest.files.len(), log }),
        Err(e) => {
            take_away(&database, &audit);
            Err(e)
        }
    }
}

fn read(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST);
    let text = std::fs::read(&path).map_err(|_| BackupError::Unfinished(from.to_owned()))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| BackupError::Unfinished(from.to_owned()))?;
    for file in &manifest.files {
        let path = Path::new(&file.path);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || digest(&from.join(path)).ok() != Some((file.bytes, file.sha256)) {
            return Err(BackupError::Changed(file.path.clone()));
        }
    }
    let held = |name: &str| manifest.files.iter().any(|file| file.path == name);
    if held(DATABASE) { Ok(manifest) } else { Err(BackupError::Unfinished(from.to_owned())) }
}

fn put_back(from: &Path, database: &Path, audit: &Path, uploads: &Path) -> Result<(), BackupError> {
    for folder in [database.parent(), audit.parent()].into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    copy_folder(&from.join(AUDIT), audit)?;
    copy_folder(&from.join(UPLOADS), uploads)?;
    copy_file(&from.join(DATABASE), database)
}

async fn check(database: &Path, audit: &Path, keyring: Keyring) -> Result<Report, BackupError> {
    let report = purser_audit::verify_files(database, audit, purser_identity::grant::consent_in_event).await.map_err(BackupError::Log)?;
    let db = Db::open(&DbConfig::Sqlite { path: database.to_owned() }).await?;
    let opened = db.read::<_, DbError, _>(move |tx| Ok(Keys::opens(tx, &keyring).is_ok())).await?;
    if opened { Ok(report) } else { Err(BackupError::OtherKey) }
}

/// Only what this restore put there: before it, neither was there.
fn take_away(database: &Path, audit: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
    let _ = std::fs::remove_file(audit.join("checkpoint.jws"));
}
