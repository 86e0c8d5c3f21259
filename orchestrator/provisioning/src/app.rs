//! The orchestrator's parts, put together once at the start and handed to every saga and surface.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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

/// One task at a time for one thing, by name: two sagas must not redeem or refresh the same account's tokens at once, and a
/// provider must hear of a freeze and a thaw in their order.
#[derive(Clone, Default)]
struct Locks(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>);

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

    pub(crate) async fn lock_account(&self, organisation: &OrganisationId, provider: &ProviderName) -> tokio::sync::OwnedMutexGuard<()> {
        self.lock(format!("account/{organisation}/{provider}")).await
    }

    pub(crate) async fn lock_control(&self, agent: &AgentId, provider: &ProviderName) -> tokio::sync::OwnedMutexGuard<()> {
        self.lock(format!("control/{agent}/{provider}")).await
    }

    async fn lock(&self, name: String) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
            // What nobody holds or waits for is forgotten, so that the map does not grow with every agent ever seen.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(name).or_default().clone()
        };
        lock.lock_owned().await
    }

    /// The absolute URL of a page for people.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        self.public_url.join(path).map_or_else(|_| path.to_owned(), Into::into)
    }
}
