//! `Stripe-Signature-V2`: an EdDSA JWT over method, address and body (section 2.2 of the reference).
//!
//! The name of the address claim is not public; we write `htu`, as DPoP does. Our tokens live 60 s at most and carry a `jti` that a
//! receiver accepts once.

use purser_crypto::encoding::b64url;
use purser_crypto::jose::{self, Algorithm, Jwk, SigningKey};
use purser_values::{Env, Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::SignatureError;
use crate::limits;

#[derive(Serialize, Deserialize)]
struct Claims {
    version: u8,
    htm: String,
    htu: String,
    digest: String,
    jti: String,
    iat: i64,
    exp: i64,
}

/// What a V2 signature proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedV2 {
    /// To be used once by the receiver and kept until `expires_at`.
    pub jti: String,
    pub expires_at: Timestamp,
}

/// The request that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The whole address as the receiver knows it, with query and without fragment.
    pub url: &'a str,
    pub body: &'a [u8],
}

/// The header value for a request.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(key: &SigningKey, request: Request<'_>, env: &Env) -> Result<String, SignatureError> {
    let iat = env.now().as_secs();
    let claims = Claims {
        version: 1,
        htm: request.method.to_ascii_uppercase(),
        htu: request.url.to_owned(),
        digest: b64url(Sha256Digest::of(request.body).as_bytes()),
        jti: b64url(&env.bytes::<16>()),
        iat,
        exp: iat + limits::SIGNATURE_V2_LIFE_S,
    };
    key.sign("JWT", &claims).map_err(|_| SignatureError::Key)
}

/// The name of the key that a header value says it was signed with. Nothing is proved by it.
#[must_use]
pub fn claimed_key(header: &str) -> Option<String> {
    jose::decode_unverified::<serde::de::IgnoredAny>(header, "JWT").ok()?.kid
}

/// Checks a header value against a request.
///
/// # Errors
/// When any claim is missing or differs, the token is over or lives longer than allowed, or the signature does not match.
pub fn verify(key: &Jwk, header: &str, request: Request<'_>, now: Timestamp) -> Result<VerifiedV2, SignatureError> {
    if key.algorithm() != Algorithm::EdDsa {
        return Err(SignatureError::UnknownKey);
    }
    let claims = jose::verify::<Claims>(header, "JWT", key)
        .map_err(|e| match e {
            jose::JoseError::Signature => SignatureError::Mismatch,
            _ => SignatureError::Malformed,
        })?
        .claims;
    let (now, skew) = (now.as_secs(), limits::CLOCK_SKEW_S);
    let life = claims.exp.saturating_sub(claims.iat);
    if claims.exp <= now - skew || claims.iat > now + skew || !(0..=limits::SIGNATURE_V2_LIFE_S).contains(&life) {
        return Err(SignatureError::Stale);
    }
    let same = claims.version == 1
        && claims.htm == request.method
        && claims.htu == request.url
        && claims.digest == b64url(Sha256Digest::of(request.body).as_bytes());
    if !same {
        return Err(SignatureError::OtherMessage);
    }
    if claims.jti.len() < 16 || claims.jti.len() > limits::ID_CHARS {
        return Err(SignatureError::Malformed);
    }
    Ok(VerifiedV2 { jti: claims.jti, expires_at: Timestamp::from_secs(claims.exp + skew) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Request<'static> = Request { method: "GET", url: "https://p.test/provisioning/health", body: b"" };

    #[test]
    fn a_signature_is_for_one_method_address_and_body_and_for_a_minute() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let (env, clock) = Env::test(Timestamp::from_secs(1_795_000_000), 1);
        let header = sign(&key, GET, &env).unwrap();
        assert_eq!(claimed_key(&header), key.public().kid);
        let first = verify(key.public(), &header, GET, env.now()).unwrap();
        assert_ne!(first.jti, verify(key.public(), &sign(&key, GET, &env).unwrap(), GET, env.now()).unwrap().jti);
        for other in [
            Request { method: "POST", ..GET },
            Request { url: "https://p.test/provisioning/services", ..GET },
            Request { body: b"{}", ..GET },
        ] {
            assert_eq!(verify(key.public(), &header, other, env.now()), Err(SignatureError::OtherMessage));
        }
        let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
        assert_eq!(verify(stranger.public(), &header, GET, env.now()), Err(SignatureError::Mismatch));
        clock.advance_secs(90);
        assert_eq!(verify(key.public(), &header, GET, env.now()), Err(SignatureError::Stale));
    }

    #[test]
    fn a_token_that_lives_longer_than_a_minute_is_refused() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let now = Timestamp::from_secs(1_795_000_000);
        let digest = b64url(Sha256Digest::of(b"").as_bytes());
        for (iat, exp) in [(now.as_secs(), now.as_secs() + 61), (now.as_secs() + 40, now.as_secs() + 50), (i64::MIN, i64::MAX)] {
            let claims =
                Claims { version: 1, htm: "GET".into(), htu: GET.url.into(), digest: digest.clone(), jti: "j".repeat(22), iat, exp };
            let header = key.sign("JWT", &claims).unwrap();
            assert_eq!(verify(key.public(), &header, GET, now), Err(SignatureError::Stale), "{iat} {exp}");
        }
    }

    #[test]
    fn garbage_is_malformed() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        for header in ["", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(verify(key.public(), header, GET, Timestamp::EPOCH), Err(SignatureError::Malformed), "`{header}`");
        }
    }
}
