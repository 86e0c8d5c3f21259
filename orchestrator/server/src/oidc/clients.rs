//! Which clients there are, and their keys: from the configuration, the store, or the document at a client's own URL.
//!
//! What is looked up is kept in memory for a moment, so that the token endpoint need not read the store for every request. A change
//! made here is seen at once, one made at another node within [`KEEP_S`].

mod document;
mod issuer_keys;
mod kept;
mod key_set;
mod rules;

pub use rules::{ConfiguredClient, Registration, Rules};

use std::collections::HashMap;
use std::sync::Arc;

use purser_crypto::jose::ForeignKeys;
use purser_db::Db;
use purser_http::Fetcher;
use purser_identity::client::document::DocumentError;
use purser_identity::client::{Client, ClientId, KeySet, client_find};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use tokio::sync::Semaphore;
use url::Url;

pub(crate) use self::kept::Kept;

/// How long a client of the store is used without another look, in seconds: what another node removed is refused within it.
const KEEP_S: i64 = 1;
/// Most clients, documents and key sets that are kept.
const MOST: usize = 1_024;
/// Fetches to strangers at a time, all together.
const FETCHES: usize = 8;

#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    #[error("the client is not known here")]
    Unknown,
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Db(#[from] purser_db::DbError),
}

impl PublicError for ClientError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Document(_) => "invalid_client",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unauthenticated,
            Self::Document(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown => Some("check the `client_id`, or register the client".to_owned()),
            Self::Document(_) => Some("see to the metadata document at the client's URL".to_owned()),
            Self::Db(_) => None,
        }
    }
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    rules: Rules,
    fetcher: Fetcher,
    configured: HashMap<ClientId, Arc<Client>>,
    stored: Kept<ClientId, Arc<Client>>,
    documents: Kept<ClientId, Result<Arc<Client>, DocumentError>>,
    key_sets: Kept<Url, Arc<KeySet>>,
    /// Keys of issuers that vouch for workloads.
    issuer_keys: Kept<String, Arc<ForeignKeys>>,
    fetches: Semaphore,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").field("rules", &self.0.rules).finish_non_exhaustive()
    }
}

impl Clients {
    #[must_use]
    pub fn new(fetcher: Fetcher, rules: Rules, configured: Vec<Client>) -> Self {
        let configured = configured.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect();
        let fetches = Semaphore::new(FETCHES);
        let (stored, documents, key_sets, issuer_keys) = (Kept::new(MOST), Kept::new(MOST), Kept::new(MOST), Kept::new(MOST));
        Self(Arc::new(Inner { rules, fetcher, configured, stored, documents, key_sets, issuer_keys, fetches }))
    }

    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// Whether the operator lists the origin of an address among those that may be fetched.
    #[must_use]
    pub fn trusts(&self, url: &Url) -> bool {
        self.0.fetcher.trusts(url)
    }

    /// What reaches the addresses that clients name, and no provider's.
    #[must_use]
    pub fn fetcher(&self) -> Fetcher {
        self.0.fetcher.clone()
    }

    /// Why an address of a client's can never be fetched, as far as its text tells.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn reachable(&self, url: &Url) -> Result<(), &'static str> {
        self.0.fetcher.check(url)
    }

    /// The client of that name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn find(&self, db: &Db, now: Timestamp, id: &ClientId) -> Result<Arc<Client>, ClientError> {
        if let Some(client) = self.0.configured.get(id) {
            return Ok(client.clone());
        }
        if id.is_url() {
            return Ok(self.document(now, id).await?);
        }
        if let Some(client) = self.0.stored.get(id, now) {
            return Ok(client);
        }
        let look = id.clone();
        let client = db.read(move |tx| client_find(tx, &look)).await?.ok_or(ClientError::Unknown)?;
        let client = Arc::new(client);
        self.0.stored.put(id.clone(), client.clone(), now, now.plus_secs(KEEP_S));
        Ok(client)
    }

    /// Forgets what is kept of a client that was changed or removed.
    pub fn forget(&self, id: &ClientId) {
        self.0.stored.forget(id);
    }
}
