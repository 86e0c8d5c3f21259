//! `GET {orchestrator}/v2/provisioning/public_keys` (section 2.2 of the reference).

use purser_crypto::encoding::{b64url, b64url_decode};
use purser_crypto::jose::{Algorithm, Jwk};
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

impl PublicKey {
    /// An Ed25519 key as the document holds it; nothing for a key of another algorithm.
    #[must_use]
    pub fn new(key: &Jwk, expires_at: Timestamp) -> Option<Self> {
        let x = b64url(key.public_bytes());
        (key.algorithm() == Algorithm::EdDsa).then(|| Self { kid: key.thumbprint(), crv: "Ed25519".to_owned(), x, expires_at })
    }

    /// The key, when it is one that we use and is not over at `now`.
    #[must_use]
    pub fn usable(&self, now: Timestamp) -> Option<Jwk> {
        if self.crv != "Ed25519" || self.expires_at <= now {
            return None;
        }
        let mut key = Jwk::ed25519(b64url_decode(&self.x)?.try_into().ok()?);
        key.kid = Some(self.kid.clone());
        Some(key)
    }
}

impl PublicKeys {
    /// The usable key of that name.
    #[must_use]
    pub fn find(&self, kid: &str, now: Timestamp) -> Option<Jwk> {
        self.public_keys.iter().find(|key| key.kid == kid).and_then(|key| key.usable(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::SigningKey;

    #[test]
    fn a_key_is_found_by_name_until_it_is_over() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let document = PublicKeys { public_keys: vec![PublicKey::new(key.public(), Timestamp::from_secs(10)).unwrap()] };
        let kid = key.public().thumbprint();
        assert_eq!(document.find(&kid, Timestamp::from_secs(9)).unwrap().public_bytes(), key.public().public_bytes());
        assert!(document.find(&kid, Timestamp::from_secs(10)).is_none());
        assert!(document.find("other", Timestamp::EPOCH).is_none());
    }
}
