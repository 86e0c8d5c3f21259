//! Open databases. One call at a time for each, a few for all: SQL takes processor time, and somebody else waits for it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use purser_values::{Env, id::CloudAccountId};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::history::History;
use super::stop::Disk;
use crate::error::StoreError;
use crate::limits;

/// The databases of this host.
pub struct Engine {
    folder: PathBuf,
    env: Env,
    open: Mutex<HashMap<String, Arc<Turn<Option<Held>>>>>,
    all: Arc<Semaphore>,
    each: Mutex<HashMap<CloudAccountId, Arc<Semaphore>>>,
    pub disk: Arc<Disk>,
}

/// One open database.
pub struct Held {
    pub history: History,
}

/// A call's turn at a database, and its places among those that run.
pub struct Place {
    folder: PathBuf,
    env: Env,
    held: OwnedMutexGuard<Option<Held>>,
    own: OwnedSemaphorePermit,
    shared: OwnedSemaphorePermit,
}

impl Engine {
    pub fn open(folder: &Path, env: Env) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let all = Arc::new(Semaphore::new(limits::D1_AT_A_TIME));
        let disk = Arc::new(Disk::spill_below(folder, limits::D1_DISK_LEAST_BYTES)?);
        Ok(Self { folder: folder.to_owned(), env, open: Mutex::default(), all, each: Mutex::default(), disk })
    }

    /// Waits for a turn at a database that is then looked up among the account's.
    pub async fn enter(&self, account: &CloudAccountId, id: &str) -> Result<Place, StoreError> {
        let held = self.turn(id).lock_owned().await;
        let own = self.place(account).acquire_owned().await.map_err(StoreError::internal)?;
        let shared = self.all.clone().acquire_owned().await.map_err(StoreError::internal)?;
        Ok(Place { folder: self.folder.join(id), env: self.env.clone(), held, own, shared })
    }

    /// Closes a database when its last call is done.
    pub fn close(&self, id: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Removes the files of a database.
    pub async fn remove(&self, id: &str) -> io::Result<()> {
        self.close(id);
        match tokio::fs::remove_dir_all(self.folder.join(id)).await {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn turn(&self, id: &str) -> Arc<Turn<Option<Held>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.get(id) {
            return found.clone();
        }
        if open.len() >= limits::D1_OPEN {
            // whoever works on one keeps it open
            open.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        open.entry(id.to_owned()).or_default().clone()
    }

    fn place(&self, account: &CloudAccountId) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if each.len() > limits::D1_OPEN {
            each.retain(|_, places| Arc::strong_count(places) > 1);
        }
        each.entry(account.clone()).or_insert_with(|| Arc::new(Semaphore::new(limits::D1_AT_A_TIME_EACH))).clone()
    }
}

impl Place {
    /// Runs `work` on the database, alone; to its end, also when nobody waits for that any more.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Held) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Self { folder, env, mut held, own, shared } = self;
        // Some functions of SQL cannot be interrupted: whoever runs such a one for hours loses one of the account's places, and nobody else's.
        let (running, over) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(async move {
            let _shared = shared;
            if tokio::time::timeout(limits::D1_STUCK, over).await.is_err() {
                tracing::warn!(target: "slipway::incident", "a database call cannot be stopped");
            }
        });
        let work = move || {
            let _held = (own, running);
            let database = match held.take() {
                Some(database) => database,
                None => Held { history: History::open(&folder, env)? },
            };
            let database = held.insert(database);
            work(database)
        };
        let stuck = || StoreError::Sql("the query takes too long and cannot be stopped: SQLITE_INTERRUPT".to_owned());
        let worked = tokio::time::timeout(limits::D1_STUCK, tokio::task::spawn_blocking(work)).await.map_err(|_| stuck())?;
        worked.map_err(StoreError::internal)?
    }
}
