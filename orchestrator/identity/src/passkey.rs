//! Passkeys (W3C Web Authentication): several for each person, with names. They sign in, step up, and sign what a person accepts.
//!
//! No ceremony is stored when it begins: a challenge is ours by its HMAC, for one purpose and one browser, person or session, for
//! five minutes, and what remembers it is the write that takes the answer ([`challenge`]), so that nobody can fill a table by
//! asking. A mailbox is always a second way in, so that removing a passkey locks nobody out.

mod add;
mod answer;
mod assert;
mod challenge;
mod remove;
mod sign;
mod sign_in;

pub use add::{creation_options, passkey_add};
pub use answer::{AssertionAnswer, AttestationAnswer};
pub(crate) use assert::assert;
pub use challenge::request_options;
pub(crate) use challenge::{Purpose, mint, take};
pub use remove::passkey_remove;
pub use sign::{SignedAssertion, sign_challenge, signing_options};
pub use sign_in::{sign_in_options, sign_in_passkey};

use purser_authority::action::SecurityRead;
use purser_authority::{Denied, Permit};
use purser_crypto::seal::SealError;
use purser_crypto::webauthn::{PublicKey, WebauthnError};
use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{PasskeyId, PersonId};

use crate::limits::{PASSKEY_NAME_CHARS, PASSKEYS};
use crate::sso::SsoRequired;

#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the page that asked for the passkey is too old, or its answer was used before")]
    Over,
    /// Unknown here, or not this person's: who asks is not told which.
    #[error("this passkey is not known here")]
    Unknown,
    #[error("the passkey was not accepted: {0}")]
    Refused(#[from] WebauthnError),
    #[error("the passkey counts backwards, as a copy of it would")]
    Copied,
    #[error("this passkey is on file already")]
    OnFile,
    #[error("there are {PASSKEYS} passkeys on file, which is the most")]
    TooMany,
    #[error("the name of a passkey has 1 to {PASSKEY_NAME_CHARS} visible characters")]
    Name,
    #[error(transparent)]
    Sso(#[from] SsoRequired),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for PasskeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Over => "passkey_over",
            Self::Unknown => "passkey_unknown",
            Self::Refused(_) => "passkey_refused",
            Self::Copied => "passkey_copied",
            Self::OnFile => "passkey_on_file",
            Self::TooMany => "too_many_passkeys",
            Self::Name => "passkey_name",
            Self::Sso(e) => e.code(),
            Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Over | Self::Unknown | Self::Refused(_) | Self::Copied => Kind::Unauthenticated,
            Self::OnFile | Self::TooMany => Kind::Conflict,
            Self::Name => Kind::Invalid,
            Self::Sso(e) => e.kind(),
            Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Sso(e) => e.hint(),
            Self::Over => Some("load the page again".to_owned()),
            Self::Unknown | Self::Refused(_) => Some("try another passkey, or a code by mail".to_owned()),
            Self::Copied => Some("remove it on the security page, and add it anew".to_owned()),
            Self::OnFile | Self::TooMany => Some("look at the passkeys on the security page".to_owned()),
            Self::Name => Some("give a name such as `laptop`".to_owned()),
            Self::Seal(_) | Self::Db(_) => None,
        }
    }
}

/// One passkey on file.
#[derive(Clone, Debug)]
pub struct Passkey {
    pub id: PasskeyId,
    pub person: PersonId,
    pub name: String,
    /// The authenticator's name for it, base64url.
    pub credential: String,
    pub key: PublicKey,
    pub sign_count: u32,
    pub backed_up: bool,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// The caller's own passkeys, oldest first.
///
/// # Errors
/// When the store fails.
pub fn passkeys_list(tx: &mut Tx<'_>, permit: &Permit<SecurityRead>) -> Result<Vec<Passkey>, DbError> {
    permit.caller().person().map_or_else(|| Ok(Vec::new()), |person| of_person(tx, person))
}

pub(crate) fn of_person(tx: &mut Tx<'_>, person: &PersonId) -> Result<Vec<Passkey>, DbError> {
    tx.query("select * from passkey where person = $1 order by created_at, id", params![person])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Passkey, DbError> {
    let cose: Vec<u8> = row.get("public_key")?;
    let corrupt = |what: &str| DbError::Corrupt(format!("the {what} of a passkey"));
    Ok(Passkey {
        id: row.parse("id")?,
        person: row.parse("person")?,
        name: row.get("name")?,
        credential: row.get("credential")?,
        key: PublicKey::from_cose(&cose).map_err(|_| corrupt("key"))?,
        sign_count: u32::try_from(row.get::<i64>("sign_count")?).map_err(|_| corrupt("counter"))?,
        backed_up: row.get("backed_up")?,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
