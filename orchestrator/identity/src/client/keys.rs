//! A client's public keys, for `private_key_jwt`.

use purser_crypto::jose::Jwk;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most keys of a set that are looked at.
const KEYS: usize = 20;

/// The keys of a JWK set that we can use: Ed25519 and P-256, for signatures. Others are not ours to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSet")]
pub struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

impl TryFrom<RawSet> for KeySet {
    type Error = &'static str;
    fn try_from(raw: RawSet) -> Result<Self, Self::Error> {
        // Whoever publishes a private key has lost it, whatever its kind.
        if raw.keys.iter().any(|key| ["d", "p", "q", "k"].iter().any(|part| key.get(part).is_some())) {
            return Err("the key set holds a private or symmetric key");
        }
        let signs = |key: &&Value| key.get("use").is_none_or(|usage| usage == "sig");
        let usable = raw.keys.iter().take(KEYS).filter(signs).filter_map(|key| serde_json::from_value(key.clone()).ok());
        Ok(Self { keys: usable.collect() })
    }
}

impl KeySet {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that a header with this `kid` can mean: those of that name, or all where it names none.
    pub fn named<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a Jwk> {
        self.keys.iter().filter(move |key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::{Algorithm, SigningKey};
    use serde_json::json;

    #[test]
    fn a_set_keeps_what_signs_and_refuses_what_is_private() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let mut enc = json!(key.public());
        enc["use"] = json!("enc");
        let set = json!({ "keys": [key.public(), enc, { "kty": "RSA", "n": "AQAB", "e": "AQAB" }] });
        let set: KeySet = serde_json::from_value(set).unwrap();
        assert_eq!(set.named(None).count(), 1);
        assert_eq!(set.named(key.public().kid.as_deref()).count(), 1);
        assert_eq!(set.named(Some("other")).count(), 0);
        for private in [json!({ "kty": "RSA", "d": "AQAB" }), json!({ "kty": "oct", "k": "AQAB" })] {
            assert!(serde_json::from_value::<KeySet>(json!({ "keys": [private] })).is_err());
        }
    }
}
