//! The API as a protected resource (RFC 9728): where its tokens come from, and the challenge that points there.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::front::Front;

pub const PATH: &str = "/.well-known/oauth-protected-resource";
/// Algorithms of DPoP proofs, by all their names (RFC 9864).
pub const PROOF_ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "Ed25519"];

pub async fn metadata(State(front): State<Front>) -> Json<Value> {
    Json(json!({
        "resource": &*front.realm.issuer,
        "authorization_servers": [&*front.realm.issuer],
        "jwks_uri": front.realm.url("/.well-known/jwks.json"),
        "bearer_methods_supported": ["header"],
        "resource_name": "Purser",
        "dpop_bound_access_tokens_required": true,
        "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
        "authorization_details_types_supported": [purser_identity::authorization::details::GRANT_TYPE],
    }))
}

/// A `WWW-Authenticate` value. All parts are ours, so nothing needs quoting.
pub fn challenge(issuer: &str, scheme: &str, error: Option<&str>) -> String {
    let mut text = format!("{scheme} resource_metadata=\"{issuer}{PATH}\"");
    if scheme == "DPoP" {
        text.push_str(&format!(", algs=\"{}\"", PROOF_ALGORITHMS.join(" ")));
    }
    if let Some(error) = error {
        text.push_str(&format!(", error=\"{error}\""));
    }
    text
}
