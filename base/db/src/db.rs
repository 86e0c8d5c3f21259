//! The handle that everybody holds.

use std::time::Duration;

use purser_values::Env;

use crate::config::DbConfig;
use crate::error::DbError;
use crate::migrate::{self, Migrations};
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::tx::{Engine, Tx};

/// A database, cheap to clone.
#[derive(Clone)]
pub struct Db(Inner);

#[derive(Clone)]
enum Inner {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({:?})", self.engine())
    }
}

impl Db {
    /// Opens the database and, on SQLite, makes the file (mode 0600) when there is none.
    ///
    /// # Errors
    /// When the file or the server cannot be reached.
    pub async fn open(config: &DbConfig) -> Result<Self, DbError> {
        Ok(Self(match config {
            DbConfig::Sqlite { path } => Inner::Sqlite(Sqlite::open(path)?),
            DbConfig::Postgres { url } => Inner::Postgres(Postgres::open(url).await?),
        }))
    }

    #[must_use]
    pub const fn engine(&self) -> Engine {
        match self.0 {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Has each durable commit's time told to `who`, in the thread that commits: it must be quick.
    pub fn observe_commits(&self, who: impl Fn(Duration) + Send + Sync + 'static) {
        match &self.0 {
            Inner::Sqlite(sqlite) => sqlite.commits.tell(who),
            Inner::Postgres(postgres) => postgres.commits.tell(who),
        }
    }

    /// A number that is another one after every write of this process that changed something, once somebody can know of the write: while it stays the same,
    /// what was read here is still so, as far as this process goes. Others may have written all the same.
    #[must_use]
    pub fn writes(&self) -> u64 {
        match &self.0 {
            Inner::Sqlite(sqlite) => sqlite.commits.count(),
            Inner::Postgres(postgres) => postgres.commits.count(),
        }
    }

    /// Applies the steps that are not applied yet, in the order given.
    ///
    /// # Errors
    /// When a step fails, or an applied step's text was changed since.
    pub async fn migrate(&self, env: &Env, all: &'static [Migrations]) -> Result<(), DbError> {
        migrate::run(self, env, all).await
    }

    /// Runs `work` on a snapshot; it cannot change anything.
    ///
    /// # Errors
    /// What `work` answers, or a failure of the store.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        match &self.0 {
            Inner::Sqlite(sqlite) => sqlite.read(work).await,
            Inner::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Runs `work` and commits it; see the crate's header for what a closure may do.
    ///
    /// # Errors
    /// What `work` answers (then nothing is changed), or a failure of the store.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        match &self.0 {
            Inner::Sqlite(sqlite) => sqlite.write(work).await,
            Inner::Postgres(postgres) => postgres.write(work).await,
        }
    }
}
