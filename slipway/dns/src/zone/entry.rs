//! A record as clients of the API know it: with an id, and with what they wrote beside it.

use purser_values::Timestamp;
use purser_values::name::DomainName;

use crate::record::{Data, Owner, Proxiable, Record, RecordError, TTL_DEFAULT_S, present};
use crate::zone::ZoneError;

/// The time to live that means "whatever the server likes".
pub const TTL_AUTOMATIC: u32 = 1;
/// Longest comment and longest tag in characters, and the most tags.
pub const COMMENT_CHARS: usize = 500;
pub const TAG_CHARS: usize = 132;
pub const TAGS: usize = 20;

/// One record of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 32 hexadecimal characters.
    pub id: String,
    pub record: Record,
    /// Whether its time to live was left to us.
    pub automatic: bool,
    pub comment: Option<String>,
    pub tags: Vec<String>,
    /// The token that wrote it; nothing for records of our own.
    pub author: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

/// A record as a client writes it. What is absent stays as it was, where there was something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub content: Option<String>,
    pub priority: Option<u16>,
    pub proxied: Option<bool>,
    pub ttl: Option<u32>,
    pub comment: Option<String>,
    pub tags: Option<Vec<String>>,
}

/// A written record that was read and may stand in a zone.
pub(crate) struct Read {
    pub record: Record,
    pub automatic: bool,
    pub comment: Option<String>,
    pub tags: Vec<String>,
}

impl Entry {
    /// As a client would have written it.
    #[must_use]
    pub fn written(&self) -> Written {
        let data = &self.record.data;
        let priority = if let Data::Mx { preference, .. } = data { Some(*preference) } else { None };
        Written {
            name: Some(self.record.owner.to_string()),
            kind: Some(shown_kind(data).to_owned()),
            content: Some(present::content(data)),
            priority,
            proxied: Some(self.proxied()),
            ttl: Some(if self.automatic { TTL_AUTOMATIC } else { self.record.ttl_s }),
            comment: self.comment.clone(),
            tags: Some(self.tags.clone()),
        }
    }

    #[must_use]
    pub const fn proxied(&self) -> bool {
        matches!(self.record.data, Data::Edge | Data::Proxied { .. })
    }

    /// Whether it says the same, whenever and by whom it was written.
    pub(crate) fn says(&self, read: &Read) -> bool {
        self.record == read.record && self.automatic == read.automatic && self.comment == read.comment && self.tags == read.tags
    }
}

/// The type that clients see: what our edge serves looks like an address that is proxied.
#[must_use]
pub const fn shown_kind(data: &Data) -> &'static str {
    if matches!(data, Data::Edge) { "AAAA" } else { data.kind() }
}

impl Written {
    /// This over `before`. A new type or content does not inherit the old one's preference, unless it is needed and not given.
    #[must_use]
    pub fn over(self, before: Self) -> Self {
        Self {
            name: self.name.or(before.name),
            kind: self.kind.or(before.kind),
            content: self.content.or(before.content),
            priority: self.priority.or(before.priority),
            proxied: self.proxied.or(before.proxied),
            ttl: self.ttl.or(before.ttl),
            comment: self.comment.or(before.comment),
            tags: self.tags.or(before.tags),
        }
    }

    pub(crate) fn read(self, zone: &DomainName) -> Result<Read, ZoneError> {
        let missing = |what: &str| ZoneError::Words(format!("a record needs a {what}"));
        let owner = owner(&self.name.ok_or_else(|| missing("name"))?, zone)?;
        let kind = self.kind.ok_or_else(|| missing("type"))?.to_ascii_uppercase();
        let content = self.content.ok_or_else(|| missing("content"))?;
        let mut data = present::parse(&kind, &content, self.priority)?;
        if self.proxied == Some(true) {
            let of = match data {
                Data::A { .. } => Proxiable::A,
                Data::Aaaa { .. } => Proxiable::Aaaa,
                Data::Cname { .. } => Proxiable::Cname,
                _ => return Err(ZoneError::NotProxiable(data.kind())),
            };
            data = Data::Proxied { of, content: present::content(&data) };
        }
        let asked = self.ttl.unwrap_or(TTL_AUTOMATIC);
        let automatic = asked == TTL_AUTOMATIC || matches!(data, Data::Proxied { .. });
        let record = Record::new(owner, if automatic { TTL_DEFAULT_S } else { asked }, data)?;
        let comment = self.comment.filter(|comment| !comment.is_empty());
        let tags = self.tags.unwrap_or_default();
        if comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS) {
            return Err(ZoneError::Words(format!("a comment has at most {COMMENT_CHARS} characters")));
        }
        if tags.len() > TAGS || tags.iter().any(|tag| tag.is_empty() || tag.chars().count() > TAG_CHARS) {
            return Err(ZoneError::Words(format!("a record has at most {TAGS} tags of 1 to {TAG_CHARS} characters")));
        }
        Ok(Read { record, automatic, comment, tags })
    }
}

/// `@` is the zone itself, and a name that does not end in the zone's stands below it.
fn owner(name: &str, zone: &DomainName) -> Result<Owner, RecordError> {
    let name = name.trim();
    if name == "@" || name.is_empty() {
        return Ok(Owner::from(zone));
    }
    match name.parse::<Owner>() {
        Ok(owner) if owner.is_within(zone) => Ok(owner),
        _ if name.ends_with('.') => Err(RecordError::Owner(name.chars().take(64).collect())),
        _ => format!("{name}.{zone}").parse(),
    }
}
