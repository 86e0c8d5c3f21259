//! `POST /sign-in/sso/{name}/logout` (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8): a company tells us that somebody signed out
//! there. No cookie counts here; the company's signature does, and it is checked before anything is written.

use axum::extract::{Path, State};
use http::StatusCode;
use purser_authority::action::SsoLogout;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::sso::{SsoError, sso_logout};
use purser_provisioning::perform;
use purser_values::error::PublicError as _;
use purser_values::name::ConnectionName;

use super::error::OAuthError;
use super::form::Form;
use crate::front::Front;

/// Longest logout token that is looked at, in bytes.
const TOKEN_BYTES: usize = 16 * 1024;

pub async fn post(
    State(front): State<Front>,
    Path(name): Path<ConnectionName>,
    Form { parameters, .. }: Form,
) -> Result<StatusCode, OAuthError> {
    let connection = front.realm.sso.find(&name).cloned().ok_or_else(|| refused(&SsoError::Unknown))?;
    let token = parameters.get("logout_token").filter(|token| token.len() <= TOKEN_BYTES);
    let token = token.ok_or_else(|| OAuthError::invalid_request("`logout_token` is missing, or too long"))?;
    let said = front.sso.logout_statement(&front.realm, &connection, token).await.map_err(|e| refused(&e))?;
    let realm = front.realm.clone();
    let attempt = Attempt::new("sso_logout", &Caller::Anonymous, connection.name.as_str());
    perform::<_, SsoError, _>(&front.core, attempt, move |tx| {
        let permit = authorise::<SsoLogout>(&Caller::Anonymous, &Facts::new(realm.env.now(), connection.name.as_str()))?;
        sso_logout(tx, &realm, &permit, &connection, &said)
    })
    .await
    .map_err(|e| refused(&e))?;
    Ok(StatusCode::OK)
}

/// Every refusal is a 400 here (2.8), with our code beside it.
fn refused(e: &SsoError) -> OAuthError {
    OAuthError::new(e.code(), e.to_string()).registered_as("invalid_request")
}
