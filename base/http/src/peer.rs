//! Where a request comes from.
//!
//! INVARIANT (peer-not-claimed): a peer's own word is never taken. `X-Forwarded-For` is read only when the connection comes from a
//! proxy that the operator trusts, and then from the right, because every entry further left was written by somebody else.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;
use serde::Deserialize;

/// The reverse proxies of this installation, as addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct TrustedProxies(Vec<IpNet>);

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = String;
    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let read = |text: &String| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let nets = texts.iter().map(|text| {
            let net = read(text).ok_or_else(|| format!("`{text}` is neither an IP address nor a network like `10.0.0.0/8`"))?;
            if net.prefix_len() == 0 {
                Err(format!("`{text}` is everybody: any visitor could then name an address of his own"))
            } else {
                Ok(net)
            }
        });
        nets.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// For the listener, which lets a proxy hold more connections than one visitor may.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&ip))
    }

    /// The address nearest to us that is not one of our proxies.
    #[must_use]
    pub fn client(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = connection.to_canonical();
        let entries: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().flat_map(|v| v.to_str().unwrap_or("?").split(',').map(str::trim)).collect();
        for entry in entries.into_iter().rev() {
            if !self.has(client) {
                break;
            }
            // An entry that is no address was not written by a proxy of ours: the proxy itself is all that is known.
            let Some(ip) = address(entry) else { break };
            client = ip.to_canonical();
        }
        client
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_the_nearest_address_that_is_not_a_trusted_proxy() {
        let proxies = TrustedProxies::try_from(vec!["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        for (connection, forwarded, expected) in [
            ("203.0.113.7", &["198.51.100.1"][..], "203.0.113.7"), // an untrusted connection claims
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("::ffff:127.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"), // the client wrote the first
            ("127.0.0.1", &["198.51.100.1", "203.0.113.7, 10.1.2.3"], "203.0.113.7"),
            ("127.0.0.1", &["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
            ("127.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("::1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("127.0.0.1", &["203.0.113.7, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.7, nonsense, 10.1.2.3"], "10.1.2.3"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            assert_eq!(proxies.client(connection.parse().unwrap(), &headers).to_string(), expected, "{connection} {forwarded:?}");
        }
        let nobody = TrustedProxies::default();
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-forwarded-for"), "198.51.100.1".parse().unwrap())]);
        assert_eq!(nobody.client("127.0.0.1".parse().unwrap(), &headers).to_string(), "127.0.0.1");
        for wrong in ["proxy.internal", "0.0.0.0/0", "::/0"] {
            assert!(TrustedProxies::try_from(vec![wrong.to_owned()]).is_err(), "`{wrong}` was taken");
        }
    }
}
