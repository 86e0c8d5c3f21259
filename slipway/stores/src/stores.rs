//! The service: tables, objects and files under one roof.

use std::path::PathBuf;
use std::sync::Arc;

use purser_db::{Db, Tx};
use purser_values::Env;

use tokio::sync::Notify;

use crate::body::Body;
use crate::cache::Cache;
use crate::d1::engine::Engine;
use crate::d1::import::Imports;
use crate::error::StoreError;
use crate::limits;
use crate::objects::Objects;
use crate::objects::local::LocalObjects;
use crate::objects::place;
use crate::objects::s3::{S3Config, S3Objects};
use crate::rate::Rates;
use crate::room::{self, RoomOf, Stored};

/// Where the service finds things.
#[derive(Clone, Debug)]
pub struct StoresConfig {
    /// The data folder; the stores have a folder of their own in it.
    pub data: PathBuf,
    /// Where objects lie, when it is not the data folder.
    pub s3: Option<S3Config>,
}

/// What must hold where something is changed. Refuses with [`StoreError::Stopped`].
pub type Condition = Arc<dyn Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + Sync>;

/// The stores, cheap to clone.
#[derive(Clone)]
pub struct Stores(Arc<Inner>, Option<Condition>);

pub(crate) struct Inner {
    pub db: Db,
    pub env: Env,
    pub objects: Arc<dyn Objects>,
    pub d1: Engine,
    pub imports: Imports,
    /// Something was sent or settled here.
    pub queued: Notify,
    pub cache: Cache,
    pub rates: Rates,
    pub room: RoomOf,
}

impl Stores {
    /// # Errors
    /// When the folder cannot be used, or the bucket's configuration cannot.
    pub fn open(config: &StoresConfig, db: Db, env: Env) -> Result<Self, StoreError> {
        Self::open_within(config, Arc::new(|_, _| Ok(limits::ACCOUNT_BYTES)), db, env)
    }

    /// As [`Stores::open`], with as much room for each account as `room` says.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub fn open_within(config: &StoresConfig, room: RoomOf, db: Db, env: Env) -> Result<Self, StoreError> {
        let local = config.data.join("objects");
        let place = config.s3.as_ref().map_or_else(|| place::HERE.to_owned(), S3Config::place);
        place::hold(&config.data, &local, &place)?;
        let objects: Arc<dyn Objects> = match &config.s3 {
            Some(s3) => Arc::new(S3Objects::open(s3)?),
            None => Arc::new(LocalObjects::open(&local, env.clone())?),
        };
        let d1 = Engine::open(&config.data.join("d1"), env.clone())?;
        let (imports, queued, cache, rates) = (Imports::default(), Notify::new(), Cache::default(), Rates::default());
        Ok(Self(Arc::new(Inner { db, env, objects, d1, imports, queued, cache, rates, room }), None))
    }

    /// The same for a caller whose right to change anything can end meanwhile.
    ///
    /// INVARIANT (stopped-changes-nothing): the condition is asked in the very transaction of each change.
    #[must_use]
    pub fn only_while(&self, condition: Condition) -> Self {
        Self(self.0.clone(), Some(condition))
    }

    /// What every account keeps.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stored(&self) -> Result<Vec<Stored>, StoreError> {
        Ok(self.0.db.read(room::stored).await?)
    }

    /// The Cache API of a tenant's Workers.
    pub async fn cached(&self, tenant: &str, request: http::Request<Body>) -> http::Response<Body> {
        self.0.cache.answer(&self.0.env, tenant, request).await
    }

    /// A rate limit of a tenant's Workers. `scope` is whose limit it is.
    pub async fn rated(&self, scope: &[&str], limit: u32, period_s: u32, request: http::Request<Body>) -> http::Response<Body> {
        self.0.rates.answer(&self.0.env, scope, limit, period_s, request).await
    }

    pub(crate) fn condition(&self) -> Option<Condition> {
        self.1.clone()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Every write for a caller goes through here.
    pub(crate) async fn change<T, F>(&self, write: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let condition = self.1.clone();
        let written = self.0.db.write(move |tx| {
            if let Some(condition) = &condition {
                condition(tx)?;
            }
            write(tx)
        });
        written.await
    }

    pub(crate) async fn look<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.db.read(read).await
    }
}
