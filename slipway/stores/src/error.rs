//! What the stores refuse, with the numeric codes of the Cloudflare API.

use std::fmt;

use purser_db::DbError;

/// A thing that can be missing, taken or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    Namespace,
    Key,
    Bucket,
    Object,
    Upload,
    Database,
    Transfer,
    Queue,
    Consumer,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "KV namespace",
            Self::Key => "key",
            Self::Bucket => "bucket",
            Self::Object => "object",
            Self::Upload => "multipart upload",
            Self::Database => "database",
            Self::Transfer => "upload or export",
            Self::Queue => "queue",
            Self::Consumer => "consumer of a queue",
        })
    }
}

/// A refusal of any use case of this crate.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no such {0} here; check its name or id and the account")]
    NotFound(Thing),
    #[error("a {0} of this name exists already; choose another name or use the one that is there")]
    Taken(Thing),
    #[error("the account has its {1} {0}s; delete one that is no longer needed first")]
    TooMany(Thing, i64),
    #[error("{0}")]
    Invalid(String),
    /// A refusal that clients know by its number.
    #[error("{1}")]
    Refused(u32, String),
    /// SQL that cannot be run; the text is for its author.
    #[error("{0}")]
    Sql(String),
    #[error("at least one of the pre-conditions you specified did not hold")]
    Precondition,
    #[error("the requested range is not satisfiable")]
    Range,
    #[error("the {0} is not empty; delete what is in it first")]
    NotEmpty(Thing),
    #[error("{0}")]
    TooLarge(String),
    #[error("the account keeps {0} bytes at most; delete what is no longer needed first")]
    Full(i64),
    /// What the caller may do ended before the change was made.
    #[error("the token is disabled; the person it acts for can enable it")]
    Stopped,
    /// The sender went away, or sent less or more than it had announced.
    #[error("the body ended before it was complete; send it again")]
    Broken,
    /// The store or the disk failed. Never shown in detail.
    #[error("the request could not be carried out; try again")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    Invalid,
    TooLarge,
    Conflict,
    Precondition,
    Range,
    Forbidden,
    Internal,
}

impl StoreError {
    /// The number in Cloudflare's envelope.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::NotFound(Thing::Namespace) => 10_013,
            Self::NotFound(Thing::Key) => 10_009,
            Self::NotFound(Thing::Bucket) => 10_006,
            Self::NotFound(Thing::Object) => 10_007,
            Self::NotFound(Thing::Upload) => 10_024,
            Self::NotFound(Thing::Database | Thing::Transfer) => 7_404,
            Self::Taken(Thing::Database) => 7_502,
            Self::NotFound(Thing::Queue) => 11_000,
            Self::NotFound(Thing::Consumer) => 11_001,
            Self::Taken(Thing::Queue) => 11_009,
            Self::Taken(Thing::Consumer) => 11_004,
            Self::Sql(_) => 7_500,
            Self::Refused(code, _) => *code,
            Self::Precondition => 10_031,
            Self::Range => 10_039,
            Self::NotEmpty(_) => 10_008,
            Self::Taken(Thing::Namespace) => 10_014,
            Self::Taken(_) => 10_004,
            Self::TooMany(..) => 10_025,
            Self::Invalid(_) | Self::Broken => 10_001,
            Self::TooLarge(_) => 10_027,
            Self::Full(_) => 10_026,
            Self::Stopped => 10_000,
            Self::Internal(_) => 10_013,
        }
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Taken(_) | Self::NotEmpty(_) => Kind::Conflict,
            Self::Precondition => Kind::Precondition,
            Self::Range => Kind::Range,
            Self::Refused(..) | Self::Sql(_) | Self::Invalid(_) | Self::Broken | Self::TooMany(..) => Kind::Invalid,
            Self::TooLarge(_) => Kind::TooLarge,
            Self::Full(_) | Self::Stopped => Kind::Forbidden,
            Self::Internal(_) => Kind::Internal,
        }
    }

    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<DbError> for StoreError {
    fn from(e: DbError) -> Self {
        Self::internal(e)
    }
}

/// A failure of reading what somebody sends is the sender's; the disk's own is ours.
impl From<std::io::Error> for StoreError {
    fn from(e: std::io::Error) -> Self {
        if e.get_ref().is_some_and(|inner| inner.is::<crate::body::SenderFailed>()) { Self::Broken } else { Self::internal(e) }
    }
}
