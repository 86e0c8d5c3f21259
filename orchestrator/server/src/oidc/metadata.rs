//! Metadata (RFC 8414; OpenID Connect Discovery 1.0) and public keys, for clients, auditors and providers.
//!
//! Nothing is named that is not there: a test calls what is named.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use purser_identity::authorization::code::{ACR_MAILED_CODE, ACR_PHISHING_RESISTANT};
use purser_identity::authorization::details::GRANT_TYPE;
use purser_identity::limits::{KEY_SET_FRESH_S, KEY_TRUST_S};
use purser_identity::scope::OF_PERSONS;
use purser_identity::token;
use purser_values::Timestamp;
use purser_wire::keys::{PublicKey, PublicKeys};
use serde_json::{Value, json};

use super::clients::Registration;
use super::resource::PROOF_ALGORITHMS;
use super::{introspect, revoke};
use crate::front::Front;

/// How clients prove themselves, at every endpoint that asks for it.
const AUTHENTICATION: [&str; 4] = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];

pub async fn server(State(front): State<Front>) -> Json<Value> {
    let url = |path| front.realm.url(path);
    let mut metadata = json!({
        "issuer": &*front.realm.issuer,
        "authorization_endpoint": url("/oauth/authorize"),
        "token_endpoint": url("/oauth/token"),
        "userinfo_endpoint": url("/oauth/userinfo"),
        "jwks_uri": url("/.well-known/jwks.json"),
        "introspection_endpoint": url(introspect::PATH),
        "revocation_endpoint": url(revoke::PATH),
        "pushed_authorization_request_endpoint": url("/oauth/par"),
        "device_authorization_endpoint": url("/oauth/device_authorization"),
        "end_session_endpoint": url("/oauth/logout"),
        "scopes_supported": OF_PERSONS,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
            token::exchange::GRANT_TYPE,
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": PROOF_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": AUTHENTICATION,
        "introspection_endpoint_auth_signing_alg_values_supported": PROOF_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
        "revocation_endpoint_auth_signing_alg_values_supported": PROOF_ALGORITHMS,
        "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
        "id_token_signing_alg_values_supported": ["ES256", "EdDSA"],
        "subject_types_supported": ["public"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "email", "email_verified"],
        "acr_values_supported": [ACR_PHISHING_RESISTANT, ACR_MAILED_CODE],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_pushed_authorization_requests": false,
        "authorization_response_iss_parameter_supported": true,
        "authorization_details_types_supported": [GRANT_TYPE],
        "client_id_metadata_document_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    if front.clients.rules().registration != Registration::Closed {
        metadata["registration_endpoint"] = json!(url("/oauth/register"));
    }
    Json(metadata)
}

pub async fn jwks(State(front): State<Front>) -> impl IntoResponse {
    (fresh(), Json(json!({ "keys": front.realm.keys.published() })))
}

pub async fn public_keys(State(front): State<Front>) -> impl IntoResponse {
    let trusted_until = front.realm.env.now().plus_secs(KEY_TRUST_S);
    let lives = front.realm.keys.lives();
    let until = |leaves_at: Option<Timestamp>| leaves_at.map_or(trusted_until, |at| at.min(trusted_until));
    let public_keys = lives.iter().filter_map(|(key, life)| PublicKey::new(key, until(life.leaves_at))).collect();
    (fresh(), Json(PublicKeys { public_keys }))
}

/// A new key is published for much longer than this before it signs, save in an emergency.
fn fresh() -> [(header::HeaderName, String); 1] {
    [(header::CACHE_CONTROL, format!("public, max-age={KEY_SET_FRESH_S}"))]
}
