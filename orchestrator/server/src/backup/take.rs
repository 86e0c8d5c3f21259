//! Taking a backup while the installation serves.
//!
//! Order matters. The checkpoint is copied before the database, so that the copy of the database holds everything that the checkpoint
//! has seen. Uploads are copied before and after: one that the database's copy needs was there at one of the two moments.

use std::fs::OpenOptions;
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use purser_db::backup::postgres::{self, Copied};
use purser_db::{Db, DbConfig, DbError};
use purser_values::Env;

use super::{
    AUDIT, BackedUp, BackupError, DATABASE, MANIFEST, Manifest, TABLES, UPLOADS, copy_file, copy_folder, digest, empty_folder, failed,
};
use crate::config::Config;

/// Writes a backup into a new folder.
///
/// # Errors
/// When there is no database, the folder is not empty, or a file cannot be read or written.
pub async fn take(config: &Config, to: &Path, env: &Env) -> Result<Manifest, BackupError> {
    let database = config.database.parse::<DbConfig>().map_err(|e| BackupError::Config(e.to_string()))?;
    let served = match &database {
        DbConfig::Sqlite { path } if !path.is_file() => return Err(BackupError::NoDatabase(path.clone())),
        DbConfig::Sqlite { .. } => None,
        DbConfig::Postgres { .. } => Some(Db::open(&database).await?),
    };
    if let Some(db) = &served
        && db.read::<_, DbError, _>(postgres::is_empty).await?
    {
        return Err(BackupError::NoTables);
    }
    empty_folder(to)?;
    checkpoint(&config.data.join(AUDIT), &to.join(AUDIT))?;
    copy_folder(&config.data.join(UPLOADS), &to.join(UPLOADS))?;
    let tables = match (&database, served) {
        (DbConfig::Sqlite { path }, _) => {
            purser_db::backup::copy_sqlite(path, &to.join(DATABASE))?;
            Vec::new()
        }
        (_, Some(db)) => dump(&db, to.join(TABLES)).await?,
        (DbConfig::Postgres { .. }, None) => Vec::new(),
    };
    copy_folder(&config.data.join(UPLOADS), &to.join(UPLOADS))?;

    let mut files = Vec::new();
    list(to, to, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest { version, taken_at: env.now(), public_url: config.public_url.to_string(), files, tables };
    let path = to.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| BackupError::Config(e.to_string()))?;
    let partial = to.join("backup.json.part");
    std::fs::write(&partial, text).and_then(|()| std::fs::File::open(&partial)?.sync_all()).map_err(failed(&partial))?;
    std::fs::rename(&partial, &path).map_err(failed(&path))?;
    std::fs::File::open(to).and_then(|folder| folder.sync_all()).map_err(failed(to))?;
    Ok(manifest)
}

/// Every table as of one moment, in one durable file of mode 0600.
async fn dump(db: &Db, path: PathBuf) -> Result<Vec<Copied>, BackupError> {
    db.read(move |tx| {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed(&path))?;
        let mut out = BufWriter::new(file);
        let tables = postgres::dump(tx, &mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).map_err(failed(&path))?;
        Ok(tables)
    })
    .await
}

/// By name: the process that serves replaces the file by a rename, in the middle of which a listing of the folder can miss it.
fn checkpoint(from: &Path, to: &Path) -> Result<(), BackupError> {
    empty_folder(to)?;
    // The checkpoint first: keys are only ever added to the other file, so that it holds the one that signed.
    for name in ["checkpoint.jws", "checkpoint-key.json"] {
        let source = from.join(name);
        if !source.exists() {
            return Err(BackupError::NoCheckpoint(source));
        }
        copy_file(&source, &to.join(name))?;
    }
    Ok(())
}

fn list(root: &Path, folder: &Path, files: &mut Vec<BackedUp>) -> Result<(), BackupError> {
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.is_dir() {
            list(root, &path, files)?;
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let (bytes, sha256) = digest(&path)?;
        files.push(BackedUp { path: below, bytes, sha256 });
    }
    Ok(())
}
