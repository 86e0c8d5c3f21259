//! Codes of an app (TOTP, RFC 6238) for the step-up, with ten recovery codes.
//!
//! INVARIANT (code-once): a code counts once: its time step must be later than that of the last one taken. The secret is sealed, and
//! wrong tries are few, in a window and in a day.

mod add;
mod remove;
mod take;

pub use add::{Confirm, Enrolment, totp_add_begin, totp_add_confirm};
pub use remove::totp_remove;
pub(crate) use take::{Taken, take};

use purser_authority::Denied;
use purser_crypto::seal::SealError;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::PersonId;
use purser_values::name::Email;
use purser_values::{Secret, Timestamp};
use totp_rs::Totp;

use crate::realm::Realm;

/// Bytes of a secret: as many as SHA-1 gives (RFC 4226, 4).
const SECRET_BYTES: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum TotpError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("there is no app to check the code with")]
    None,
    #[error("an app is on file already")]
    OnFile,
    #[error("`{0}` is neither a code of six digits nor a recovery code")]
    NotACode(String),
    #[error("too many codes were wrong")]
    TooMany,
    #[error("the secret of the app cannot be used: {0}")]
    Secret(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for TotpError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::None => "totp_unknown",
            Self::OnFile => "totp_on_file",
            Self::NotACode(_) => "not_a_code",
            Self::TooMany => "too_many_codes",
            Self::Secret(_) | Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::None => Kind::NotFound,
            Self::OnFile => Kind::Conflict,
            Self::NotACode(_) => Kind::Invalid,
            Self::TooMany => Kind::RateLimited,
            Self::Secret(_) | Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::None => Some("add one on the security page".to_owned()),
            Self::OnFile => Some("remove it first".to_owned()),
            Self::NotACode(_) => Some("type the six digits that the app shows now".to_owned()),
            Self::TooMany => Some("wait a quarter of an hour, or use a passkey".to_owned()),
            Self::Secret(_) | Self::Seal(_) | Self::Db(_) => None,
        }
    }
}

/// When the person's app was confirmed, if there is one.
///
/// # Errors
/// When the store fails.
pub fn confirmed_at(tx: &mut Tx<'_>, person: &PersonId) -> Result<Option<Timestamp>, DbError> {
    let select = "select confirmed_at from totp where person = $1 and confirmed_at is not null";
    tx.query_opt(select, params![person])?.map(|row| row.get("confirmed_at")).transpose()
}

fn purpose(person: &PersonId) -> String {
    format!("totp/{person}")
}

/// Six digits of SHA-1 every 30 seconds, one step early or late, because that is what every app does.
fn generator(secret: &Secret<Vec<u8>>, realm: &Realm, email: &Email) -> Result<Totp, TotpError> {
    let name = format!("Purser ({})", realm.host());
    let builder = totp_rs::Builder::new().with_secret(secret.expose().clone()).with_issuer(Some(name)).with_account_name(email.as_str());
    builder.build().map_err(|e| TotpError::Secret(e.to_string()))
}
