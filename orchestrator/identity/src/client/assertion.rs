//! `private_key_jwt`: a client proves itself with a short signed statement (RFC 7523, 2.2 and 3; OpenID Connect Core, 9).
//!
//! The algorithm is the key's own, so neither `none` nor a MAC under a public key is ever tried. The statement is for us alone: its
//! audience is our issuer or the endpoint that it is sent to, as the only audience. It lives an hour at most ([`ASSERTION_LIFE_S`]) and counts
//! once, on all nodes together.

use purser_crypto::jose::{self, JoseError};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;

use super::{ClientId, KeySet};
use crate::limits::{ASSERTION_LIFE_S, CLOCK_SKEW_S, DPOP_JTI_BYTES};

/// The value of `client_assertion_type`.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What its `typ` may say, if it says anything.
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

#[derive(Clone, Debug, thiserror::Error)]
pub enum AssertionError {
    #[error("the client assertion is not a signed statement: {0}")]
    Form(JoseError),
    #[error("no key of the client signed the assertion")]
    NoKey,
    #[error("the client assertion's `{0}` is not what is expected")]
    Claim(&'static str),
    #[error("the client assertion was used before")]
    Replayed,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for AssertionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Db(e) => e.code(),
            _ => "invalid_client",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Db(e) => e.kind(),
            _ => Kind::Unauthenticated,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Subject {
    sub: ClientId,
}

/// The client that an assertion claims to be from, before anything is checked: to learn whose keys to check it with.
///
/// # Errors
/// When it is not a signed statement with a subject.
pub fn claimed_client(assertion: &str) -> Result<ClientId, AssertionError> {
    Ok(jose::decode_unverified_untyped::<Subject>(assertion, &TYPES).map_err(AssertionError::Form)?.claims.sub)
}

/// An assertion whose signature and claims are right. It counts once it is consumed.
#[derive(Clone, Debug)]
#[must_use = "an assertion that is not consumed can be replayed"]
pub struct Assertion {
    replay: Sha256Digest,
    until: Timestamp,
}

impl Assertion {
    /// Checks an assertion of `client` that came to an endpoint which answers to any of `audiences`.
    ///
    /// # Errors
    /// [`AssertionError::NoKey`] when a newer key set may help, else what is wrong with it.
    pub fn check(assertion: &str, client: &ClientId, keys: &KeySet, audiences: &[&str], now: Timestamp) -> Result<Self, AssertionError> {
        let kid = jose::decode_unverified_untyped::<serde_json::Value>(assertion, &TYPES).map_err(AssertionError::Form)?.kid;
        let verified = keys.named(kid.as_deref()).find_map(|key| jose::verify_untyped::<Claims>(assertion, &TYPES, key).ok());
        let claims = verified.ok_or(AssertionError::NoKey)?.claims;
        if claims.iss != client.as_str() {
            return Err(AssertionError::Claim("iss"));
        }
        if claims.sub != client.as_str() {
            return Err(AssertionError::Claim("sub"));
        }
        let single = match &claims.aud {
            Audience::One(one) => Some(one.as_str()),
            // Who names others too could have been asked by them to (audience injection).
            Audience::Many(many) => {
                if let [one] = many.as_slice() {
                    Some(one.as_str())
                } else {
                    None
                }
            }
        };
        if !single.is_some_and(|aud| audiences.contains(&aud)) {
            return Err(AssertionError::Claim("aud"));
        }
        let (now, skew) = (now.as_secs(), CLOCK_SKEW_S);
        if claims.exp <= now || claims.exp > now.saturating_add(ASSERTION_LIFE_S + skew) {
            return Err(AssertionError::Claim("exp"));
        }
        if claims.nbf.is_some_and(|nbf| nbf > now + skew) {
            return Err(AssertionError::Claim("nbf"));
        }
        if claims.iat.is_some_and(|iat| iat > now + skew) {
            return Err(AssertionError::Claim("iat"));
        }
        if claims.jti.is_empty() || claims.jti.len() > DPOP_JTI_BYTES {
            return Err(AssertionError::Claim("jti"));
        }
        let replay = Sha256Digest::of_parts(&[client.as_str().as_bytes(), b"\0", claims.jti.as_bytes()]);
        Ok(Self { replay, until: Timestamp::from_secs(claims.exp + 1) })
    }

    /// Takes the assertion; the second time it is refused.
    ///
    /// # Errors
    /// [`AssertionError::Replayed`], or a failure of the store.
    pub fn consume(&self, tx: &mut Tx<'_>) -> Result<(), AssertionError> {
        let insert = "insert into client_assertion (replay, expires_at) values ($1, $2) on conflict (replay) do nothing";
        if tx.execute(insert, params![self.replay, self.until])? == 1 { Ok(()) } else { Err(AssertionError::Replayed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::encoding::b64url;
    use purser_crypto::jose::{Algorithm, SigningKey};
    use purser_crypto::mac;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);
    const ISSUER: &str = "https://purser.test";

    fn set(key: &SigningKey) -> KeySet {
        serde_json::from_value(json!({ "keys": [key.public()] })).unwrap()
    }

    fn good() -> Value {
        json!({ "iss": "cli_a", "sub": "cli_a", "aud": ISSUER, "exp": NOW.as_secs() + 60, "iat": NOW.as_secs(), "jti": "j" })
    }

    fn check(key: &SigningKey, claims: &Value) -> Result<Assertion, AssertionError> {
        let assertion = key.sign("JWT", claims).unwrap();
        Assertion::check(&assertion, &"cli_a".parse().unwrap(), &set(key), &[ISSUER, "https://purser.test/oauth/token"], NOW)
    }

    #[test]
    fn an_assertion_is_of_one_client_for_us_alone_and_short() {
        for alg in [Algorithm::Es256, Algorithm::EdDsa] {
            let key = SigningKey::generate(alg).unwrap();
            assert!(check(&key, &good()).is_ok());
            for (name, value) in [("aud", json!("https://purser.test/oauth/token")), ("aud", json!([ISSUER])), ("iat", json!(null))] {
                let mut claims = good();
                claims[name] = value.clone();
                assert!(check(&key, &claims).is_ok(), "{name} = {value} was refused");
            }
            let now = NOW.as_secs();
            for (name, value) in [
                ("iss", json!("cli_b")),
                ("sub", json!("cli_b")),
                ("aud", json!("https://other.test")),
                ("aud", json!([ISSUER, "https://other.test"])),
                ("aud", json!([])),
                ("aud", json!(null)),
                ("exp", json!(now)),
                ("exp", json!(now + 3_661)),
                ("exp", json!(i64::MAX)),
                ("exp", json!(null)),
                ("iat", json!(now + 61)),
                ("nbf", json!(now + 61)),
                ("jti", json!("")),
                ("jti", json!(null)),
                ("jti", json!("x".repeat(129))),
            ] {
                let mut claims = good();
                claims[name] = value.clone();
                assert!(check(&key, &claims).is_err(), "{name} = {value} was taken");
            }
        }
    }

    #[test]
    fn neither_none_nor_a_mac_under_the_public_key_is_a_signature() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let id: ClientId = "cli_a".parse().unwrap();
        let signed = |alg: &str| {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": key.public().kid });
            format!("{}.{}", b64url(header.to_string().as_bytes()), b64url(good().to_string().as_bytes()))
        };
        let none = format!("{}.", signed("none"));
        let text = signed("HS256");
        let secrets = [key.public().public_bytes().to_vec(), json!(key.public()).to_string().into_bytes()];
        let macs = secrets.iter().map(|secret| format!("{text}.{}", b64url(&mac::hmac_sha256(secret, &[text.as_bytes()]))));
        for forged in macs.chain([none]) {
            let refused = Assertion::check(&forged, &id, &set(&key), &[ISSUER], NOW);
            assert!(matches!(refused, Err(AssertionError::NoKey | AssertionError::Form(_))), "{forged}");
        }
        let stranger = SigningKey::generate(Algorithm::Es256).unwrap().sign("JWT", &good()).unwrap();
        assert!(matches!(Assertion::check(&stranger, &id, &set(&key), &[ISSUER], NOW), Err(AssertionError::NoKey)));
    }
}
