//! The statement by which a helper shows its key: `typ` `agent+jwt`, signed by the key in its own header, for us, short, and once.

use purser_crypto::jose::{self, JoseError, Jwk};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;

use crate::agent::AgentName;
use crate::limits::{ACTOR_TOKEN_LIFE_S, CLOCK_SKEW_S, DPOP_JTI_BYTES};

/// The `typ` of the statement.
const TYPE: &str = "agent+jwt";

#[derive(Clone, Debug, thiserror::Error)]
pub enum ActorError {
    #[error("the actor token is not a statement signed by the key in its header: {0}")]
    Form(JoseError),
    #[error("the actor token's `{0}` is not what is expected")]
    Claim(&'static str),
    #[error("the actor token was used before")]
    Replayed,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ActorError {
    fn code(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Claim(_) => "actor_token_invalid",
            Self::Replayed => "actor_token_replayed",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Form(_) | Self::Claim(_) | Self::Replayed => Kind::Invalid,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Form(_) => Some("sign it with the new agent's key, with `typ` `agent+jwt` and the public key as `jwk`".to_owned()),
            Self::Claim(_) => Some("it needs `aud` (our issuer), `jti`, `iat`, `exp` within five minutes, and a `name`".to_owned()),
            Self::Replayed => Some("make a new one with a new `jti` for every request".to_owned()),
            Self::Db(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    jti: String,
    iat: i64,
    exp: i64,
    name: Option<String>,
}

/// A statement that is right. It counts once it is consumed.
#[derive(Clone, Debug)]
#[must_use = "a statement that is not consumed can be replayed"]
pub struct ActorToken {
    pub key: Jwk,
    /// The name that the helper claims, if it does.
    pub name: Option<AgentName>,
    replay: Sha256Digest,
    until: Timestamp,
}

impl ActorToken {
    /// Checks a statement that is for `audience`.
    ///
    /// # Errors
    /// See [`ActorError`].
    pub fn check(token: &str, audience: &str, now: Timestamp) -> Result<Self, ActorError> {
        let key = jose::decode_unverified::<serde_json::Value>(token, TYPE).map_err(ActorError::Form)?.jwk;
        let key = key.ok_or(ActorError::Form(JoseError::Header))?;
        let claims = jose::verify::<Claims>(token, TYPE, &key).map_err(ActorError::Form)?.claims;
        let now = now.as_secs();
        if claims.aud != audience {
            return Err(ActorError::Claim("aud"));
        }
        if claims.iat > now + CLOCK_SKEW_S {
            return Err(ActorError::Claim("iat"));
        }
        if claims.exp <= now || claims.exp > now.saturating_add(ACTOR_TOKEN_LIFE_S + CLOCK_SKEW_S) {
            return Err(ActorError::Claim("exp"));
        }
        if claims.jti.is_empty() || claims.jti.len() > DPOP_JTI_BYTES {
            return Err(ActorError::Claim("jti"));
        }
        let name = claims.name.map(|name| name.parse().map_err(|_| ActorError::Claim("name"))).transpose()?;
        let replay = Sha256Digest::of_parts(&[b"actor\0", key.thumbprint().as_bytes(), b"\0", claims.jti.as_bytes()]);
        Ok(Self { key, name, replay, until: Timestamp::from_secs(claims.exp + 1) })
    }

    /// Takes the statement; the second time it is refused.
    ///
    /// # Errors
    /// [`ActorError::Replayed`], or a failure of the store.
    pub fn consume(&self, tx: &mut Tx<'_>) -> Result<(), ActorError> {
        let insert = "insert into spent_statement (replay, expires_at) values ($1, $2) on conflict (replay) do nothing";
        if tx.execute(insert, params![self.replay, self.until])? == 1 { Ok(()) } else { Err(ActorError::Replayed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_crypto::jose::{Algorithm, SigningKey};
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);
    const ISSUER: &str = "https://purser.test";

    #[test]
    fn a_helper_shows_its_own_key_to_us_alone_for_a_short_time() {
        let (key, other) = (SigningKey::generate(Algorithm::EdDsa).unwrap(), SigningKey::generate(Algorithm::EdDsa).unwrap());
        let now = NOW.as_secs();
        let good = json!({ "aud": ISSUER, "jti": "j", "iat": now, "exp": now + 60, "name": "tester" });
        let taken = ActorToken::check(&key.sign_with_jwk(TYPE, &good).unwrap(), ISSUER, NOW).unwrap();
        assert_eq!((taken.key.thumbprint(), taken.name.map(|n| n.to_string())), (key.public().thumbprint(), Some("tester".to_owned())));
        for (name, value) in [
            ("aud", json!("https://other.test")),
            ("aud", json!([ISSUER])),
            ("exp", json!(now)),
            ("exp", json!(now + 361)),
            ("exp", json!(null)),
            ("iat", json!(now + 61)),
            ("jti", json!("")),
            ("jti", json!(null)),
            ("name", json!("a\nb")),
        ] {
            let mut claims = good.clone();
            claims[name] = value.clone();
            assert!(ActorToken::check(&key.sign_with_jwk(TYPE, &claims).unwrap(), ISSUER, NOW).is_err(), "{name} = {value} was taken");
        }
        assert!(ActorToken::check(&key.sign_with_jwk("dpop+jwt", &good).unwrap(), ISSUER, NOW).is_err(), "a proof is no statement");
        assert!(ActorToken::check(&key.sign(TYPE, &good).unwrap(), ISSUER, NOW).is_err(), "no key is shown");
        let (a, b) = (key.sign_with_jwk(TYPE, &good).unwrap(), other.sign_with_jwk(TYPE, &good).unwrap());
        let mixed = format!("{}.{}", a.rsplit_once('.').unwrap().0, b.rsplit_once('.').unwrap().1);
        assert!(ActorToken::check(&mixed, ISSUER, NOW).is_err(), "another key signed");
    }
}
