//! `POST /oauth/introspect` (RFC 7662): what a token says, for the client whose it is or a resource server of the operator's.
//!
//! A resource server asks for the same token again and again, so what was answered is answered again while nothing can have changed:
//! INVARIANT (introspection-fresh): an answer is kept until anything is written by this process, because it may be what ends the
//! token, and at most [`KEPT_MS`], because another node may have ended it. The client proves itself for every answer.
//!
//! That a token bears our signature cannot change, so it is found out once, and kept apart for as long as the token lasts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use purser_crypto::token;
use purser_identity::client::ClientId;
use purser_identity::client::assertion::AssertionError;
use purser_identity::Realm;
use purser_identity::token::{SignedToken, token_introspect};
use purser_values::{Sha256Digest, Timestamp};
use serde_json::Value;

use super::client_auth;
use super::clients::Kept;
use super::error::OAuthError;
use super::form::Form;
use crate::front::Front;

pub const PATH: &str = "/oauth/introspect";

/// How long an answer is given again at most, in milliseconds: with the second in which everything else learns of an end, half of it
/// is left.
const KEPT_MS: i64 = 500;
/// Most answers that are kept; one is some hundred bytes.
const MOST: usize = 4_096;

/// What was answered lately, to whom and about which token. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Introspected(Arc<Known>);

struct Known {
    answers: Kept<(ClientId, Sha256Digest), Answered>,
    signed: Kept<Sha256Digest, SignedToken>,
}

#[derive(Clone)]
struct Answered {
    body: Bytes,
    /// The number of the last write before the store was asked.
    writes: u64,
}

impl Default for Introspected {
    fn default() -> Self {
        Self(Arc::new(Known { answers: Kept::new(MOST), signed: Kept::new(MOST) }))
    }
}

impl Introspected {
    fn get(&self, key: &(ClientId, Sha256Digest), writes: u64, now: Timestamp) -> Option<Bytes> {
        self.0.answers.get(key, now).filter(|answered| answered.writes == writes).map(|answered| answered.body)
    }

    /// Keeps what is said of a token that counts, no longer than the token does.
    fn put(&self, key: (ClientId, Sha256Digest), answer: &Value, writes: u64, now: Timestamp) -> Option<Bytes> {
        let body = Bytes::from(serde_json::to_vec(answer).ok()?);
        let until = now.plus_millis(KEPT_MS).min(Timestamp::from_secs(answer["exp"].as_i64()?));
        self.0.answers.put(key, Answered { body: body.clone(), writes }, now, until);
        Some(body)
    }

    /// What an access token says, when it bears our signature.
    fn signed(&self, realm: &Realm, digest: Sha256Digest, text: &str) -> Option<SignedToken> {
        let now = realm.env.now();
        if let Some(signed) = self.0.signed.get(&digest, now) {
            return signed.stands(realm).then_some(signed);
        }
        let signed = SignedToken::read(realm, text)?;
        self.0.signed.put(digest, signed.clone(), now, signed.expires_at());
        Some(signed)
    }
}

pub async fn post(State(front): State<Front>, form: Form) -> Result<Response, OAuthError> {
    let Form { headers, parameters } = form;
    let authenticated = client_auth::required(&front, &headers, &parameters, PATH).await?;
    let text = parameters.secret("token").ok_or_else(|| OAuthError::invalid_request("`token` is missing"))?;
    let client = authenticated.client;
    if let Some(assertion) = authenticated.assertion {
        let realm = front.realm.clone();
        let look = move |tx: &mut purser_db::Tx<'_>| -> Result<Value, AssertionError> {
            assertion.consume(tx)?;
            Ok(token_introspect(tx, &realm, &client, text.expose(), None)?)
        };
        return Ok(Json(front.core.db.write(look).await?).into_response());
    }
    let (key, now) = ((client.id.clone(), token::hash(text.expose())), front.realm.env.now());
    // The number first: a write that comes between it and the look makes what is kept useless, and not wrong.
    let writes = front.core.db.writes();
    if let Some(body) = front.introspected.get(&key, writes, now) {
        return Ok(json(body));
    }
    let realm = front.realm.clone();
    let signed = front.introspected.signed(&realm, key.1, text.expose());
    let answer = front.core.db.read(move |tx| token_introspect(tx, &realm, &client, text.expose(), signed.as_ref())).await?;
    let kept = front.introspected.put(key, &answer, writes, now);
    Ok(kept.map_or_else(|| Json(answer).into_response(), json))
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_ends_with_the_next_write_after_half_a_second_and_with_its_token() {
        let (kept, at) = (Introspected::default(), Timestamp::from_secs(1_000));
        let key = |client: &str, token: &str| (client.parse::<ClientId>().unwrap(), token::hash(token));
        assert!(kept.put(key("a", "one"), &json!({ "active": false }), 7, at).is_none(), "what does not count is looked up each time");
        kept.put(key("a", "one"), &json!({ "active": true, "exp": 2_000 }), 7, at).unwrap();
        assert!(kept.get(&key("a", "one"), 7, at.plus_millis(KEPT_MS - 1)).is_some());
        assert!(kept.get(&key("a", "one"), 8, at).is_none(), "something was written");
        assert!(kept.get(&key("a", "one"), 7, at.plus_millis(KEPT_MS)).is_none(), "another node may have written");
        assert!(kept.get(&key("b", "one"), 7, at).is_none() && kept.get(&key("a", "two"), 7, at).is_none());
        kept.put(key("a", "one"), &json!({ "active": true, "exp": 1_000 }), 7, at).unwrap();
        assert!(kept.get(&key("a", "one"), 7, at).is_none(), "the token has run out");
    }
}
