//! Putting a backup back where nothing is.
//!
//! Nothing is overwritten: where there is a database or a checkpoint already, the answer is no. What was put back is then checked as if
//! it came from a stranger: every digest, every entry of the log against the signed checkpoint, and the keys with the key-encryption key.

use std::path::{Component, Path};

use purser_audit::{Checkpoint, Report};
use purser_crypto::seal::Keyring;
use purser_db::backup::postgres;
use purser_db::{Db, DbConfig, Tx};
use purser_identity::Keys;
use purser_values::Timestamp;
use serde::Serialize;

use super::{AUDIT, BackupError, DATABASE, MANIFEST, Manifest, TABLES, UPLOADS, copy_file, copy_folder, digest, failed};
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
/// When it is not whole, its place is taken, the key does not fit, or the log or the books are not right; then the place is left empty.
pub async fn restore(config: &Config, from: &Path) -> Result<Restored, BackupError> {
    let database = config.database.parse::<DbConfig>().map_err(|e| BackupError::Config(e.to_string()))?;
    let manifest = read(from, &database)?;
    let (audit, uploads) = (config.data.join(AUDIT), config.data.join(UPLOADS));
    let file = if let DbConfig::Sqlite { path } = &database { Some(path.clone()) } else { None };
    for taken in file.iter().chain([&audit.join("checkpoint.jws")]) {
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
    let checked = match put_back(from, file.as_deref(), &audit, &uploads) {
        Ok(()) => match &file {
            Some(path) => check(path, &audit, keyring).await,
            None => load(&database, from, &audit, keyring).await,
        },
        Err(e) => Err(e),
    };
    match checked {
        Ok(log) => Ok(Restored { taken_at: manifest.taken_at, files: manifest.files.len(), log }),
        Err(e) => {
            take_away(file.as_deref(), &audit);
            Err(e)
        }
    }
}

fn read(from: &Path, database: &DbConfig) -> Result<Manifest, BackupError> {
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
    match (held(DATABASE), held(TABLES), database) {
        (true, _, DbConfig::Sqlite { .. }) | (_, true, DbConfig::Postgres { .. }) => Ok(manifest),
        (true, ..) => Err(BackupError::OtherEngine("SQLite")),
        (_, true, _) => Err(BackupError::OtherEngine("PostgreSQL")),
        _ => Err(BackupError::Unfinished(from.to_owned())),
    }
}

fn put_back(from: &Path, database: Option<&Path>, audit: &Path, uploads: &Path) -> Result<(), BackupError> {
    for folder in [database.and_then(Path::parent), audit.parent()].into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    copy_folder(&from.join(AUDIT), audit)?;
    copy_folder(&from.join(UPLOADS), uploads)?;
    database.map_or(Ok(()), |database| copy_file(&from.join(DATABASE), database))
}

async fn check(database: &Path, audit: &Path, keyring: Keyring) -> Result<Report, BackupError> {
    let checkpoint = purser_audit::read_checkpoint(audit).map_err(BackupError::Log)?;
    let db = Db::open(&DbConfig::Sqlite { path: database.to_owned() }).await?;
    db.read(move |tx| is_right(tx, &checkpoint, &keyring)).await
}

/// Makes the tables and fills them, in one write: what is not right leaves the database as empty as it was.
async fn load(database: &DbConfig, from: &Path, audit: &Path, keyring: Keyring) -> Result<Report, BackupError> {
    let checkpoint = purser_audit::read_checkpoint(audit).map_err(BackupError::Log)?;
    let db = Db::open(database).await?;
    let path = from.join(TABLES);
    db.write(move |tx| {
        if !postgres::is_empty(tx)? {
            return Err(BackupError::TablesThere);
        }
        let file = std::fs::File::open(&path).map_err(failed(&path))?;
        postgres::load(tx, &mut std::io::BufReader::new(file), crate::serve::TABLES)?;
        is_right(tx, &checkpoint, &keyring)
    })
    .await
}

/// The log against the signed checkpoint, the books, and whether the keys open with this key-encryption key.
fn is_right(tx: &mut Tx<'_>, checkpoint: &Checkpoint, keyring: &Keyring) -> Result<Report, BackupError> {
    let log = purser_audit::verify_with(tx, Some(checkpoint), purser_identity::grant::consent_in_event).map_err(BackupError::Log)?;
    if let Some(wrong) = purser_spend::verify::check(tx)?.into_iter().next() {
        return Err(BackupError::Money(wrong.what));
    }
    if Keys::opens(tx, keyring).is_ok() { Ok(log) } else { Err(BackupError::OtherKey) }
}

/// Only what this restore put there: before it, neither was there.
fn take_away(database: Option<&Path>, audit: &Path) {
    if let Some(database) = database {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
        }
    }
    let _ = std::fs::remove_file(audit.join("checkpoint.jws"));
}
