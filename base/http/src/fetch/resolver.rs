//! A resolver that knows public addresses only.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::is_public;

/// The name stands for an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for an address that is not public")]
pub(super) struct ForbiddenAddress;

/// Asks the system and refuses a name if any one of its addresses is not public: a mixed answer is an attack or a mistake.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| !is_public(address.ip())) {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_is_refused_where_the_connection_asks() {
        let name: Name = "localhost".parse().unwrap();
        let refused = PublicOnly.resolve(name).await.map(|_| ()).unwrap_err();
        assert!(refused.is::<ForbiddenAddress>(), "{refused}");
    }
}
