//! Where a request comes from, as an extractor. INVARIANT (peer-not-claimed) is `purser_http::peer`'s.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
pub use purser_http::peer::TrustedProxies;

use crate::front::Front;

/// The address that a request came from, as text; `unknown` when the listener does not tell.
#[derive(Clone, Debug)]
pub struct Peer(pub String);

impl FromRequestParts<Front> for Peer {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, Infallible> {
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(connection.map_or_else(|| "unknown".to_owned(), |ConnectInfo(a)| front.proxies.client(a.ip(), &parts.headers).to_string())))
    }
}
