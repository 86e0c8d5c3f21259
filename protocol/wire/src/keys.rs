//! `GET {orchestrator}/v2/provisioning/public_keys` (section 2.2 of the reference).

use purser_values::Timestamp;
use serde::{Deserialize, Serialize};

/// The path of the route, below the orchestrator's base URL.
pub const PATH: &str = "v2/provisioning/public_keys";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    pub public_keys: Vec<PublicKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub kid: String,
    /// Only `Ed25519` is used.
    pub crv: String,
    /// The key, base64url without padding of 32 bytes.
    pub x: String,
    pub expires_at: Timestamp,
}
