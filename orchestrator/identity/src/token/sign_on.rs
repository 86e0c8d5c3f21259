//! The tokens of a sign-on: an access token for the person's claims, an ID token, and a refresh token where the person allowed the
//! client to go on while they are away.

use purser_crypto::constant_time_eq;
use purser_crypto::jose::{self, Algorithm, JoseError};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{PersonId, SignOnId, TokenId};
use purser_values::limits::ACCESS_TOKEN_LIFE_S;
use purser_values::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::access::{Confirmation, TYPE};
use super::dpop::{Proof, ProofError};
use super::id_token::id_token;
use super::is_revoked;
use crate::authorization::sign_on::{self, SignOn};
use crate::client::{Client, ClientId, GrantType};
use crate::person::{self, Member};
use crate::realm::Realm;
use crate::scope::{OFFLINE, OPENID, Scope};

/// The prefix of the refresh tokens of sign-ons; those of agents have another.
pub const REFRESH: &str = "pur_or";

/// The claims of its access token (RFC 9068). Without `act` and `org` it is no token for the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignOnClaims {
    pub iss: String,
    pub aud: String,
    pub sub: PersonId,
    pub client_id: ClientId,
    pub scope: Scope,
    pub sid: SignOnId,
    pub jti: TokenId,
    pub iat: i64,
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// What the token endpoint hands out for a sign-on.
#[derive(Debug)]
pub struct SignOnTokens {
    pub access_token: Secret<String>,
    pub expires_in_s: i64,
    /// Whether they are bound to a key.
    pub bound: bool,
    pub refresh_token: Option<Secret<String>>,
    pub id_token: Option<String>,
    pub scope: Scope,
}

/// Tokens for a sign-on; `scope` may be narrower than the sign-on's.
pub(super) fn issue(
    tx: &mut Tx<'_>,
    realm: &Realm,
    client: &Client,
    sign_on: &SignOn,
    scope: Scope,
    nonce: Option<String>,
) -> Result<SignOnTokens, SignOnTokenError> {
    let now = realm.env.now();
    let exp = now.plus_secs(ACCESS_TOKEN_LIFE_S).min(sign_on.expires_at).as_secs();
    let claims = SignOnClaims {
        iss: realm.issuer.to_string(),
        aud: sign_on.facts.audience.clone(),
        sub: sign_on.person.clone(),
        client_id: sign_on.client.clone(),
        scope: scope.clone(),
        sid: sign_on.id.clone(),
        jti: TokenId::mint(&realm.env),
        iat: now.as_secs(),
        exp,
        cnf: sign_on.jkt.clone().map(|jkt| Confirmation { jkt }),
    };
    let access_token = realm.keys.sign_with(Algorithm::Es256, TYPE, &claims)?;
    let id_token = if scope.contains(OPENID) {
        Some(id_token(realm, client.metadata.id_token_signed_response_alg, sign_on, &access_token, nonce)?)
    } else {
        None
    };
    let goes_on = sign_on.facts.scope.contains(OFFLINE) && client.may(GrantType::RefreshToken);
    let refresh_token = if goes_on { Some(mint_refresh(tx, realm, sign_on)?) } else { None };
    let bound = sign_on.jkt.is_some();
    Ok(SignOnTokens { access_token: Secret::new(access_token), expires_in_s: exp - now.as_secs(), bound, refresh_token, id_token, scope })
}

fn mint_refresh(tx: &mut Tx<'_>, realm: &Realm, sign_on: &SignOn) -> Result<Secret<String>, DbError> {
    let (plain, digest) = token::mint(&realm.env, REFRESH);
    let insert = "insert into sign_on_refresh (token_hash, sign_on, issued_at, expires_at) values ($1, $2, $3, $4)";
    tx.execute(insert, params![digest, sign_on.id, realm.env.now(), sign_on.expires_at])?;
    Ok(plain)
}

#[derive(Debug, thiserror::Error)]
pub enum SignOnTokenError {
    #[error("the access token is not one for this, has ended, or has run out")]
    InvalidToken,
    #[error("the access token does not carry the scope `openid`")]
    Scope,
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for SignOnTokenError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::Scope => "insufficient_scope",
            Self::Proof(e) => e.code(),
            Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidToken => Kind::Unauthenticated,
            Self::Scope => Kind::Forbidden,
            Self::Proof(e) => e.kind(),
            Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Proof(e) => e.hint(),
            _ => None,
        }
    }
}

/// An access token of a sign-on whose signature, time, audience and key are right.
#[derive(Clone, Debug)]
pub struct PresentedSignOn {
    pub claims: SignOnClaims,
    proof: Option<Proof>,
}

impl PresentedSignOn {
    /// Checks a token that came with `proof`, or as a bearer token without. A bound token is none without its proof, and a bearer
    /// token is none with one.
    ///
    /// # Errors
    /// See [`SignOnTokenError`].
    pub fn check(realm: &Realm, access_token: &str, proof: Option<Proof>) -> Result<Self, SignOnTokenError> {
        let invalid = |_| SignOnTokenError::InvalidToken;
        let kid = jose::decode_unverified::<serde_json::Value>(access_token, TYPE).map_err(invalid)?.kid;
        let key = kid.as_deref().and_then(|kid| realm.keys.find(kid)).ok_or(SignOnTokenError::InvalidToken)?;
        let claims = jose::verify::<SignOnClaims>(access_token, TYPE, &key).map_err(invalid)?.claims;
        if claims.iss != *realm.issuer || claims.aud != *realm.issuer || realm.env.now().as_secs() >= claims.exp {
            return Err(SignOnTokenError::InvalidToken);
        }
        match (&claims.cnf, &proof) {
            (None, None) => {}
            (Some(bound), Some(proof)) if constant_time_eq(bound.jkt.as_bytes(), proof.jkt().as_bytes()) => {}
            _ => return Err(SignOnTokenError::InvalidToken),
        }
        Ok(Self { claims, proof })
    }

    /// Whether using it writes: a proof is taken.
    #[must_use]
    pub const fn has_proof(&self) -> bool {
        self.proof.is_some()
    }
}

/// The person whom a token is about, if the sign-on still stands and they are still here.
///
/// # Errors
/// See [`SignOnTokenError`].
pub fn person_of(tx: &mut Tx<'_>, now: Timestamp, presented: &PresentedSignOn) -> Result<Member, SignOnTokenError> {
    if let Some(proof) = &presented.proof {
        proof.consume(tx)?;
    }
    bearer_of(tx, now, &presented.claims)
}

/// The same for a token alone.
pub(super) fn bearer_of(tx: &mut Tx<'_>, now: Timestamp, claims: &SignOnClaims) -> Result<Member, SignOnTokenError> {
    if is_revoked(tx, &claims.jti)? {
        return Err(SignOnTokenError::InvalidToken);
    }
    let found = sign_on::find(tx, &claims.sid)?.filter(|s| s.is_alive(now) && s.person == claims.sub && s.client == claims.client_id);
    let sign_on = found.ok_or(SignOnTokenError::InvalidToken)?;
    if !claims.scope.contains(OPENID) {
        return Err(SignOnTokenError::Scope);
    }
    person::member(tx, &sign_on.organisation, &sign_on.person)?.ok_or(SignOnTokenError::InvalidToken)
}
