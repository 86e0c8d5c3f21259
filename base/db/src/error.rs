//! What can go wrong below a use case.

use purser_values::error::{Kind, PublicError};

/// A failure of the store. Cloneable, because one failed commit answers every write of its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    #[error("a row with this key exists already ({0})")]
    Unique(String),
    #[error("no row where exactly one was expected")]
    NoRow,
    #[error("a row does not hold what it must: {0}")]
    Corrupt(String),
    #[error("the disk that holds the database is full; nothing was changed: make room and repeat the request")]
    Full,
    #[error("the database refused the write after several tries because others changed the same rows; repeat the request")]
    Contention,
    #[error("the database cannot be reached or has stopped: {0}")]
    Unavailable(String),
    #[error("migration {0} was changed after it was applied")]
    MigrationChanged(String),
    #[error("the database is PostgreSQL {0}; use PostgreSQL {oldest} or later", oldest = crate::postgres::OLDEST)]
    TooOld(i64),
    #[error("the store failed: {0}")]
    Other(String),
}

impl DbError {
    /// Whether the same call may well succeed a little later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::Contention | Self::Unavailable(_))
    }
}

/// What is shown says nothing of tables or statements; the cause goes to the log where the error is rendered.
impl PublicError for DbError {
    fn code(&self) -> &'static str {
        match self {
            Self::Full => "disk_full",
            Self::Contention | Self::Unavailable(_) => "store_unavailable",
            _ => "internal",
        }
    }
    fn kind(&self) -> Kind {
        if self.is_transient() { Kind::Unavailable } else { Kind::Internal }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = e.to_string();
        match &e {
            rusqlite::Error::SqliteFailure(code, _) => match code.code {
                ErrorCode::ConstraintViolation
                    if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                        || code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY =>
                {
                    Self::Unique(text)
                }
                ErrorCode::DiskFull => Self::Full,
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Contention,
                ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => Self::Unavailable(text),
                _ => Self::Other(text),
            },
            _ => Self::Other(text),
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(e: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        match e.as_db_error() {
            Some(db) if *db.code() == SqlState::UNIQUE_VIOLATION => Self::Unique(db.constraint().unwrap_or("unique").to_owned()),
            Some(db) if *db.code() == SqlState::DISK_FULL => Self::Full,
            Some(db) if is_retry(db.code()) => Self::Contention,
            Some(db) => Self::Other(format!("{} ({})", db.message(), db.code().code())),
            None if e.is_closed() => Self::Unavailable("the connection is closed".to_owned()),
            None => Self::Other(source_chain(&e)),
        }
    }
}

pub fn is_retry(code: &tokio_postgres::error::SqlState) -> bool {
    use tokio_postgres::error::SqlState;
    *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
}

/// The error with all its causes: drivers keep what matters ("connection refused") below the surface.
pub fn source_chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
