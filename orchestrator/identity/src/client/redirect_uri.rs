//! Where answers may be sent: registered addresses, compared character by character.
//!
//! INVARIANT (exact-redirect): a browser with a code is sent to nothing but an address that the client registered. The one freedom
//! is the port of a program on the person's own machine (RFC 8252, 7.3), which it cannot know beforehand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Longest redirect URI, in characters.
const URI_CHARS: usize = 1_024;

/// A redirect URI in its canonical spelling: https, http to the machine itself, or a private-use scheme (RFC 8252, 7.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRedirectUriError {
    #[error("a redirect URI has up to {URI_CHARS} visible ASCII characters")]
    Text,
    #[error("a redirect URI has no fragment")]
    Fragment,
    #[error("a redirect URI is an absolute URI in its canonical spelling")]
    Spelling,
    #[error("a redirect URI has no user name or password")]
    UserInfo,
    #[error("a redirect URI is https, http to a loopback address, or has a private-use scheme such as `com.example.app`")]
    Scheme,
}

impl FromStr for RedirectUri {
    type Err = ParseRedirectUriError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let visible = |b: u8| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'^' | b'*' | b'`' | b'{' | b'|' | b'}');
        if text.is_empty() || text.len() > URI_CHARS || !text.bytes().all(visible) {
            return Err(ParseRedirectUriError::Text);
        }
        if text.contains('#') {
            return Err(ParseRedirectUriError::Fragment);
        }
        let url = Url::parse(text).map_err(|_| ParseRedirectUriError::Spelling)?;
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(ParseRedirectUriError::UserInfo);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            private if private.contains('.') => {}
            _ => return Err(ParseRedirectUriError::Scheme),
        }
        // A parser that reads `https:example.test` or `https://A/../b` as something else than it says could be led elsewhere.
        let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        if canonical { Ok(Self(text.to_owned())) } else { Err(ParseRedirectUriError::Spelling) }
    }
}

/// The part between `//` and the path, as written.
fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = ParseRedirectUriError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RedirectUri {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `asked` is this address: the same characters, or the same but for the port where both are http to the machine itself.
    #[must_use]
    pub fn admits(&self, asked: &Self) -> bool {
        self == asked || (self.is_on_this_machine() && asked.is_on_this_machine() && self.without_port() == asked.without_port())
    }

    /// Whether it leads to a program on the person's own machine, where another program could listen as well.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !self.0.starts_with("https://")
    }

    fn is_on_this_machine(&self) -> bool {
        self.0.starts_with("http://")
    }

    fn without_port(&self) -> Option<String> {
        let mut url = Url::parse(&self.0).ok()?;
        url.set_port(None).ok()?;
        Some(url.into())
    }

    /// What the person is shown: the host, or the scheme of an installed program.
    #[must_use]
    pub fn shown(&self) -> String {
        Url::parse(&self.0).ok().map_or_else(String::new, |url| url.host_str().unwrap_or(url.scheme()).to_owned())
    }

    /// The source expression by which a page's policy lets its form lead there (CSP 3, 2.3.1).
    #[must_use]
    pub fn form_source(&self) -> String {
        let Ok(url) = Url::parse(&self.0) else { return String::new() };
        match (url.scheme(), url.host()) {
            // the grammar has no place for IPv6 addresses
            ("http" | "https", Some(Host::Domain(_) | Host::Ipv4(_))) => url.origin().ascii_serialization(),
            (scheme, _) => format!("{scheme}:"),
        }
    }

    /// The address with parameters added to its query, percent-encoded.
    #[must_use]
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let joint = match self.0.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        format!("{}{joint}{query}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn only_canonical_https_loopback_and_private_schemes_are_registered() {
        for good in [
            "https://client.test/cb",
            "https://client.test",
            "https://client.test/cb?tenant=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:4711/cb",
            "http://[::1]:4711/cb",
            "http://localhost:3000/cb",
            "com.example.app:/cb",
        ] {
            uri(good);
        }
        for bad in [
            "",
            "http://client.test/cb",
            "http://localhost.evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "https://client.test/cb#frag",
            "https://client.test/cb#",
            "https://user@client.test/cb",
            "https://user:secret@client.test/cb",
            "https://@client.test/cb",
            "https:client.test/cb",
            "https:///client.test/cb",
            "https://client.test/a/../cb",
            "https://client.test/a/%2e%2e/cb",
            "https://CLIENT.test/cb",
            "https://client.test:443/cb",
            "https://client.test\\@evil.test/cb",
            "https://client.test/c b",
            "https://client.tést/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp:/cb",
            "/cb",
            "*",
            "https://*",
        ] {
            assert!(bad.parse::<RedirectUri>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn an_address_admits_itself_and_another_port_only_on_this_machine() {
        let registered = uri("https://client.test/cb");
        assert!(registered.admits(&uri("https://client.test/cb")));
        for other in [
            "https://client.test/cb/",
            "https://client.test/CB",
            "https://client.test/cb?x=1",
            "https://client.test/cb/more",
            "https://client.test:8443/cb",
            "https://evil.client.test/cb",
            "https://client.test.evil.test/cb",
            "https://client.test/",
        ] {
            assert!(!registered.admits(&uri(other)), "`{other}` was admitted");
        }
        let local = uri("http://127.0.0.1/cb");
        assert!(local.admits(&uri("http://127.0.0.1:49152/cb")));
        assert!(!local.admits(&uri("http://127.0.0.1:49152/other")));
        assert!(!local.admits(&uri("http://127.0.0.1:49152/cb?x=1")));
        assert!(!local.admits(&uri("http://localhost:49152/cb")));
        assert!(!local.admits(&uri("https://127.0.0.1:49152/cb")));
        assert!(!uri("com.example.app:/cb").admits(&uri("com.example.app:/other")));
    }

    #[test]
    fn parameters_are_added_to_the_query_that_is_there() {
        assert_eq!(uri("https://c.test/cb").with(&[("state", "a b&c")]), "https://c.test/cb?state=a+b%26c");
        assert_eq!(uri("https://c.test/cb?t=1").with(&[("code", "x")]), "https://c.test/cb?t=1&code=x");
        assert_eq!(uri("https://c.test/cb?").with(&[("code", "x")]), "https://c.test/cb?code=x");
        assert_eq!(uri("com.example.app:/cb").form_source(), "com.example.app:");
        assert_eq!(uri("http://[::1]:1/cb").form_source(), "http:");
        assert_eq!(uri("https://c.test:8443/cb").form_source(), "https://c.test:8443");
    }
}
