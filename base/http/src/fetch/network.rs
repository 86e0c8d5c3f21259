//! A network of a test's own, in which names that look public lead to servers of the test.
//!
//! Everything that guards a fetch stays on: a name must stand for public addresses only, and the server must show a certificate for it.
//! Only then is the connection led to where the test listens. No configuration reaches this.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::resolver::{LookUp, PublicOnly};
use super::{FetchError, Fetcher, Origin};

/// What the test says of names and addresses.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// What each name stands for. What is not here does not exist.
    pub names: HashMap<String, Vec<IpAddr>>,
    /// Where a connection to an address leads. What is not here is connected as it is.
    pub leads_to: HashMap<IpAddr, SocketAddr>,
    /// The one authority whose certificates count, as DER.
    pub authority: Vec<u8>,
}

impl Fetcher {
    /// A fetcher in a network of a test's own.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn in_network(network: Network, allow: Vec<Origin>) -> Result<Self, FetchError> {
        let Network { names, leads_to, authority } = network;
        let look_up: LookUp = Arc::new(move |name| {
            let found = names.get(&name).map(|ips| ips.iter().map(|ip| SocketAddr::new(*ip, 0)).collect());
            Box::pin(async move { found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such name")) })
        });
        let certificate = reqwest::Certificate::from_der(&authority).map_err(|e| FetchError::Setup(e.to_string()))?;
        let client = super::client().tls_certs_only([certificate]);
        let led = Led { checked: PublicOnly(look_up), leads_to: Arc::new(leads_to) };
        Self::of(client.https_only(true).dns_resolver(Arc::new(led)), super::client(), allow)
    }
}

/// Leads on what was found to be public.
struct Led {
    checked: PublicOnly,
    leads_to: Arc<HashMap<IpAddr, SocketAddr>>,
}

impl Resolve for Led {
    fn resolve(&self, name: Name) -> Resolving {
        let (answer, leads_to) = (self.checked.resolve(name), self.leads_to.clone());
        Box::pin(async move {
            let led: Vec<SocketAddr> = answer.await?.map(|at| leads_to.get(&at.ip()).copied().unwrap_or(at)).collect();
            Ok(Box::new(led.into_iter()) as Addrs)
        })
    }
}
