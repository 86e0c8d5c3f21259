//! The orchestrator's parts, put together once at the start and handed to every saga and surface.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use purser_identity::Realm;
use purser_values::id::OrganisationId;
use purser_values::name::ProviderName;
use url::Url;

use crate::core::Core;
use crate::deploy::bundle::Bundles;
use crate::gateway::Gateway;

/// Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub core: Core,
    pub realm: Realm,
    pub gateway: Gateway,
    pub bundles: Bundles,
    /// Where persons find their pages, for hints.
    pub public_url: Url,
    locks: Locks,
}

/// One task at a time for one account, so that two sagas do not redeem or refresh the same grant at once.
#[derive(Clone, Default)]
struct Locks(Arc<Mutex<HashMap<(OrganisationId, ProviderName), Arc<tokio::sync::Mutex<()>>>>>);

impl App {
    #[must_use]
    pub fn new(core: Core, realm: Realm, gateway: Gateway, bundles: Bundles, public_url: Url) -> Self {
        Self { core, realm, gateway, bundles, public_url, locks: Locks::default() }
    }

    pub(crate) async fn lock_account(&self, organisation: &OrganisationId, provider: &ProviderName) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry((organisation.clone(), provider.clone())).or_default().clone()
        };
        lock.lock_owned().await
    }

    /// The absolute URL of a page for people.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        self.public_url.join(path).map_or_else(|_| path.to_owned(), Into::into)
    }
}
