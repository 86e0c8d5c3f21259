//! The proof that the sender holds the key (RFC 9449, 4).

use purser_crypto::encoding::b64url;
use purser_crypto::jose::{JoseError, SigningKey};
use purser_values::{Env, Secret, Sha256Digest};
use serde_json::json;
use url::Url;

pub(super) fn sign(
    env: &Env,
    key: &SigningKey,
    method: &str,
    url: &Url,
    token: Option<&Secret<String>>,
    nonce: Option<&str>,
) -> Result<String, JoseError> {
    let mut target = url.clone();
    target.set_query(None);
    target.set_fragment(None);
    let mut claims = json!({
        "jti": b64url(&env.bytes::<16>()),
        "htm": method,
        "htu": target.as_str(),
        "iat": env.now().as_secs(),
    });
    if let Some(token) = token {
        claims["ath"] = b64url(Sha256Digest::of(token.expose().as_bytes()).as_bytes()).into();
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    key.sign_with_jwk("dpop+jwt", &claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::{Algorithm, verify};
    use serde_json::Value;

    #[test]
    fn a_proof_names_method_place_and_token() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let url = Url::parse("http://localhost:1/v1/spend?month=2026-11").unwrap();
        let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU".to_owned());
        let proof = sign(&Env::system(), &key, "GET", &url, Some(&token), None).unwrap();
        let read = verify::<Value>(&proof, "dpop+jwt", key.public()).unwrap();
        assert_eq!(read.claims["htu"], "http://localhost:1/v1/spend");
        assert_eq!(read.claims["htm"], "GET");
        // the example of RFC 9449, section 7.1
        assert_eq!(read.claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        assert_eq!(read.jwk.unwrap().thumbprint(), key.public().thumbprint());
    }
}
