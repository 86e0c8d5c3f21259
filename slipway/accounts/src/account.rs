//! A customer's account: what a person owns, and what orchestrators are linked with.

pub mod freeze;
pub mod get;
pub mod open;

use std::fmt;
use std::str::FromStr;

use purser_db::{DbError, Row};
use purser_values::id::CloudAccountId;
use purser_values::name::Email;
use purser_values::{Env, Timestamp};

use crate::limits::ORGANISATION_CHARS;

/// A customer account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: CloudAccountId,
    /// The id by which clients of the Cloudflare API know it.
    pub hex: HexId,
    pub owner: Owner,
    pub email: Email,
    pub organisation: String,
    pub state: AccountState,
    pub created_at: Timestamp,
}

/// Whom an account was opened for, or a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The orchestrator.
    pub issuer: String,
    /// The person or organisation, by the name that the orchestrator uses for us alone.
    pub subject: String,
    /// Whether the subject was attested by a signed assertion, or only an e-mail address was given.
    pub attested: bool,
}

/// What an account may do at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    Active,
    /// Nothing new and no API calls; with `dark` its sites are off line too.
    Frozen {
        dark: bool,
    },
}

/// Sixteen random bytes as 32 hexadecimal digits: the form of ids in the Cloudflare API.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of this kind is 32 hexadecimal digits")]
pub struct ParseHexIdError;

impl HexId {
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        Self(hex::encode(env.bytes::<16>()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HexId {
    type Err = ParseHexIdError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = s.len() == 32 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if ok { Ok(Self(s.to_owned())) } else { Err(ParseHexIdError) }
    }
}
impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AccountState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen { dark: false } => "frozen",
            Self::Frozen { dark: true } => "dark",
        }
    }

    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }
}

impl FromStr for AccountState {
    type Err = DbError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "active" => Ok(Self::Active),
            "frozen" => Ok(Self::Frozen { dark: false }),
            "dark" => Ok(Self::Frozen { dark: true }),
            other => Err(DbError::Corrupt(format!("`{other}` is no state of an account"))),
        }
    }
}

/// A name that somebody else chose, as it may be shown: no control characters, nothing that turns the direction of writing or hides.
#[must_use]
pub fn shown(name: &str) -> String {
    let hides =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    name.chars().filter(|c| !hides(*c)).take(ORGANISATION_CHARS).collect()
}

pub(crate) fn read(row: &Row) -> Result<Account, DbError> {
    Ok(Account {
        id: row.parse("id")?,
        hex: row.parse("hex")?,
        owner: Owner { issuer: row.get("issuer")?, subject: row.get("subject")?, attested: row.get("attested")? },
        email: row.parse("email")?,
        organisation: row.get("organisation")?,
        state: row.parse("state")?,
        created_at: row.get("created_at")?,
    })
}
