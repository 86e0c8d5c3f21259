//! Where the answer may go. Until this is known, an error is shown on a page of ours and sent nowhere.

use purser_values::error::{Kind, PublicError};

use crate::client::{Client, GrantType, RedirectUri};
use crate::parameters::Parameters;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    #[error("`redirect_uri` is missing")]
    Missing,
    #[error("`redirect_uri` is not one of the addresses that the client registered")]
    Unregistered,
    #[error("this client is not one that sends persons here")]
    NoCodes,
}

impl PublicError for RedirectError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Unregistered => "invalid_redirect_uri",
            Self::NoCodes => "unauthorized_client",
        }
    }
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn hint(&self) -> Option<String> {
        Some("the application that sent you here is set up wrongly: tell whoever runs it".to_owned())
    }
}

/// The address of the answer, which must be one of the client's.
///
/// # Errors
/// See [`RedirectError`]; none of them may be sent to the address that was given.
pub fn redirect_of(parameters: &Parameters, client: &Client) -> Result<RedirectUri, RedirectError> {
    if !client.may(GrantType::AuthorizationCode) {
        return Err(RedirectError::NoCodes);
    }
    let given = parameters.get("redirect_uri").ok_or(RedirectError::Missing)?;
    let given: RedirectUri = given.parse().map_err(|_| RedirectError::Unregistered)?;
    if client.metadata.redirect_uris.iter().any(|known| known.admits(&given)) { Ok(given) } else { Err(RedirectError::Unregistered) }
}
