//! `POST /oauth/introspect` (RFC 7662): what a token says, for the client whose it is or a resource server of the operator's.

use axum::Json;
use axum::extract::State;
use purser_identity::client::assertion::AssertionError;
use purser_identity::token::token_introspect;
use serde_json::Value;

use super::client_auth;
use super::error::OAuthError;
use super::form::Form;
use crate::front::Front;

pub const PATH: &str = "/oauth/introspect";

pub async fn post(State(front): State<Front>, form: Form) -> Result<Json<Value>, OAuthError> {
    let Form { headers, parameters } = form;
    let authenticated = client_auth::required(&front, &headers, &parameters, PATH).await?;
    let token = parameters.secret("token").ok_or_else(|| OAuthError::invalid_request("`token` is missing"))?;
    let (realm, client) = (front.realm.clone(), authenticated.client);
    let answer = match authenticated.assertion {
        None => front.core.db.read(move |tx| token_introspect(tx, &realm, &client, token.expose())).await?,
        Some(assertion) => {
            let look = move |tx: &mut purser_db::Tx<'_>| -> Result<Value, AssertionError> {
                assertion.consume(tx)?;
                Ok(token_introspect(tx, &realm, &client, token.expose())?)
            };
            front.core.db.write(look).await?
        }
    };
    Ok(Json(answer))
}
