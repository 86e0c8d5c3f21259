//! Key sets of other issuers, who may sign with RSA too (RFC 7518, 3.3), and statements signed with them.
//!
//! The algorithm is the key's own here as well: an RSA key verifies RS256, or PS256 where it says so, and nothing else, from 2048
//! bits on, so neither `none` nor a MAC under a public key is ever tried.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::verify::{header, is_one_or_none, read, split};
use super::{JoseError, Jwk, verify_bytes};
use crate::encoding::b64url_decode;

/// Most keys of a set that are looked at.
const KEYS: usize = 20;

/// None by default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "RawSet")]
pub struct ForeignKeys(Vec<ForeignKey>);

#[derive(Clone, Debug)]
struct ForeignKey {
    kid: Option<String>,
    public: Public,
}

#[derive(Clone, Debug)]
enum Public {
    /// Ed25519 or P-256.
    Curve(Jwk),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        scheme: Rsa,
    },
}

#[derive(Clone, Copy, Debug)]
enum Rsa {
    Rs256,
    Ps256,
}

impl Rsa {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn parameters(self) -> &'static RsaParameters {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
        }
    }
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

impl TryFrom<RawSet> for ForeignKeys {
    type Error = &'static str;
    fn try_from(raw: RawSet) -> Result<Self, Self::Error> {
        // Whoever publishes a private key has lost it, whatever its kind.
        if raw.keys.iter().any(|key| ["d", "p", "q", "k"].iter().any(|part| key.get(part).is_some())) {
            return Err("the key set holds a private or symmetric key");
        }
        let signs = |key: &&Value| key.get("use").is_none_or(|usage| usage == "sig");
        Ok(Self(raw.keys.iter().filter(signs).take(KEYS).filter_map(usable).collect()))
    }
}

/// A key that we can use; others are not ours to judge.
fn usable(key: &Value) -> Option<ForeignKey> {
    let kid = key["kid"].as_str().map(str::to_owned);
    if key["kty"] == "RSA" {
        let part = |name: &str| key[name].as_str().and_then(b64url_decode);
        let scheme = match key.get("alg").map(Value::as_str) {
            None | Some(Some("RS256")) => Rsa::Rs256,
            Some(Some("PS256")) => Rsa::Ps256,
            Some(_) => return None,
        };
        return Some(ForeignKey { kid, public: Public::Rsa { n: part("n")?, e: part("e")?, scheme } });
    }
    Some(ForeignKey { kid, public: Public::Curve(serde_json::from_value(key.clone()).ok()?) })
}

impl ForeignKeys {
    /// The claims of a token that a key of this set signed. It may say no `typ`, or one of `types`.
    ///
    /// # Errors
    /// [`JoseError::Key`] when no key of the set is meant, so that a newer set may help; else what is wrong with the token.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, types: &[&str]) -> Result<T, JoseError> {
        self.verify_named(token, types).map(|(claims, _)| claims)
    }

    /// [`ForeignKeys::verify`] with the name of the algorithm, for those who hash something else as the signature does (`at_hash`).
    ///
    /// # Errors
    /// As [`ForeignKeys::verify`].
    pub fn verify_named<T: DeserializeOwned>(&self, token: &str, types: &[&str]) -> Result<(T, String), JoseError> {
        let parts = split(token)?;
        let header = header(&parts, |found| is_one_or_none(found, types))?;
        let meant = |key: &&ForeignKey| header.kid.is_none() || key.kid == header.kid;
        let mut refused = JoseError::Key;
        for key in self.0.iter().filter(meant) {
            let checked = match &key.public {
                Public::Curve(jwk) if jwk.algorithm().is_named(&header.alg) => verify_bytes(jwk, parts.signed.as_bytes(), &parts.signature),
                Public::Rsa { n, e, scheme } if header.alg == scheme.name() => {
                    let public = RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
                    let checked = public.verify(scheme.parameters(), parts.signed.as_bytes(), &parts.signature);
                    checked.map_err(|_| JoseError::Signature)
                }
                _ => Err(JoseError::Header),
            };
            match checked {
                Ok(()) => {
                    let alg = header.alg.clone();
                    return Ok((read(parts, header)?.claims, alg));
                }
                Err(e) => refused = e,
            }
        }
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::b64url;
    use crate::mac;
    use serde_json::json;

    /// Keys and tokens made by another library (npm `jose` 6).
    const MADE: &str = include_str!("../../tests/foreign.json");

    fn made() -> Value {
        serde_json::from_str(MADE).unwrap()
    }

    fn set(keys: &[&Value]) -> ForeignKeys {
        serde_json::from_value(json!({ "keys": keys })).unwrap()
    }

    #[test]
    fn what_another_library_signed_verifies_under_its_own_key_alone() {
        let made = made();
        let all = set(&[&made["RS256"]["jwk"], &made["ES256"]["jwk"]]);
        for alg in ["RS256", "ES256"] {
            let token = made[alg]["token"].as_str().unwrap();
            let claims: Value = all.verify(token, &["JWT"]).unwrap();
            assert_eq!(claims["sub"], "repo:acme/shop:ref:refs/heads/main");
            assert_eq!(all.verify::<Value>(token, &["other"]).unwrap_err(), JoseError::Type);
            let mut forged = token.to_owned();
            forged.truncate(token.len() - 8);
            forged.push_str("AAAAAAAA");
            assert!(all.verify::<Value>(&forged, &["JWT"]).is_err());
        }
        let other = set(&[&made["ES256"]["jwk"]]);
        assert_eq!(other.verify::<Value>(made["RS256"]["token"].as_str().unwrap(), &["JWT"]).unwrap_err(), JoseError::Key);
    }

    #[test]
    fn neither_none_nor_a_mac_under_a_public_key_nor_a_short_key_is_a_signature() {
        let made = made();
        let (key, small) = (&made["RS256"]["jwk"], &made["small"]);
        let keys = set(&[key, &small["jwk"]]);
        assert!(keys.verify::<Value>(small["token"].as_str().unwrap(), &["JWT"]).is_err(), "1024 bits were taken");
        let body = b64url(br#"{"sub":"x"}"#);
        let signed = |alg: &str| format!("{}.{body}", b64url(json!({ "alg": alg, "kid": "rs256" }).to_string().as_bytes()));
        let text = signed("HS256");
        let secrets = [key.to_string().into_bytes(), b64url_decode(key["n"].as_str().unwrap()).unwrap()];
        let macs = secrets.iter().map(|secret| format!("{text}.{}", b64url(&mac::hmac_sha256(secret, &[text.as_bytes()]))));
        for forged in macs.chain([format!("{}.", signed("none")), format!("{}.AAAA", signed("PS256"))]) {
            assert!(keys.verify::<Value>(&forged, &["JWT"]).is_err(), "{forged}");
        }
        for private in [json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB" }), json!({ "kty": "oct", "k": "AQAB" })] {
            assert!(serde_json::from_value::<ForeignKeys>(json!({ "keys": [private] })).is_err());
        }
    }
}
