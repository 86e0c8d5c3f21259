//! What the pages and the OAuth endpoints share.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use purser_identity::Realm;
use purser_provisioning::Core;
use purser_provisioning::charges::Rails;
use purser_values::name::ProviderName;

use crate::oidc::{Clients, Decisions, Introspected};
use crate::peer::TrustedProxies;
use crate::sso::Sso;

/// State of the routers of `oidc` and `console`. Every request clones it several times, so a clone is one counter; who changes one
/// has a copy of their own.
#[derive(Clone)]
pub struct Front(Arc<Parts>);

#[derive(Clone)]
pub struct Parts {
    pub core: Core,
    pub realm: Realm,
    /// Whether this is a sandbox, which every page says.
    pub sandbox: bool,
    pub decisions: Decisions,
    pub clients: Clients,
    /// The providers that the operator has configured, whether they have answered yet or not.
    pub configured: Vec<ProviderName>,
    pub proxies: TrustedProxies,
    pub sso: Sso,
    /// Where cards are set up and payments confirmed.
    pub rails: Rails,
    pub introspected: Introspected,
}

impl Deref for Front {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Front {
    fn deref_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }
}

impl Front {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The audiences that tokens can be for: ourselves, and what the operator lists.
    pub(crate) fn resources(&self) -> Vec<String> {
        let own = std::iter::once(self.realm.issuer.to_string());
        own.chain(self.clients.rules().resources.iter().cloned()).collect()
    }

    /// Whether cookies can be `Secure` with the `__Host-` prefix.
    pub(crate) fn is_https(&self) -> bool {
        self.realm.issuer.starts_with("https://")
    }
}
