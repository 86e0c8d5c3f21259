//! ID tokens (OpenID Connect Core, 2) and logout tokens (Back-Channel Logout 1.0, 2.4): what we tell a client of a person.

use purser_crypto::encoding::b64url;
use purser_crypto::jose::{self, Algorithm, JoseError};
use purser_values::Sha256Digest;
use purser_values::id::{PersonId, SignOnId, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::authorization::sign_on::{LogoutJob, SignOn};
use crate::client::TokenAlgorithm;
use crate::limits::{ID_TOKEN_LIFE_S, LOGOUT_TOKEN_LIFE_S};
use crate::realm::Realm;

/// The `typ` of an ID token, and of a logout token.
const TYPE: &str = "JWT";
const LOGOUT_TYPE: &str = "logout+jwt";
/// The event that makes a token a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdClaims {
    pub iss: String,
    pub sub: PersonId,
    pub aud: String,
    pub iat: i64,
    pub exp: i64,
    pub auth_time: i64,
    pub acr: String,
    pub amr: Vec<String>,
    pub sid: SignOnId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// The ID token that goes with an access token.
pub(super) fn id_token(
    realm: &Realm,
    alg: TokenAlgorithm,
    sign_on: &SignOn,
    access_token: &str,
    nonce: Option<String>,
) -> Result<String, JoseError> {
    let now = realm.env.now();
    let claims = IdClaims {
        iss: realm.issuer.to_string(),
        sub: sign_on.person.clone(),
        aud: sign_on.client.as_str().to_owned(),
        iat: now.as_secs(),
        exp: now.plus_secs(ID_TOKEN_LIFE_S).as_secs(),
        auth_time: sign_on.facts.auth_time.as_secs(),
        acr: sign_on.facts.acr.clone(),
        amr: sign_on.facts.amr.clone(),
        sid: sign_on.id.clone(),
        at_hash: Some(half_hash(alg, access_token)),
        nonce,
    };
    realm.keys.sign_with(algorithm(alg), TYPE, &claims)
}

/// The left half of a digest by the hash that the signature uses: SHA-256 with ES256, SHA-512 with Ed25519.
fn half_hash(alg: TokenAlgorithm, token: &str) -> String {
    match alg {
        TokenAlgorithm::Es256 => b64url(&Sha256Digest::of(token.as_bytes()).as_bytes()[..16]),
        TokenAlgorithm::EdDsa => b64url(&purser_crypto::mac::sha512(token.as_bytes())[..32]),
    }
}

const fn algorithm(alg: TokenAlgorithm) -> Algorithm {
    match alg {
        TokenAlgorithm::Es256 => Algorithm::Es256,
        TokenAlgorithm::EdDsa => Algorithm::EdDsa,
    }
}

/// Reads an ID token of ours that a client hands back as a hint. It may have run out: a hint is not a right.
#[must_use]
pub fn id_token_hint(realm: &Realm, token: &str) -> Option<IdClaims> {
    let kid = jose::decode_unverified::<serde_json::Value>(token, TYPE).ok()?.kid?;
    let claims = jose::verify::<IdClaims>(token, TYPE, &realm.keys.find_published(&kid)?).ok()?.claims;
    (claims.iss == *realm.issuer).then_some(claims)
}

/// A logout token, made when it is sent: it lives two minutes.
///
/// # Errors
/// When it cannot be signed.
pub fn logout_token(realm: &Realm, told: &LogoutJob) -> Result<String, JoseError> {
    let now = realm.env.now();
    let claims = json!({
        "iss": &*realm.issuer,
        "sub": told.person,
        "aud": told.client,
        "iat": now.as_secs(),
        "exp": now.plus_secs(LOGOUT_TOKEN_LIFE_S).as_secs(),
        "jti": TokenId::mint(&realm.env),
        "sid": told.sign_on,
        "events": { LOGOUT_EVENT: {} },
    });
    realm.keys.sign_with(Algorithm::Es256, LOGOUT_TYPE, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_hash_of_es256_is_the_one_of_openid_connect_core_appendix_a() {
        assert_eq!(half_hash(TokenAlgorithm::Es256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
