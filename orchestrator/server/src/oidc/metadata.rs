//! Metadata (RFC 8414) and public keys, for clients, auditors and providers.

use axum::Json;
use axum::extract::State;
use purser_wire::keys::{PublicKey, PublicKeys};
use serde_json::{Value, json};

use crate::front::Front;

/// How long a provider may trust a key that it has fetched, in seconds.
const KEY_TRUST_S: i64 = 86_400;

pub async fn server(State(front): State<Front>) -> Json<Value> {
    let url = |path| front.realm.url(path);
    Json(json!({
        "issuer": &*front.realm.issuer,
        "device_authorization_endpoint": url("/oauth/device_authorization"),
        "token_endpoint": url("/oauth/token"),
        "jwks_uri": url("/.well-known/jwks.json"),
        "response_types_supported": [],
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": ["EdDSA", "ES256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

pub async fn jwks(State(front): State<Front>) -> Json<Value> {
    Json(json!({ "keys": front.realm.keys.published() }))
}

pub async fn public_keys(State(front): State<Front>) -> Json<PublicKeys> {
    let expires_at = front.realm.env.now().plus_secs(KEY_TRUST_S);
    let public_keys = front.realm.keys.published().iter().filter_map(|key| PublicKey::new(key, expires_at)).collect();
    Json(PublicKeys { public_keys })
}
