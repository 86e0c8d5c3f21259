//! A zone: a domain whose names we answer for, and the use cases on it.

pub mod change;
pub mod create;
pub mod entry;
pub mod file;
pub mod get;
pub mod record_delete;
pub mod record_put;
pub mod remove;

use purser_db::DbError;
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::record::{Owner, RecordError};

/// The most records that one zone holds.
pub const MAX_RECORDS: i64 = 20_000;

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// 32 hexadecimal characters, as clients of the Cloudflare API expect.
    pub id: String,
    pub account: CloudAccountId,
    pub name: DomainName,
    /// Rises with every change (RFC 1982; seconds of the last change, or one more than before).
    pub serial: u32,
    pub created_at: Timestamp,
}

/// Why a zone or a record was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    #[error("the zone belongs to another account")]
    Taken,
    #[error("there is no such zone in this account")]
    NotFound,
    #[error("`{0}` is not a name in this zone")]
    Outside(Owner),
    #[error("`{0}` has records that do not go together with this one")]
    Conflict(Owner),
    #[error("the name of the zone itself can be no delegation, and an alias only of a name that is served here")]
    Apex,
    #[error("an identical record already exists")]
    Identical,
    #[error("there is no such record in this zone")]
    NoRecord,
    #[error("`{0}` is connected to a Worker; its record comes and goes with that connection")]
    Managed(Owner),
    #[error("{0} records cannot be proxied")]
    NotProxiable(&'static str),
    #[error("{0}")]
    Words(String),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the zone has its {MAX_RECORDS} records already")]
    Full,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for ZoneError {
    fn code(&self) -> &'static str {
        match self {
            Self::Taken => "zone_taken",
            Self::NotFound => "zone_not_found",
            Self::Outside(_) => "record_outside_zone",
            Self::Conflict(_) => "record_conflict",
            Self::Apex => "record_not_at_apex",
            Self::Identical => "record_identical",
            Self::NoRecord => "record_not_found",
            Self::Managed(_) => "record_managed",
            Self::NotProxiable(_) => "record_not_proxiable",
            Self::Words(_) => "record_words_invalid",
            Self::Record(e) => e.code(),
            Self::Full => "zone_full",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Taken | Self::Conflict(_) | Self::Identical | Self::Managed(_) => Kind::Conflict,
            Self::NotFound | Self::NoRecord => Kind::NotFound,
            Self::Outside(_) | Self::Apex | Self::NotProxiable(_) | Self::Words(_) => Kind::Invalid,
            Self::Record(e) => e.kind(),
            Self::Full => Kind::TooLarge,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict(_) => Some("remove the other records first or ask to replace them".to_owned()),
            Self::Full => Some("remove some records first".to_owned()),
            Self::Managed(_) => Some("disconnect the host name from its Worker".to_owned()),
            Self::Taken | Self::NotFound | Self::Outside(_) | Self::Apex | Self::Identical => None,
            Self::NoRecord | Self::NotProxiable(_) | Self::Words(_) | Self::Record(_) => None,
            Self::Store(e) => e.hint(),
        }
    }
}
