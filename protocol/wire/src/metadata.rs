//! What we read of a provider's authorization server metadata (RFC 8414, RFC 9207): who it says it is in its answers.

use serde::Deserialize;

/// The document's path below the issuer.
pub const PATH: &str = ".well-known/oauth-authorization-server";

/// The two members that decide whether an answer in the browser must name its issuer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServerMetadata {
    pub issuer: String,
    #[serde(default, deserialize_with = "crate::plain::or_default")]
    pub authorization_response_iss_parameter_supported: bool,
}
