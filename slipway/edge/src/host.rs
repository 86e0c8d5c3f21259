//! Which host name a request means.
//!
//! A request that names two hosts is refused, and over TLS the name must be the one of the handshake: otherwise one tenant's
//! certificate and connection could be used to reach another tenant's site unseen (domain fronting).

use http::header::HOST;
use http::request;
use http::uri::Authority;
use purser_values::name::HostName;

/// Through which listener a request came.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// HTTPS, with the name of the handshake.
    Https { server_name: Option<HostName> },
    /// Plain HTTP.
    Http,
}

/// A request's host, as the visitor wrote it and as it is routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name that is routed.
    pub name: HostName,
    /// Whether `name` was reached as `name.localhost` over plain HTTP, which any browser resolves to this machine.
    pub local: bool,
}

/// Why a request has no usable host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("the request names no host")]
    Missing,
    #[error("the request names more than one host")]
    Contradictory,
    #[error("the host name is not valid")]
    Invalid,
    #[error("the host name differs from the one of the TLS handshake")]
    Misdirected,
}

/// The host of a request.
///
/// # Errors
/// When there is none, more than one, or another than the handshake's.
pub fn of_request(request: &request::Parts, entrance: &Entrance) -> Result<Target, HostError> {
    let name = bare(&authority(request)?)?;
    match entrance {
        Entrance::Https { server_name: Some(server_name) } if *server_name == name => Ok(Target { name, local: false }),
        Entrance::Https { .. } => Err(HostError::Misdirected),
        Entrance::Http => Ok(without_localhost(name)),
    }
}

/// RFC 9112 section 3.2 and RFC 9113 section 8.3.1, with every contradiction refused.
fn authority(request: &request::Parts) -> Result<Authority, HostError> {
    let mut named = request.headers.get_all(HOST).iter();
    let header = match (named.next(), named.next()) {
        (_, Some(_)) => return Err(HostError::Contradictory),
        (Some(value), None) => Some(Authority::try_from(value.as_bytes()).map_err(|_| HostError::Invalid)?),
        (None, None) => None,
    };
    match (request.uri.authority(), header) {
        (Some(a), Some(b)) if *a != b => Err(HostError::Contradictory),
        (Some(a), _) => Ok(a.clone()),
        (None, Some(b)) => Ok(b),
        (None, None) => Err(HostError::Missing),
    }
}

fn bare(authority: &Authority) -> Result<HostName, HostError> {
    if authority.as_str().contains('@') {
        return Err(HostError::Invalid);
    }
    authority.host().parse().map_err(|_| HostError::Invalid)
}

fn without_localhost(name: HostName) -> Target {
    let inner = name.as_str().strip_suffix(".localhost").filter(|inner| inner.ends_with(".test")).and_then(|inner| inner.parse().ok());
    match inner {
        Some(inner) => Target { name: inner, local: true },
        None => Target { name, local: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(uri: &str, hosts: &[&str]) -> request::Parts {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn https(name: &str) -> Entrance {
        Entrance::Https { server_name: Some(name.parse().unwrap()) }
    }

    #[test]
    fn a_name_below_test_localhost_is_the_name_without_localhost() {
        let target = of_request(&parts("/", &["shop.test.localhost:8080"]), &Entrance::Http).unwrap();
        assert_eq!(target, Target { name: "shop.test".parse().unwrap(), local: true });
        let target = of_request(&parts("/", &["evil.localhost"]), &Entrance::Http).unwrap();
        assert_eq!(target, Target { name: "evil.localhost".parse().unwrap(), local: false });
    }

    #[test]
    fn over_tls_nothing_is_stripped() {
        let target = of_request(&parts("/", &["Shop.Test:8443"]), &https("shop.test")).unwrap();
        assert_eq!(target.name.as_str(), "shop.test");
        assert_eq!(of_request(&parts("/", &["shop.test.localhost"]), &https("shop.test")), Err(HostError::Misdirected));
    }

    #[test]
    fn two_hosts_are_refused() {
        assert_eq!(of_request(&parts("/", &["a.test", "b.test"]), &Entrance::Http), Err(HostError::Contradictory));
        assert_eq!(of_request(&parts("http://a.test/", &["b.test"]), &Entrance::Http), Err(HostError::Contradictory));
        assert_eq!(of_request(&parts("/", &["b.test"]), &https("a.test")), Err(HostError::Misdirected));
        assert_eq!(of_request(&parts("/", &["b.test"]), &Entrance::Https { server_name: None }), Err(HostError::Misdirected));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        assert_eq!(of_request(&parts("/", &[]), &Entrance::Http), Err(HostError::Missing));
        for bad in ["a_b.test", "u@a.test", "[::1]", "a..test"] {
            assert_eq!(of_request(&parts("/", &[bad]), &Entrance::Http), Err(HostError::Invalid), "`{bad}` was taken");
        }
    }
}
