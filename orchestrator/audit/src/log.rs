//! The task that chains (on PostgreSQL) and writes checkpoints.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use purser_crypto::jose::KeySource;
use purser_db::{Db, DbError, Engine, params};
use purser_values::{Env, Sha256Digest};
use tokio::sync::Notify;

use crate::chain::{self, Head};
use crate::checkpoint::{Checkpoint, Folder};
use crate::run;

/// Longest time that an entry waits for its number on PostgreSQL, when no local write wakes the sequencer earlier.
const SEQUENCE_EVERY: Duration = Duration::from_millis(50);
/// Checkpoints are written at most this often.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the audit log was cut or changed: the database does not hold entry {seq} of the signed checkpoint; run `purser audit verify`, then restore the database from a backup that does"
    )]
    Cut { seq: i64 },
    #[error("the audit checkpoint cannot be used: {0}")]
    Checkpoint(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// The running log, cheap to clone.
#[derive(Clone)]
pub struct Log {
    wake: Arc<Notify>,
}

impl Log {
    /// Compares the database with the last checkpoint, which any of our keys may have signed, and starts the task that keeps both in
    /// step.
    ///
    /// # Errors
    /// When the database lacks what the checkpoint has seen ([`StartError::Cut`]), or either cannot be read.
    pub async fn start(db: Db, env: Env, folder: PathBuf, keys: Arc<dyn KeySource>) -> Result<Self, StartError> {
        let folder = Folder(folder);
        folder.add_key(keys.signing().public())?;
        if let Some(checkpoint) = folder.read(|kid| keys.known(kid))? {
            compare(&db, checkpoint).await?;
        }
        let wake = Arc::new(Notify::new());
        // What was appended beside us, or just before a crash, is signed at once.
        wake.notify_one();
        tokio::spawn(keep(db, env, folder, keys, wake.clone()));
        Ok(Self { wake })
    }

    /// Tells the task that events were appended here.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

async fn compare(db: &Db, checkpoint: Checkpoint) -> Result<(), StartError> {
    let seq = checkpoint.seq;
    let found: Option<Sha256Digest> = db
        .read::<_, DbError, _>(move |tx| {
            // A checkpoint is of the end of a write, and so of the end of a run.
            let row = tx.query_opt("select hashes from audit_event where seq = $1", params![seq])?;
            row.as_ref().map(run::last_hash).transpose()
        })
        .await?;
    if found == Some(checkpoint.hash) { Ok(()) } else { Err(StartError::Cut { seq }) }
}

async fn keep(db: Db, env: Env, folder: Folder, keys: Arc<dyn KeySource>, wake: Arc<Notify>) {
    let mut signed = 0;
    loop {
        match db.engine() {
            Engine::Sqlite => wake.notified().await,
            Engine::Postgres => drop(tokio::time::timeout(SEQUENCE_EVERY, wake.notified()).await),
        }
        let head = match db.engine() {
            Engine::Sqlite => db.read(chain::head).await,
            Engine::Postgres => sequence(&db).await,
        };
        match head {
            Ok(head) if head.seq > signed => match write(&folder, &*keys, &env, head) {
                Ok(()) => signed = head.seq,
                Err(e) => tracing::error!(error = %e, "the audit checkpoint cannot be written"),
            },
            Ok(_) => {}
            Err(e) => tracing::error!(error = %e, "the audit log cannot be read"),
        }
        if db.engine() == Engine::Sqlite {
            tokio::time::sleep(CHECKPOINT_EVERY).await;
        }
    }
}

/// Looks before it locks, so that an idle log costs a read and nothing else.
async fn sequence(db: &Db) -> Result<Head, DbError> {
    let waiting = db.read::<_, DbError, _>(|tx| tx.query_opt("select id from audit_event where seq is null limit 1", params![])).await?;
    match waiting {
        Some(_) => db.write(chain::extend).await,
        None => db.read(chain::head).await,
    }
}

fn write(folder: &Folder, keys: &dyn KeySource, env: &Env, head: Head) -> std::io::Result<()> {
    let key = keys.signing();
    folder.add_key(key.public())?;
    folder.write(&Checkpoint { seq: head.seq, hash: head.hash, at: env.now() }, &key)
}
