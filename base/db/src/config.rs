//! Where the data lives.

use std::path::PathBuf;
use std::str::FromStr;

use crate::postgres::{Address, AddressError};

/// A database: `sqlite:PATH` or `postgres://…`.
#[derive(Clone, PartialEq, Eq)]
pub enum DbConfig {
    Sqlite { path: PathBuf },
    Postgres { url: String },
}

#[derive(Debug, thiserror::Error)]
pub enum ParseDbConfigError {
    #[error("`database` must be `sqlite:PATH` or `postgres://USER@HOST/NAME`")]
    Kind,
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl FromStr for DbConfig {
    type Err = ParseDbConfigError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite { path: path.into() }),
            Some(("postgres" | "postgresql", _)) => {
                s.parse::<Address>()?;
                Ok(Self::Postgres { url: s.to_owned() })
            }
            _ => Err(ParseDbConfigError::Kind),
        }
    }
}

/// The URL may hold a password, so it is never shown.
impl std::fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { .. } => f.write_str("postgres://***"),
        }
    }
}
