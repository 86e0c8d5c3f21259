//! `client_assertion` at the token endpoint (RFC 7523, section 2.2): how a standard client proves that it is the orchestrator, where
//! ours signs the request.

use http::StatusCode;
use purser_crypto::jose;
use purser_values::{Sha256Digest, Timestamp};
use purser_wire::error::code;
use purser_wire::limits::{ASSERTION_LIFE_S, CLOCK_SKEW_S, ID_CHARS};
use serde::Deserialize;

use super::Sdk;
use crate::error::ProviderError;
use crate::gate::Received;
use crate::keys::KeyError;
use crate::metadata;
use crate::provider::Provider;
use crate::store::Store;

const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What its `typ` may say, if it says anything: most clients leave it out.
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    jti: String,
    exp: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    /// An assertion for several servers could be passed on from one to another: refused.
    #[allow(dead_code, reason = "read to be told apart, never used")]
    Several(Vec<String>),
}

impl<P: Provider, S: Store> Sdk<P, S> {
    /// Whether the request carries an assertion. One that is not good in every respect is refused, not ignored.
    pub async fn client_assertion(&self, received: &Received) -> Result<bool, ProviderError> {
        let refused = |message: &str| ProviderError::new(StatusCode::UNAUTHORIZED, code::INVALID_CLIENT, message);
        let find = |name: &str| url::form_urlencoded::parse(&received.body).find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        let Some(token) = find("client_assertion") else { return Ok(false) };
        if find("client_assertion_type").as_deref() != Some(KIND) {
            return Err(refused("`client_assertion_type` is not a JWT bearer assertion"));
        }
        let Some(keys) = &self.config.orchestrator else { return Err(refused("this provider knows no key of a client")) };
        let claimed =
            jose::decode_unverified_untyped::<Claims>(&token, &TYPES).map_err(|_| refused("the client assertion is malformed"))?;
        let kid = claimed.kid.unwrap_or_default();
        let key = keys.find(&kid, received.at).await.map_err(|e| match e {
            KeyError::Unknown => refused("the client assertion is signed with an unknown key"),
            KeyError::Unavailable(_) => ProviderError::unavailable("the orchestrator's keys cannot be fetched now", 1),
        })?;
        let claims =
            jose::verify_untyped::<Claims>(&token, &TYPES, &key).map_err(|_| refused("the client assertion does not verify"))?.claims;
        let for_us = matches!(&claims.aud, Audience::One(aud)
            if *aud == metadata::issuer(&self.base_url) || *aud == self.token_url.as_str());
        let named = find("client_id").is_none_or(|id| id == claims.iss) && claims.iss == claims.sub;
        if !for_us || !named {
            return Err(refused("the client assertion is for another server or about another client"));
        }
        let (now, exp) = (received.at.as_secs(), claims.exp);
        if exp <= now - CLOCK_SKEW_S || exp > now + ASSERTION_LIFE_S + CLOCK_SKEW_S || !(1..=ID_CHARS).contains(&claims.jti.len()) {
            return Err(refused("the client assertion is over, lives too long, or has no `jti`"));
        }
        let nonce = Sha256Digest::of_parts(&[b"client\0", kid.as_bytes(), b"\0", claims.jti.as_bytes()]);
        let until = Timestamp::from_secs(exp).plus_secs(CLOCK_SKEW_S);
        if self.store.nonce_use(nonce, until, received.at).await? {
            Ok(true)
        } else {
            Err(refused("this client assertion was already used"))
        }
    }
}
