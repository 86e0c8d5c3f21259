//! What every statement that an orchestrator signs for a provider must be: signed by the key it names, for this provider, now, and short.

use purser_crypto::jose::{self, Jwk};
use purser_values::Timestamp;
use serde::de::DeserializeOwned;

use crate::limits;

/// The claims that are checked alike.
pub(crate) struct Frame<'a> {
    pub aud: &'a str,
    pub iat: i64,
    pub exp: i64,
}

/// Why a statement is not taken.
#[derive(Debug)]
pub(crate) enum Flaw {
    Malformed,
    Mismatch,
    Audience,
    Stale,
}

/// The claims of a compact statement of this type, checked as far as all of them are alike.
pub(crate) fn verify<T: DeserializeOwned>(
    token: &str,
    typ: &str,
    key: &Jwk,
    audience: &str,
    now: Timestamp,
    frame: impl FnOnce(&T) -> Frame<'_>,
) -> Result<T, Flaw> {
    let claims = jose::verify::<T>(token, typ, key)
        .map_err(|e| match e {
            jose::JoseError::Signature => Flaw::Mismatch,
            _ => Flaw::Malformed,
        })?
        .claims;
    let Frame { aud, iat, exp } = frame(&claims);
    if aud != audience {
        return Err(Flaw::Audience);
    }
    let (now, skew) = (now.as_secs(), limits::CLOCK_SKEW_S);
    let life = exp.saturating_sub(iat);
    if exp <= now - skew || iat > now + skew || !(0..=limits::ASSERTION_LIFE_S).contains(&life) {
        return Err(Flaw::Stale);
    }
    Ok(claims)
}
