//! A resolver that knows public addresses only.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::is_public;

/// The name stands for an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for an address that is not public")]
pub(super) struct ForbiddenAddress;

/// What answers a name with addresses.
pub(super) type LookUp = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// The system's own.
pub(super) fn system() -> LookUp {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }))
}

/// Refuses a name if any one of its addresses is not public: a mixed answer is an attack or a mistake.
pub(super) struct PublicOnly(pub LookUp);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = (self.0)(name.as_str().to_owned());
        Box::pin(async move {
            let found = answer.await?;
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
        let refused = PublicOnly(system()).resolve(name).await.map(|_| ()).unwrap_err();
        assert!(refused.is::<ForbiddenAddress>(), "{refused}");
    }
}
