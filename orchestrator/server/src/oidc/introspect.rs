//! `POST /oauth/introspect` (RFC 7662): what a token says, for the client whose it is or a resource server of the operator's.
//!
//! A resource server asks for the same token again and again, so what was answered is answered again while nothing can have changed:
//! INVARIANT (introspection-fresh): an answer is kept until anything is written by this process, because it may be what ends the
//! token, and at most [`KEPT_MS`] from before the store was asked, because another node may have ended it. The client proves itself for
//! every answer. Who asks while the store is being asked the same waits for that one answer.
//!
//! That a token bears our signature cannot change, so it is found out once, and kept apart for as long as the token lasts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use purser_crypto::token;
use purser_identity::Realm;
use purser_identity::client::ClientId;
use purser_identity::client::assertion::AssertionError;
use purser_identity::token::{SignedToken, token_introspect};
use purser_values::{Sha256Digest, Timestamp};
use serde_json::Value;
use tokio::sync::OnceCell;

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

/// What is said of one token to one client; empty while the store is asked.
type Place = Arc<OnceCell<Bytes>>;

#[derive(Clone)]
struct Answered {
    place: Place,
    /// The number of the last write before the store was asked.
    writes: u64,
}

impl Default for Introspected {
    fn default() -> Self {
        Self(Arc::new(Known { answers: Kept::new(MOST), signed: Kept::new(MOST) }))
    }
}

impl Introspected {
    /// Where the answer is or will be, when it was asked for lately.
    fn get(&self, key: &(ClientId, Sha256Digest), writes: u64, now: Timestamp) -> Option<Place> {
        self.0.answers.get(key, now).filter(|answered| answered.writes == writes).map(|answered| answered.place)
    }

    /// A place for an answer that is to be asked for from now on, kept no longer than the token counts.
    fn begin(&self, key: (ClientId, Sha256Digest), expires_at: Timestamp, writes: u64, now: Timestamp) -> Place {
        let place = Place::default();
        self.0.answers.put(key, Answered { place: place.clone(), writes }, now, now.plus_millis(KEPT_MS).min(expires_at));
        place
    }

    /// What does not count is looked up each time.
    fn forget(&self, key: &(ClientId, Sha256Digest)) {
        self.0.answers.forget(key);
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
    let known = front.introspected.get(&key, writes, now);
    if let Some(body) = known.as_ref().and_then(|place| place.get()) {
        return Ok(json(body.clone()));
    }
    let realm = front.realm.clone();
    let signed = front.introspected.signed(&realm, key.1, text.expose());
    let (expires_at, asked) = (signed.as_ref().map(SignedToken::expires_at), key.clone());
    let (db, introspected) = (&front.core.db, &front.introspected);
    let look = async move {
        let read = move |tx: &mut purser_db::Tx<'_>| token_introspect(tx, &realm, &client, text.expose(), signed.as_ref());
        let answer: Value = db.read(read).await?;
        if answer["active"] != true {
            introspected.forget(&asked);
        }
        Ok::<_, OAuthError>(Bytes::from(answer.to_string()))
    };
    // What does not bear our signature is looked up each time: anybody can make any number of it.
    let place = known.or_else(|| Some(introspected.begin(key, expires_at?, writes, now)));
    match place {
        Some(place) => place.get_or_try_init(|| look).await.cloned().map(json),
        None => look.await.map(json),
    }
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_the_next_write_after_half_a_second_and_with_its_token() {
        let (kept, at) = (Introspected::default(), Timestamp::from_secs(1_000));
        let key = |client: &str, token: &str| (client.parse::<ClientId>().unwrap(), token::hash(token));
        let later = Timestamp::from_secs(2_000);
        let place = kept.begin(key("a", "one"), later, 7, at);
        let known = kept.get(&key("a", "one"), 7, at.plus_millis(KEPT_MS - 1)).unwrap();
        assert!(Arc::ptr_eq(&place, &known), "who asks meanwhile waits for the same answer");
        assert!(kept.get(&key("a", "one"), 8, at).is_none(), "something was written");
        assert!(kept.get(&key("a", "one"), 7, at.plus_millis(KEPT_MS)).is_none(), "another node may have written");
        assert!(kept.get(&key("b", "one"), 7, at).is_none() && kept.get(&key("a", "two"), 7, at).is_none());
        kept.begin(key("a", "one"), at, 7, at);
        assert!(kept.get(&key("a", "one"), 7, at).is_none(), "the token has run out");
    }
}
