//! Extension `identity_assertion`: what the orchestrator attests about the person behind an account request.
//!
//! A JWS (EdDSA, typ `identity-assertion+jwt`) for one provider, five minutes at most, with a `jti` to be used once. The subject is
//! pairwise: two providers cannot find out that they serve the same person.

use purser_crypto::jose::{self, Jwk, SigningKey};
use purser_values::name::Email;
use purser_values::{Secret, Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::attested::{self, Flaw, Frame};
use crate::{limits, plain};

const TYP: &str = "identity-assertion+jwt";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityAssertion {
    /// The orchestrator's base URL.
    pub iss: String,
    /// The provider's base URL.
    pub aud: String,
    /// The person, by a name made for this provider alone.
    pub sub: String,
    pub email: Email,
    #[serde(default)]
    pub email_verified: bool,
    /// Thumbprint of the key of the agent that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_jkt: Option<String>,
    /// Digests of the terms documents that the person accepted.
    #[serde(default, deserialize_with = "plain::or_default")]
    pub terms: Vec<Sha256Digest>,
    pub jti: String,
    /// Seconds since the epoch, as `exp`.
    pub iat: i64,
    pub exp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    #[error("the assertion is malformed")]
    Malformed,
    #[error("the assertion's signature does not match")]
    Mismatch,
    #[error("the assertion is for another provider")]
    Audience,
    #[error("the assertion is over, not yet valid, or lives too long")]
    Stale,
    #[error("the assertion does not attest the e-mail address")]
    Email,
}

impl From<Flaw> for AssertionError {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Malformed => Self::Malformed,
            Flaw::Mismatch => Self::Mismatch,
            Flaw::Audience => Self::Audience,
            Flaw::Stale => Self::Stale,
        }
    }
}

impl IdentityAssertion {
    /// The compact form.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(&self, key: &SigningKey) -> Result<Secret<String>, jose::JoseError> {
        key.sign(TYP, self).map(Secret::from)
    }

    /// Which key and which orchestrator an assertion claims to be from. Nothing is proved by it.
    #[must_use]
    pub fn claimed(token: &str) -> Option<(Option<String>, String)> {
        let read = jose::decode_unverified::<Self>(token, TYP).ok()?;
        Some((read.kid, read.claims.iss))
    }

    /// Checks a compact assertion that was received by the provider `audience`. The `jti` is the caller's to use once, until `exp`.
    ///
    /// # Errors
    /// When it is not a valid assertion of `key` for this provider, now, about a verified address.
    pub fn verify(token: &str, key: &Jwk, audience: &str, now: Timestamp) -> Result<Self, AssertionError> {
        let claims = attested::verify::<Self>(token, TYP, key, audience, now, |claims| Frame {
            aud: &claims.aud,
            iat: claims.iat,
            exp: claims.exp,
        })?;
        if !claims.email_verified {
            return Err(AssertionError::Email);
        }
        let sized = |text: &str| !text.is_empty() && text.len() <= limits::ID_CHARS;
        if !sized(&claims.jti) || !sized(&claims.sub) {
            return Err(AssertionError::Malformed);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::Algorithm;

    #[test]
    fn an_assertion_is_for_one_provider_and_five_minutes_and_a_verified_address() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let now = Timestamp::from_secs(1_795_000_000);
        let good = IdentityAssertion {
            iss: "https://o.test".into(),
            aud: "https://p.test/".into(),
            sub: "pw_1".into(),
            email: "ada@example.test".parse().unwrap(),
            email_verified: true,
            agent_jkt: None,
            terms: vec![Sha256Digest::of(b"terms")],
            jti: "j1".into(),
            iat: now.as_secs(),
            exp: now.as_secs() + 300,
        };
        let check = |a: &IdentityAssertion, at: i64| {
            IdentityAssertion::verify(a.sign(&key).unwrap().expose(), key.public(), "https://p.test/", now.plus_secs(at))
        };
        assert_eq!(check(&good, 0).unwrap(), good);
        assert_eq!(check(&good, 330).unwrap_err(), AssertionError::Stale);
        assert_eq!(check(&IdentityAssertion { exp: good.exp + 1, ..good.clone() }, 0).unwrap_err(), AssertionError::Stale);
        assert_eq!(check(&IdentityAssertion { aud: "https://q.test/".into(), ..good.clone() }, 0).unwrap_err(), AssertionError::Audience);
        assert_eq!(check(&IdentityAssertion { email_verified: false, ..good.clone() }, 0).unwrap_err(), AssertionError::Email);
        let other_type = key.sign("JWT", &good).unwrap();
        assert_eq!(IdentityAssertion::verify(&other_type, key.public(), "https://p.test/", now).unwrap_err(), AssertionError::Malformed);
    }
}
