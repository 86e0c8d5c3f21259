//! The orchestrator's parts, put together once at the start and handed to every saga and surface.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use purser_db::{DbError, Lease};
use purser_http::Fetcher;
use purser_identity::Realm;
use purser_values::id::{AgentId, OrganisationId};
use purser_values::name::ProviderName;
use url::Url;

use crate::charges::Rails;
use crate::core::Core;
use crate::deploy::bundle::Bundles;
use crate::gateway::Gateway;
use crate::till::Till;

/// Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub core: Core,
    pub realm: Realm,
    pub gateway: Gateway,
    /// The way to addresses that organisations name; it reaches no provider.
    pub outgoing: Fetcher,
    pub bundles: Bundles,
    /// Where persons find their pages, for hints.
    pub public_url: Url,
    /// In a sandbox, the port of this machine at which any browser opens a site by its name.
    pub site_port: Option<u16>,
    /// Where money moves, for purchases that a seller is paid for at the rail itself.
    pub rails: Rails,
    locks: Locks,
    pub(crate) till: Till,
}

/// For how long a node holds what it took: longer than the calls of one step take together.
const LEASE_S: i64 = 120;

/// One task of this node at a time for one thing, by name, before the nodes take turns: two sagas must not redeem or refresh the same
/// account's tokens at once, and a provider must hear of a freeze and a thaw in their order.
#[derive(Clone, Default)]
struct Locks(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>);

/// One's turn with a thing, until it is dropped.
pub(crate) struct Turn {
    _everywhere: Lease,
    _here: tokio::sync::OwnedMutexGuard<()>,
}

impl App {
    #[must_use]
    pub fn new(core: Core, realm: Realm, gateway: Gateway, bundles: Bundles, public_url: Url) -> Self {
        let outgoing = gateway.fetcher().clone();
        Self {
            core,
            realm,
            gateway,
            outgoing,
            bundles,
            public_url,
            site_port: None,
            rails: Rails::default(),
            locks: Locks::default(),
            till: Till::default(),
        }
    }

    /// The tokens of an organisation's account at a provider, on every node.
    pub(crate) async fn lock_account(&self, organisation: &OrganisationId, provider: &ProviderName) -> Result<Turn, DbError> {
        self.turn(format!("account/{organisation}/{provider}")).await
    }

    /// What a provider is told of an agent, on every node.
    pub(crate) async fn lock_control(&self, agent: &AgentId, provider: &ProviderName) -> Result<Turn, DbError> {
        self.turn(format!("control/{agent}/{provider}")).await
    }

    async fn turn(&self, name: String) -> Result<Turn, DbError> {
        let lock = {
            let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
            // What nobody holds or waits for is forgotten, so that the map does not grow with every agent ever seen.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(name.clone()).or_default().clone()
        };
        let here = lock.lock_owned().await;
        Ok(Turn { _everywhere: Lease::take(&self.core.db, &self.core.env, &name, LEASE_S).await?, _here: here })
    }

    /// The absolute URL of a page for people.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        self.public_url.join(path).map_or_else(|_| path.to_owned(), Into::into)
    }
}
