//! Why a sign-in through a company comes to nothing.

use purser_authority::Denied;
use purser_crypto::jose::JoseError;
use purser_crypto::seal::SealError;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::name::Email;

use super::SsoRequired;
use crate::passkey::PasskeyError;
use crate::step_up::StepUpError;
use crate::totp::TotpError;

#[derive(Debug, thiserror::Error)]
pub enum SsoError {
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Said to the operator alone.
    #[error("nobody here has the address `{0}`")]
    Nobody(Email),
    #[error("there is no such company here")]
    Unknown,
    #[error("this sign-in was not begun in this browser, or it is over")]
    Over,
    #[error("too many sign-ins were begun from here and not ended")]
    TooMany,
    /// It answered with an error of OAuth, or took back its code.
    #[error("the company did not sign you in")]
    Refused,
    #[error("the company's sign-in cannot be reached now")]
    Unavailable,
    /// A newer key set may help.
    #[error("no key of the company's signed its answer")]
    NoKey,
    #[error("the company's answer is not one that it signed: {0}")]
    Signature(JoseError),
    #[error("the company's answer cannot be used: {0}")]
    Answer(&'static str),
    #[error("the company does not say that your address there is verified")]
    Unverified,
    #[error("the company may not vouch for addresses at the domain of yours")]
    Domain,
    #[error("nobody here is known by your account at the company")]
    NotAdmitted,
    #[error("the login of your address belongs to another account at the company")]
    OtherSubject,
    #[error("the account at the company, or another one there, is connected with a login already")]
    Linked,
    #[error("the new address is the one of another login")]
    AddressTaken,
    #[error("this is the account of somebody else at the company")]
    OtherPerson,
    #[error("the company did not ask who you are just now")]
    Stale,
    #[error("{} company accounts are connected, which is the most", crate::limits::SSO_IDENTITIES)]
    TooManyIdentities,
    #[error(transparent)]
    Required(#[from] SsoRequired),
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    #[error(transparent)]
    Totp(#[from] TotpError),
    #[error(transparent)]
    StepUp(#[from] StepUpError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl SsoError {
    const fn inner(&self) -> Option<&dyn PublicError> {
        match self {
            Self::Denied(e) => Some(e),
            Self::Required(e) => Some(e),
            Self::Passkey(e) => Some(e),
            Self::Totp(e) => Some(e),
            Self::StepUp(e) => Some(e),
            Self::Db(e) => Some(e),
            _ => None,
        }
    }
}

impl PublicError for SsoError {
    fn code(&self) -> &'static str {
        if let Some(inner) = self.inner() {
            return inner.code();
        }
        match self {
            Self::Nobody(_) => "not_found",
            Self::Unknown => "sso_unknown",
            Self::Over => "sso_over",
            Self::TooMany => "sso_too_many",
            Self::Refused => "sso_refused",
            Self::Unavailable => "sso_unavailable",
            Self::NoKey | Self::Signature(_) | Self::Answer(_) => "sso_answer_invalid",
            Self::Unverified => "sso_email_unverified",
            Self::Domain => "sso_domain_refused",
            Self::NotAdmitted => "sso_not_admitted",
            Self::OtherSubject => "sso_other_account",
            Self::Linked => "sso_linked",
            Self::AddressTaken => "email_taken",
            Self::OtherPerson => "sso_other_person",
            Self::Stale => "sso_stale",
            Self::TooManyIdentities => "too_many_sso_accounts",
            _ => "internal",
        }
    }

    fn kind(&self) -> Kind {
        if let Some(inner) = self.inner() {
            return inner.kind();
        }
        match self {
            Self::Nobody(_) | Self::Unknown => Kind::NotFound,
            Self::TooMany => Kind::RateLimited,
            Self::Unavailable => Kind::Unavailable,
            Self::Over | Self::Refused | Self::NoKey | Self::Signature(_) | Self::Answer(_) | Self::Stale => Kind::Unauthenticated,
            Self::Unverified | Self::Domain | Self::NotAdmitted | Self::OtherPerson => Kind::Forbidden,
            Self::OtherSubject | Self::Linked | Self::AddressTaken | Self::TooManyIdentities => Kind::Conflict,
            _ => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Over | Self::Refused | Self::NoKey | Self::Signature(_) | Self::Answer(_) => "begin again on the sign-in page",
            Self::Nobody(_) => "look for a mistake in it; the organisation's page lists its members",
            Self::TooMany => "end one that is open, or wait ten minutes",
            Self::Unavailable => "try again in a minute; if it lasts, ask whoever runs your company's sign-in",
            Self::Unverified => "have your address verified there, and sign in again",
            Self::Domain => "sign in with an account of the company's own domain",
            Self::NotAdmitted => "ask an admin of your organisation to let you in: by a group at the company, or by an invitation",
            Self::OtherSubject => "ask whoever runs this installation: the address may have had another holder",
            Self::Linked | Self::TooManyIdentities => "look at the security page, and disconnect the other one first",
            Self::AddressTaken => "free that one first, or take another",
            Self::OtherPerson => "sign in there with the account that is connected with your login here",
            Self::Stale => "sign in there anew when you are asked",
            other => return other.inner().and_then(PublicError::hint),
        };
        Some(hint.to_owned())
    }
}
