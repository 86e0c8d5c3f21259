//! Public keys as JSON Web Keys.

use serde::{Deserialize, Serialize};

use purser_values::Sha256Digest;

use super::key::Algorithm;
use crate::encoding::{b64url, b64url_decode};

/// A public key: Ed25519 or P-256. A JWK with a private member does not parse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawJwk", into = "RawJwk")]
pub struct Jwk {
    pub(super) alg: Algorithm,
    /// Ed25519: 32 bytes. P-256: the uncompressed point, 65 bytes.
    pub(super) public: Vec<u8>,
    /// The key's name in a key set, when it has one.
    pub kid: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RawJwk {
    kty: String,
    crv: String,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing)]
    d: Option<serde_json::Value>,
}

impl TryFrom<RawJwk> for Jwk {
    type Error = &'static str;
    fn try_from(raw: RawJwk) -> Result<Self, Self::Error> {
        if raw.d.is_some() {
            return Err("the key holds a private part");
        }
        let part = |text: &str| b64url_decode(text).filter(|b| b.len() == 32).ok_or("a key part is not 32 bytes of base64url");
        let (alg, public) = match (raw.kty.as_str(), raw.crv.as_str(), &raw.y) {
            ("OKP", "Ed25519", None) => (Algorithm::EdDsa, part(&raw.x)?),
            ("EC", "P-256", Some(y)) => (Algorithm::Es256, [vec![4], part(&raw.x)?, part(y)?].concat()),
            _ => return Err("the key is neither Ed25519 nor P-256"),
        };
        Ok(Self { alg, public, kid: raw.kid })
    }
}

impl From<Jwk> for RawJwk {
    fn from(key: Jwk) -> Self {
        let (kty, crv, x, y) = key.parts();
        Self {
            kty: kty.to_owned(),
            crv: crv.to_owned(),
            x,
            y,
            alg: Some(key.alg.name().to_owned()),
            usage: Some("sig".to_owned()),
            kid: key.kid,
            d: None,
        }
    }
}

impl Jwk {
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.alg
    }

    /// An Ed25519 key from its 32 bytes.
    #[must_use]
    pub fn ed25519(public: [u8; 32]) -> Self {
        Self { alg: Algorithm::EdDsa, public: public.to_vec(), kid: None }
    }

    /// The raw public key: 32 bytes for Ed25519, the uncompressed point for P-256.
    #[must_use]
    pub fn public_bytes(&self) -> &[u8] {
        &self.public
    }

    /// The SHA-256 thumbprint, base64url (RFC 7638): the members in their lexicographic order, no spaces.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (kty, crv, x, y) = self.parts();
        let text = match y {
            None => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"}}"#),
            Some(y) => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#),
        };
        b64url(Sha256Digest::of(text.as_bytes()).as_bytes())
    }

    fn parts(&self) -> (&'static str, &'static str, String, Option<String>) {
        match self.alg {
            Algorithm::EdDsa => ("OKP", "Ed25519", b64url(&self.public), None),
            Algorithm::Es256 => ("EC", "P-256", b64url(&self.public[1..33]), Some(b64url(&self.public[33..]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let key: Jwk = serde_json::from_str(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#).unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_private_key_is_no_public_key() {
        let text = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
        assert!(serde_json::from_str::<Jwk>(text).is_err());
    }
}
