//! Names that people and machines choose, each with its rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {rule}")]
pub struct ParseNameError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = ParseNameError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let parse: fn(&str) -> Option<String> = $parse;
                parse(s).map(Self).ok_or_else(|| ParseNameError { text: s.chars().take(64).collect(), what: $what, rule: $rule })
            }
        }
        impl TryFrom<String> for $name {
            type Error = ParseNameError;
            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }
        impl From<$name> for String {
            fn from(n: $name) -> Self {
                n.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

fn slug(s: &str, max: usize) -> Option<String> {
    let ok = !s.is_empty()
        && s.len() <= max
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && s.as_bytes()[0] != b'-'
        && !s.ends_with('-');
    ok.then(|| s.to_owned())
}

fn service(s: &str) -> Option<String> {
    let ok = !s.is_empty()
        && s.len() <= 64
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'.'))
        && s.as_bytes()[0].is_ascii_alphanumeric();
    ok.then(|| s.to_owned())
}

fn email(s: &str) -> Option<String> {
    let s = s.trim();
    let (local, domain) = s.rsplit_once('@')?;
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '(' | ')' | ',' | ':' | ';' | '<' | '>' | '[' | '\\' | ']' | '@'));
    let domain = host(domain)?;
    local_ok.then(|| format!("{}@{domain}", local.to_ascii_lowercase()))
}

fn host(s: &str) -> Option<String> {
    let s = s.strip_suffix('.').unwrap_or(s).to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    (!s.is_empty() && s.len() <= 253 && s.split('.').all(label)).then_some(s)
}

/// A name below a top-level domain, which is not a number: `example.test`, not `test` and not `10.0.0.1`.
fn domain(s: &str) -> Option<String> {
    let s = host(s)?;
    let tld = s.rsplit('.').next()?;
    (s.contains('.') && tld.bytes().any(|b| b.is_ascii_alphabetic())).then_some(s)
}

name!(
    /// An e-mail address, lower-cased as a whole so that one mailbox is one person. Length and characters as in RFC 5321,
    /// without quoted local parts.
    Email, "an e-mail address", "it needs a mailbox, an `@` and a domain", email
);
name!(
    /// A host name of LDH labels (RFC 1123), lower-case, without a trailing dot.
    HostName, "a host name", "letters, digits and hyphens in labels of 1 to 63 characters", host
);
name!(
    /// A domain name that can be registered or served: a host name with at least two labels.
    DomainName, "a domain name", "two or more labels of letters, digits and hyphens, such as `example.test`", domain
);
name!(
    /// The name of a project.
    ProjectName, "a project name", "1 to 48 lower-case letters, digits and hyphens, no hyphen at either end", |s| slug(s, 48)
);
name!(
    /// The name of an environment.
    EnvironmentName, "an environment name", "1 to 32 lower-case letters, digits and hyphens, no hyphen at either end", |s| slug(s, 32)
);
name!(
    /// The name of a provider in the catalogue, as in `slipway/workers`.
    ProviderName, "a provider name", "1 to 48 lower-case letters, digits and hyphens, no hyphen at either end", |s| slug(s, 48)
);
name!(
    /// The name of a company's OpenID provider in the configuration, as in `/sign-in/sso/acme`.
    ConnectionName, "the name of a connection", "1 to 48 lower-case letters, digits and hyphens, no hyphen at either end", |s| slug(s, 48)
);
name!(
    /// The provider's own id of one of its services, as in `workers:paid`.
    ServiceName, "a service id", "1 to 64 lower-case letters, digits and `-_:.`", service
);
name!(
    /// The name of a resource within a project and environment.
    ResourceName, "a resource name", "1 to 48 lower-case letters, digits and hyphens, no hyphen at either end", |s| slug(s, 48)
);

/// Domains whose mailboxes ignore dots in their names.
const DOTLESS: [&str; 2] = ["gmail.com", "googlemail.com"];

impl Email {
    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// One spelling for all that reach the same mailbox: without what follows a `+`, and without dots where the mailbox ignores them. For
    /// recognising somebody again, never for writing to them.
    #[must_use]
    pub fn canonical(&self) -> String {
        let (mailbox, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let plain = mailbox.split_once('+').map_or(mailbox, |(plain, _)| plain);
        let plain = if plain.is_empty() { mailbox } else { plain };
        if DOTLESS.contains(&domain) {
            return format!("{}@{}", plain.replace('.', ""), DOTLESS[0]);
        }
        format!("{plain}@{domain}")
    }
}

/// A service of a provider: `slipway/workers:paid`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceRef {
    pub provider: ProviderName,
    pub service: ServiceName,
}

impl FromStr for ServiceRef {
    type Err = ParseNameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || ParseNameError {
            text: s.chars().take(64).collect(),
            what: "a service",
            rule: "write `provider/service`, such as `slipway/workers`",
        };
        let (provider, service) = s.split_once('/').ok_or_else(bad)?;
        Ok(Self { provider: provider.parse().map_err(|_| bad())?, service: service.parse().map_err(|_| bad())? })
    }
}
impl TryFrom<String> for ServiceRef {
    type Error = ParseNameError;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}
impl From<ServiceRef> for String {
    fn from(s: ServiceRef) -> Self {
        s.to_string()
    }
}
impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.service)
    }
}
impl fmt::Debug for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_address() {
        assert_eq!(" Ada@Example.TEST ".parse::<Email>().unwrap().as_str(), "ada@example.test");
        for bad in ["", "ada", "@x.test", "ada@", "a b@x.test", "ada@x..test", "a\r\nbcc:x@y.test"] {
            assert!(bad.parse::<Email>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn one_mailbox_has_one_canonical_spelling() {
        let canonical = |text: &str| text.parse::<Email>().unwrap().canonical();
        for (text, expected) in [
            ("Ada+news@Example.test", "ada@example.test"),
            ("a.d.a@example.test", "a.d.a@example.test"),
            ("A.d.a+x@googlemail.com", "ada@gmail.com"),
            ("+x@example.test", "+x@example.test"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
        assert_eq!("ada@example.test".parse::<Email>().unwrap().domain(), "example.test");
    }

    #[test]
    fn a_domain_has_two_labels_and_is_no_address() {
        assert_eq!("Foo.Test.".parse::<DomainName>().unwrap().as_str(), "foo.test");
        for bad in ["test", "10.0.0.1", "-a.test", "a_b.test", "a..test", "", "ü.test"] {
            assert!(bad.parse::<DomainName>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_service_is_provider_and_service() {
        let s: ServiceRef = "slipway/workers:paid".parse().unwrap();
        assert_eq!((s.provider.as_str(), s.service.as_str()), ("slipway", "workers:paid"));
        for bad in ["slipway", "slipway/", "/workers", "Slipway/workers", "a/b/c", "a/../b"] {
            assert!(bad.parse::<ServiceRef>().is_err(), "`{bad}` was taken");
        }
    }
}
