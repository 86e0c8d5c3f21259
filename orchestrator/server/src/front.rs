//! What the pages and the OAuth endpoints share.

use purser_identity::Realm;
use purser_provisioning::Core;

use crate::oidc::Decisions;
use crate::peer::TrustedProxies;

/// State of the routers of `oidc` and `console`, cheap to clone.
#[derive(Clone)]
pub struct Front {
    pub core: Core,
    pub realm: Realm,
    /// Whether this is a sandbox, which every page says.
    pub sandbox: bool,
    pub decisions: Decisions,
    pub proxies: TrustedProxies,
}

impl Front {
    /// Whether cookies can be `Secure` with the `__Host-` prefix.
    pub(crate) fn is_https(&self) -> bool {
        self.realm.issuer.starts_with("https://")
    }
}
