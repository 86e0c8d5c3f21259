//! The addresses of this host itself: public, and yet no place for strangers' code. What a firewall in front hides from the world is reached
//! from inside over the host's own address.
//!
//! INVARIANT (own-is-closed): of an address that is ours, Workers reach the edge's two ports and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

/// Where the edge is reached from outside.
const EDGE_PORTS: [u16; 2] = [80, 443];

/// Clones share what is known.
#[derive(Clone, Debug, Default)]
pub struct Own {
    edge: Arc<[IpAddr]>,
    /// What the names of our name servers said last.
    servers: Arc<RwLock<Vec<IpAddr>>>,
}

impl Own {
    /// `edge` is where the world reaches our edge; it may be on no interface of this host, behind an address translation.
    #[must_use]
    pub fn new(edge: &[IpAddr]) -> Self {
        Self { edge: edge.iter().map(IpAddr::to_canonical).collect(), servers: Arc::default() }
    }

    /// From now on these are our name servers' addresses.
    pub fn set_servers(&self, addresses: Vec<IpAddr>) {
        *self.servers.write().unwrap_or_else(PoisonError::into_inner) = addresses.iter().map(IpAddr::to_canonical).collect();
    }

    /// Interfaces are read anew each time: addresses come and go. When they cannot be read, everything may be ours.
    pub fn refuses(&self, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        if self.edge.contains(&ip) {
            return !EDGE_PORTS.contains(&to.port());
        }
        if self.servers.read().unwrap_or_else(PoisonError::into_inner).contains(&ip) {
            return true;
        }
        match interfaces() {
            Ok(all) => all.contains(&ip),
            Err(e) => {
                tracing::error!(error = %e, "our own addresses cannot be read");
                true
            }
        }
    }
}

fn interfaces() -> nix::Result<Vec<IpAddr>> {
    let all = nix::ifaddrs::getifaddrs()?.filter_map(|interface| interface.address);
    Ok(all
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()).to_canonical()))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_this_host_is_reached_but_the_edge() {
        let own = Own::new(&["203.0.114.7".parse().unwrap(), "2001:4860::7".parse().unwrap()]);
        own.set_servers(vec!["203.0.114.53".parse().unwrap()]);
        for (to, refused) in [
            ("203.0.114.7:443", false),
            ("203.0.114.7:80", false),
            ("203.0.114.7:22", true),
            ("[::ffff:203.0.114.7]:22", true),
            ("[2001:4860::7]:9090", true),
            ("203.0.114.53:53", true),
            ("203.0.114.8:22", false),
        ] {
            assert_eq!(own.refuses(to.parse().unwrap()), refused, "{to}");
        }
        let here = interfaces().unwrap();
        assert!(here.iter().any(IpAddr::is_loopback), "{here:?}");
        for ip in here {
            assert!(own.refuses(SocketAddr::new(ip, 443)), "{ip} is ours and is reached");
        }
    }
}
