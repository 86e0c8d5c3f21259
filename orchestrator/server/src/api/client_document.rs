//! `/.well-known/oauth-client/{provider}`: who we are, for a provider that knows us by this address (a Client ID Metadata Document) and
//! not by a shared secret. One for each provider, because a code of one must go to the callback of no other.

use axum::Json;
use axum::extract::{Path, State};
use purser_http::Problem;
use purser_values::name::ProviderName;
use serde_json::{Value, json};

use super::Api;

/// The path of the document for a provider.
#[must_use]
pub fn path(provider: &ProviderName) -> String {
    format!("/.well-known/oauth-client/{provider}")
}

pub async fn read(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let provider: ProviderName = name.parse().map_err(|_| Problem::not_found())?;
    let id = api.app.gateway.client_document(&provider).ok_or_else(Problem::not_found)?;
    let realm = &api.app.realm;
    Ok(Json(json!({
        "client_id": id,
        "client_name": "Purser",
        "client_uri": &*realm.issuer,
        "redirect_uris": [realm.url(&format!("/link/callback/{provider}"))],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks_uri": realm.url("/.well-known/jwks.json"),
    })))
}
