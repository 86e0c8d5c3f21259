//! DPoP proofs (RFC 9449): who holds the key that a token is bound to, for this one request.
//!
//! Checking has two parts. [`Proof::check`] is pure and does the signature; [`Proof::consume`] takes the proof's `jti` in the
//! store, so that a proof works once on all nodes together.

use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::{JoseError, Jwk, Unverified};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;

use super::nonce;
use crate::limits::{DPOP_JTI_BYTES, DPOP_TOLERANCE_S};
use crate::realm::{NonceRule, Realm};

/// The `typ` of a proof.
pub const TYPE: &str = "dpop+jwt";

#[derive(Debug, Clone, thiserror::Error)]
pub enum ProofError {
    #[error("the request has no DPoP proof")]
    Missing,
    #[error("the request has more than one DPoP proof")]
    Several,
    #[error("the DPoP proof is not a signed proof with its public key: {0}")]
    Form(JoseError),
    #[error("the DPoP proof is for another {0}")]
    Other(&'static str),
    #[error("the DPoP proof is stale or from the future")]
    Stale,
    #[error("the DPoP proof was used before")]
    Replayed,
    #[error("the DPoP proof carries no nonce of ours, or an old one")]
    Nonce,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ProofError {
    fn code(&self) -> &'static str {
        match self {
            Self::Db(e) => e.code(),
            Self::Nonce => "use_dpop_nonce",
            _ => "invalid_dpop_proof",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Db(e) => e.kind(),
            _ => Kind::Unauthenticated,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing => "send a `DPoP` header with a proof for this request (RFC 9449)".to_owned(),
            Self::Several => "send one `DPoP` header, with the proof for this request".to_owned(),
            Self::Stale => "check this machine's clock".to_owned(),
            Self::Replayed => "make a new proof with a new `jti` for every request".to_owned(),
            Self::Nonce => "make a new proof with the `nonce` of the answer's `DPoP-Nonce` header".to_owned(),
            Self::Form(_) | Self::Other(_) => "make the proof for this method and URL, with the key of the token".to_owned(),
            Self::Db(_) => return None,
        })
    }
}

#[derive(Deserialize)]
struct Claims {
    htm: String,
    htu: String,
    iat: i64,
    jti: String,
    ath: Option<String>,
    nonce: Option<String>,
}

/// A proof whose signature and claims are right. It counts once it is consumed.
#[derive(Clone, Debug)]
#[must_use = "a proof that is not consumed can be replayed"]
pub struct Proof {
    key: Jwk,
    jkt: String,
    replay: Sha256Digest,
    until: Timestamp,
    nonce: Option<String>,
}

impl Proof {
    /// Checks a proof for `method` and the absolute `url` (its query does not count), and for the access token that comes with it.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn check(proof: &str, method: &str, url: &str, access_token: Option<&str>, now: Timestamp) -> Result<Self, ProofError> {
        let proof = Unverified::read(proof, TYPE).map_err(ProofError::Form)?;
        let key = proof.jwk().cloned().ok_or(ProofError::Form(JoseError::Header))?;
        let claims = proof.verify::<Claims>(&key).map_err(ProofError::Form)?.claims;
        if claims.htm != method {
            return Err(ProofError::Other("method"));
        }
        if bare(&claims.htu) != bare(url) {
            return Err(ProofError::Other("URL"));
        }
        if now.as_secs().abs_diff(claims.iat) > DPOP_TOLERANCE_S.unsigned_abs() {
            return Err(ProofError::Stale);
        }
        if claims.jti.is_empty() || claims.jti.len() > DPOP_JTI_BYTES {
            return Err(ProofError::Form(JoseError::Claims));
        }
        let ath = access_token.map(|token| b64url(Sha256Digest::of(token.as_bytes()).as_bytes()));
        match (&ath, &claims.ath) {
            (None, _) => {}
            (Some(expected), Some(found)) if constant_time_eq(expected.as_bytes(), found.as_bytes()) => {}
            (Some(_), _) => return Err(ProofError::Other("access token")),
        }
        let jkt = key.thumbprint();
        let replay = Sha256Digest::of_parts(&[jkt.as_bytes(), b"\0", claims.jti.as_bytes()]);
        // Remembered until it is stale even if it was made with a clock that is ahead.
        let until = Timestamp::from_secs(claims.iat.saturating_add(DPOP_TOLERANCE_S + 1));
        Ok(Self { key, jkt, replay, until, nonce: claims.nonce })
    }

    #[must_use]
    pub const fn key(&self) -> &Jwk {
        &self.key
    }

    /// The thumbprint of the key (RFC 7638).
    #[must_use]
    pub fn jkt(&self) -> &str {
        &self.jkt
    }

    /// Checks the proof's nonce: one that is there must be ours and recent, and one must be there where the realm says so.
    ///
    /// # Errors
    /// [`ProofError::Nonce`].
    pub fn check_nonce(&self, realm: &Realm) -> Result<(), ProofError> {
        match &self.nonce {
            None if realm.proof_nonces == NonceRule::Offered => Ok(()),
            Some(nonce) if nonce::is_fresh(realm, nonce) => Ok(()),
            _ => Err(ProofError::Nonce),
        }
    }

    /// Takes the proof; the second time it is refused.
    ///
    /// # Errors
    /// [`ProofError::Replayed`], or a failure of the store.
    pub fn consume(&self, tx: &mut Tx<'_>) -> Result<(), ProofError> {
        let insert = "insert into dpop_proof (replay, expires_at) values ($1, $2) on conflict (replay) do nothing";
        if tx.execute(insert, params![self.replay, self.until])? == 1 { Ok(()) } else { Err(ProofError::Replayed) }
    }
}

/// A URL without query and fragment (RFC 9449, 4.3).
fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::{Algorithm, SigningKey};
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);
    const URL: &str = "http://localhost:1/v1/whoami";

    fn check(claims: serde_json::Value, token: Option<&str>) -> Result<Proof, ProofError> {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        Proof::check(&key.sign_with_jwk(TYPE, &claims).unwrap(), "GET", URL, token, NOW)
    }

    #[test]
    fn a_proof_is_for_one_method_one_url_one_token_and_one_minute() {
        let iat = NOW.as_secs();
        let ath = b64url(Sha256Digest::of(b"token").as_bytes());
        let good = json!({"htm": "GET", "htu": URL, "iat": iat, "jti": "a", "ath": ath});
        assert!(check(good.clone(), Some("token")).is_ok());
        let cases = [
            ("htm", json!("POST")),
            ("htu", json!("http://localhost:1/v1/other")),
            ("htu", json!("http://evil.test/v1/whoami")),
            ("iat", json!(iat - 61)),
            ("iat", json!(iat + 61)),
            ("jti", json!("")),
            ("jti", json!("x".repeat(129))),
            ("ath", json!("AAAA")),
            ("ath", json!(null)),
        ];
        for (name, value) in cases {
            let mut claims = good.clone();
            claims[name] = value.clone();
            assert!(check(claims, Some("token")).is_err(), "{name} = {value} was taken");
        }
    }

    #[test]
    fn a_proof_of_the_farthest_time_is_stale_and_overflows_nothing() {
        for iat in [i64::MIN, i64::MIN + NOW.as_secs(), i64::MAX] {
            let claims = json!({"htm": "GET", "htu": URL, "iat": iat, "jti": "a"});
            assert!(matches!(check(claims, None), Err(ProofError::Stale)), "{iat}");
        }
    }

    #[test]
    fn a_proof_signed_by_another_key_than_the_one_it_shows_is_refused() {
        let claims = json!({"htm": "GET", "htu": URL, "iat": NOW.as_secs(), "jti": "a"});
        let (one, two) = (SigningKey::generate(Algorithm::Es256).unwrap(), SigningKey::generate(Algorithm::Es256).unwrap());
        let (a, b) = (one.sign_with_jwk(TYPE, &claims).unwrap(), two.sign_with_jwk(TYPE, &claims).unwrap());
        let mixed = format!("{}.{}", a.rsplit_once('.').unwrap().0, b.rsplit_once('.').unwrap().1);
        assert!(matches!(Proof::check(&mixed, "GET", URL, None, NOW), Err(ProofError::Form(_))));
        let bare = one.sign(TYPE, &claims).unwrap();
        assert!(matches!(Proof::check(&bare, "GET", URL, None, NOW), Err(ProofError::Form(_))));
    }
}
