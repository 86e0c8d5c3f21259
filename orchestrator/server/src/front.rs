//! What the pages and the OAuth endpoints share.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
use purser_identity::Realm;
use purser_provisioning::Core;

use crate::oidc::Decisions;

/// State of the routers of `oidc` and `console`, cheap to clone.
#[derive(Clone)]
pub struct Front {
    pub core: Core,
    pub realm: Realm,
    /// Whether this is a sandbox, which every page says.
    pub sandbox: bool,
    pub decisions: Decisions,
}

impl Front {
    /// Whether cookies can be `Secure` with the `__Host-` prefix.
    pub(crate) fn is_https(&self) -> bool {
        self.realm.issuer.starts_with("https://")
    }
}

/// The address that a request came from, as text; `unknown` when the listener does not tell.
#[derive(Clone, Debug)]
pub struct Peer(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(address.map_or_else(|| "unknown".to_owned(), |ConnectInfo(address)| address.ip().to_canonical().to_string())))
    }
}
