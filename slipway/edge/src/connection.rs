//! What is known of a visitor's connection, found out once for all its requests.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Version};

use crate::cf::Facts;
use crate::host::Entrance;
use crate::pool::Pool;

/// One connection of a visitor.
pub struct Connection {
    pub entrance: Entrance,
    pub remote: IpAddr,
    /// The connections to Workers that its requests go over.
    pub pool: Arc<Pool>,
    /// The same as a field says it.
    pub remote_text: Option<HeaderValue>,
    facts: Facts,
    /// What Workers are told of requests in the version that this connection most likely speaks.
    usual: (Version, Option<HeaderValue>),
}

impl Connection {
    #[must_use]
    pub fn new(entrance: Entrance, remote: IpAddr, pool: Arc<Pool>, facts: Facts, version: Version) -> Self {
        let usual = (version, facts.header(version));
        Self { entrance, remote, pool, remote_text: HeaderValue::try_from(remote.to_string()).ok(), facts, usual }
    }

    #[must_use]
    pub const fn is_https(&self) -> bool {
        matches!(self.entrance, Entrance::Https { .. })
    }

    /// What Workers read in `request.cf` of a request in this version.
    #[must_use]
    pub fn cf(&self, version: Version) -> Option<HeaderValue> {
        if version == self.usual.0 { self.usual.1.clone() } else { self.facts.header(version) }
    }
}
