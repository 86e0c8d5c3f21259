//! Where a Worker wants to go, and whether anybody may.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::{Method, Uri};
use purser_http::Origin;
use purser_http::fetch::is_public;
use purser_values::name::HostName;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::{Allowed, Failure};
use crate::limits;

/// Mail is not sent from here: whoever could would soon send nothing else.
const NO_PORTS: [u16; 1] = [25];

/// A host and a port.
#[derive(Debug)]
pub struct Destination {
    host: String,
    name: Option<HostName>,
    port: u16,
    /// The port as it was written, if it was.
    written: bool,
    pub https: bool,
}

/// Why nobody may go there.
#[derive(Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// More requests than the account may make.
    TooMany,
    /// It is not an address at all.
    Malformed,
    Port(u16),
    NotPublic(IpAddr),
    /// It is this host itself.
    Own(IpAddr),
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many requests"),
            Self::Malformed => f.write_str("no address"),
            Self::Port(port) => write!(f, "port {port}"),
            Self::NotPublic(ip) => write!(f, "{ip} is not public"),
            Self::Own(ip) => write!(f, "{ip} is this host's own"),
        }
    }
}

impl Destination {
    pub fn of(method: &Method, uri: &Uri) -> Result<Self, Forbidden> {
        let connect = *method == Method::CONNECT;
        let https = match uri.scheme_str() {
            None if connect => false,
            Some("http") => false,
            Some("https") => true,
            _ => return Err(Forbidden::Malformed),
        };
        let authority = uri.authority().filter(|a| !a.as_str().contains('@')).ok_or(Forbidden::Malformed)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if connect => return Err(Forbidden::Malformed),
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
        };
        if port == 0 || NO_PORTS.contains(&port) {
            return Err(Forbidden::Port(port));
        }
        let name = host.parse().ok();
        if host.is_empty() || (name.is_none() && host.parse::<IpAddr>().is_err()) {
            return Err(Forbidden::Malformed);
        }
        Ok(Self { name, host, port, written: authority.port().is_some(), https })
    }

    /// As the `Host` field says it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.written { format!("{host}:{}", self.port) } else { host }
    }

    pub fn usual_port(&self) -> bool {
        self.name.is_some() && self.port == if self.https { 443 } else { 80 }
    }

    pub fn name(&self) -> Result<&HostName, Forbidden> {
        self.name.as_ref().ok_or(Forbidden::Malformed)
    }

    pub fn server_name(&self) -> Result<ServerName<'static>, Forbidden> {
        ServerName::try_from(self.host.clone()).map_err(|_| Forbidden::Malformed)
    }

    /// Resolves, checks every address, and connects to one of those that were checked.
    pub async fn reach(&self, allowed: &Allowed) -> Result<TcpStream, Failure> {
        let look_up = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found = tokio::time::timeout(limits::EGRESS_CONNECT, look_up).await.map_err(Failure::broken)?.map_err(Failure::broken)?;
        let addresses: Vec<SocketAddr> = found.collect();
        if !self.is_among(&allowed.origins) {
            if let Some(bad) = addresses.iter().find(|address| !is_public(address.ip())) {
                return Err(Forbidden::NotPublic(bad.ip()).into());
            }
            if let Some(bad) = addresses.iter().find(|address| allowed.own.refuses(**address)) {
                return Err(Forbidden::Own(bad.ip()).into());
            }
        }
        let mut last = "the name has no address".to_owned();
        for address in addresses.into_iter().take(limits::EGRESS_ADDRESSES) {
            match tokio::time::timeout(limits::EGRESS_CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(e)) => last = e.to_string(),
                Err(e) => last = e.to_string(),
            }
        }
        Err(Failure::Broken(last))
    }

    fn is_among(&self, allowed: &[Origin]) -> bool {
        let scheme = if self.https { "https" } else { "http" };
        let url = url::Url::parse(&format!(
            "{scheme}://{}:{}/",
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() },
            self.port
        ));
        url.ok().and_then(|url| Origin::of(&url)).is_some_and(|origin| allowed.contains(&origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, uri: &str) -> Result<Destination, Forbidden> {
        Destination::of(&method, &uri.parse().unwrap())
    }

    #[tokio::test]
    async fn no_spelling_of_an_inner_address_is_reached() {
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "100.64.0.1",
            "localhost",
            "localhost.",
        ] {
            for scheme in ["http", "https"] {
                let Ok(destination) = of(Method::GET, &format!("{scheme}://{host}:8080/")) else { continue };
                let refused = destination.reach(&Allowed::default()).await.unwrap_err();
                assert!(matches!(refused, Failure::Forbidden(Forbidden::NotPublic(_))), "{host}: {refused:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_public_address_of_this_host_is_reached_at_the_edges_ports_only() {
        let allowed = Allowed { origins: Vec::new(), own: super::super::Own::new(&["203.0.114.7".parse().unwrap()]) };
        let ssh = of(Method::CONNECT, "203.0.114.7:22").unwrap();
        let refused = ssh.reach(&allowed).await.unwrap_err();
        assert!(matches!(refused, Failure::Forbidden(Forbidden::Own(_))), "{refused:?}");
    }

    #[test]
    fn only_whole_addresses_are_understood() {
        for uri in ["ftp://a.test/", "http://a@b.test/", "/path"] {
            assert_eq!(of(Method::GET, uri).err(), Some(Forbidden::Malformed), "{uri}");
        }
        assert_eq!(of(Method::CONNECT, "mail.test:25").err(), Some(Forbidden::Port(25)));
        assert_eq!(of(Method::CONNECT, "a.test:5432").unwrap().authority(), "a.test:5432");
        assert_eq!(of(Method::GET, "https://A.test/x").unwrap().authority(), "a.test");
    }
}
