//! The authorization server's metadata (RFC 8414), for clients that know OAuth and not us.

use http::HeaderValue;
use purser_wire::manifest::Manifest;
use serde::Serialize;
use url::Url;

/// What only the provider knows of its authorization server.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    pub authorization_endpoint: Url,
    pub scopes: Vec<String>,
}

pub use purser_wire::metadata::PATH;

#[derive(Serialize)]
pub(crate) struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    scopes_supported: Vec<String>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 2],
    code_challenge_methods_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 1],
    authorization_response_iss_parameter_supported: bool,
}

/// The issuer of a provider: its base URL without the slash at the end (RFC 9207 compares it as text).
#[must_use]
pub fn issuer(base_url: &Url) -> String {
    base_url.as_str().trim_end_matches('/').to_owned()
}

pub(crate) fn metadata(manifest: &Manifest, server: AuthorizationServer) -> Metadata {
    Metadata {
        issuer: issuer(&manifest.base_url),
        authorization_endpoint: server.authorization_endpoint,
        token_endpoint: manifest.token_url.clone(),
        scopes_supported: server.scopes,
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: ["authorization_code", "refresh_token"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["private_key_jwt"],
        token_endpoint_auth_signing_alg_values_supported: ["EdDSA"],
        authorization_response_iss_parameter_supported: true,
    }
}

/// How long a reader may keep it.
pub(crate) const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");
