//! The records of a zone: owner, time to live, data.

pub mod present;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use purser_values::error::{Kind as ErrorKind, PublicError};
use purser_values::name::{DomainName, HostName};
use serde::{Deserialize, Serialize};

/// Shortest and longest time to live, and what a record gets that names none, in seconds.
pub const TTL_MIN_S: u32 = 60;
pub const TTL_MAX_S: u32 = 86_400;
pub const TTL_DEFAULT_S: u32 = 300;
/// Longest text of one TXT record, in bytes.
pub const TXT_BYTES: usize = 2_048;

/// Longest data of a record whose data we keep as text, in bytes.
pub const CONTENT_BYTES: usize = 4_096;

/// Whose record it is: a host name whose labels may start with an underscore, as in `_acme-challenge.shop.test`, and whose first label
/// may be `*` (RFC 4592). Lower-case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner(String);

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum Data {
    /// This host is served by our edge: it has the edge's addresses, whatever they are.
    Edge,
    A {
        address: Ipv4Addr,
    },
    Aaaa {
        address: Ipv6Addr,
    },
    Cname {
        target: Owner,
    },
    Txt {
        text: String,
    },
    /// A delegation of a name below the apex. The zone's own name servers are not records; they come from the configuration.
    Ns {
        server: HostName,
    },
    Mx {
        preference: u16,
        exchange: HostName,
    },
    Caa {
        critical: bool,
        tag: CaaTag,
        value: String,
    },
    /// A record that its owner asked to be served by our edge: the edge's addresses are answered, and what was written stays to be shown.
    Proxied {
        of: Proxiable,
        content: String,
    },
    /// The types whose data is kept as its text, in the one form that [`present`] gives it.
    Other {
        kind: Kind,
        content: String,
    },
}

/// The types that can be proxied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Proxiable {
    A,
    Aaaa,
    Cname,
}

/// The types whose data is kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    Ds,
    Https,
    Naptr,
    Openpgpkey,
    Ptr,
    Smimea,
    Srv,
    Sshfp,
    Svcb,
    Tlsa,
}

/// The properties of RFC 8659 that we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaaTag {
    Issue,
    Issuewild,
    Iodef,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub owner: Owner,
    pub ttl_s: u32,
    pub data: Data,
}

/// Why a record is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("`{0}` is not an owner name: labels of letters, digits, hyphens and a leading underscore")]
    Owner(String),
    #[error("a time to live is {TTL_MIN_S} to {TTL_MAX_S} seconds, not {0}")]
    Ttl(u32),
    #[error("a TXT record has at most {TXT_BYTES} bytes")]
    TextTooLong,
    #[error("a CAA value has 1 to 255 printable ASCII characters")]
    CaaValue,
    #[error("records of the type `{0}` are not served here")]
    Type(String),
    #[error("content for {kind} record is invalid: {why}")]
    Content { kind: &'static str, why: String },
}

impl PublicError for RecordError {
    fn code(&self) -> &'static str {
        match self {
            Self::Owner(_) => "record_owner_invalid",
            Self::Ttl(_) => "record_ttl_invalid",
            Self::TextTooLong => "record_text_too_long",
            Self::CaaValue => "record_caa_invalid",
            Self::Type(_) => "record_type_unknown",
            Self::Content { .. } => "record_content_invalid",
        }
    }
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Owner {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every name that is not there.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// Whether the name is `zone` or below it.
    #[must_use]
    pub fn is_within(&self, zone: &DomainName) -> bool {
        let rest = self.0.strip_suffix(zone.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl Data {
    /// The name of the record's type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Edge => "EDGE",
            Self::A { .. } => "A",
            Self::Aaaa { .. } => "AAAA",
            Self::Cname { .. } => "CNAME",
            Self::Txt { .. } => "TXT",
            Self::Ns { .. } => "NS",
            Self::Mx { .. } => "MX",
            Self::Caa { .. } => "CAA",
            Self::Proxied { of, .. } => of.as_str(),
            Self::Other { kind, .. } => kind.as_str(),
        }
    }
}

impl Proxiable {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
        }
    }
}

impl Kind {
    const ALL: [Self; 10] =
        [Self::Ds, Self::Https, Self::Naptr, Self::Openpgpkey, Self::Ptr, Self::Smimea, Self::Srv, Self::Sshfp, Self::Svcb, Self::Tlsa];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ds => "DS",
            Self::Https => "HTTPS",
            Self::Naptr => "NAPTR",
            Self::Openpgpkey => "OPENPGPKEY",
            Self::Ptr => "PTR",
            Self::Smimea => "SMIMEA",
            Self::Srv => "SRV",
            Self::Sshfp => "SSHFP",
            Self::Svcb => "SVCB",
            Self::Tlsa => "TLSA",
        }
    }

    /// Which word of the data is a name, if one is.
    const fn name_at(self) -> Option<usize> {
        match self {
            Self::Ptr => Some(0),
            Self::Https | Self::Svcb => Some(1),
            Self::Srv => Some(3),
            Self::Naptr => Some(5),
            Self::Ds | Self::Openpgpkey | Self::Smimea | Self::Sshfp | Self::Tlsa => None,
        }
    }
}

impl Record {
    /// # Errors
    /// When the time to live or the data is out of bounds.
    pub fn new(owner: Owner, ttl_s: u32, data: Data) -> Result<Self, RecordError> {
        if !(TTL_MIN_S..=TTL_MAX_S).contains(&ttl_s) {
            return Err(RecordError::Ttl(ttl_s));
        }
        match &data {
            Data::Cname { target } if target.is_wildcard() => Err(RecordError::Owner(target.to_string())),
            Data::Txt { text } if text.len() > TXT_BYTES => Err(RecordError::TextTooLong),
            Data::Caa { value, .. } if value.is_empty() || value.len() > 255 || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                Err(RecordError::CaaValue)
            }
            _ => Ok(Self { owner, ttl_s, data }),
        }
    }
}

impl FromStr for Owner {
    type Err = RecordError;
    fn from_str(s: &str) -> Result<Self, RecordError> {
        let name = s.strip_suffix('.').unwrap_or(s).to_ascii_lowercase();
        let label = |l: &str| {
            let bare = l.strip_prefix('_').unwrap_or(l);
            let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !bare.is_empty() && l.len() <= 63 && !bare.starts_with('-') && !bare.ends_with('-') && bare.bytes().all(inner)
        };
        // 253 characters are the 255 bytes of a name on the wire (RFC 1035 section 2.3.4).
        let below = name.strip_prefix("*.").unwrap_or(&name);
        let ok = !name.is_empty() && name.len() <= 253 && below.split('.').all(label);
        if ok { Ok(Self(name)) } else { Err(RecordError::Owner(s.chars().take(64).collect())) }
    }
}
impl TryFrom<String> for Owner {
    type Error = RecordError;
    fn try_from(s: String) -> Result<Self, RecordError> {
        s.parse()
    }
}
impl From<Owner> for String {
    fn from(o: Owner) -> Self {
        o.0
    }
}
/// Every host name and every domain name is an owner name.
impl From<&HostName> for Owner {
    fn from(h: &HostName) -> Self {
        Self(h.as_str().to_owned())
    }
}
impl From<&DomainName> for Owner {
    fn from(d: &DomainName) -> Self {
        Self(d.as_str().to_owned())
    }
}
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_may_start_with_an_underscore_and_nothing_stranger() {
        assert_eq!("_ACME-challenge.Shop.test.".parse::<Owner>().unwrap().as_str(), "_acme-challenge.shop.test");
        for bad in ["", "_", "a_b.test", "-a.test", "a..test", "*", "a.*.test", "*a.test", "a b.test", "ü.test"] {
            assert!(bad.parse::<Owner>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_zone_holds_its_own_names_only() {
        let zone = "shop.test".parse().unwrap();
        for (name, within) in [("shop.test", true), ("www.shop.test", true), ("myshop.test", false), ("test", false)] {
            assert_eq!(name.parse::<Owner>().unwrap().is_within(&zone), within, "{name}");
        }
    }

    #[test]
    fn bounds_are_kept() {
        let owner: Owner = "shop.test".parse().unwrap();
        let new = |ttl, data| Record::new(owner.clone(), ttl, data).map(drop);
        assert_eq!(new(59, Data::Edge), Err(RecordError::Ttl(59)));
        assert_eq!(new(300, Data::Txt { text: "x".repeat(TXT_BYTES + 1) }), Err(RecordError::TextTooLong));
        let caa = |value: &str| Data::Caa { critical: false, tag: CaaTag::Issue, value: value.to_owned() };
        assert_eq!(new(300, caa("")), Err(RecordError::CaaValue));
        assert_eq!(new(300, caa("ca.example\n")), Err(RecordError::CaaValue));
        assert_eq!(new(300, caa("ca.example")), Ok(()));
    }
}
