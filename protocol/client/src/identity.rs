//! How the orchestrator says who it is to a provider: by a secret that both hold, or, where a provider deals with whoever can show a
//! document at its own address (Client ID Metadata Documents), by that address and a signed statement (RFC 7523).
//!
//! A provider of the second kind shares nothing with us, so nothing of it can be stolen there to play us elsewhere.

use std::sync::Arc;

use purser_crypto::encoding::b64url;
use purser_crypto::jose::KeySource;
use purser_values::{Env, Secret};
use serde::Serialize;
use url::Url;

use crate::client::unsendable;
use crate::error::CallError;

/// The value of `client_assertion_type`.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Life of an assertion, in seconds; known providers take five minutes at most.
const LIFE_S: i64 = 120;

/// Who the orchestrator is to one provider.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Whoever signs bodies with the secret that is shared with the provider.
    Secret(Secret<String>),
    /// The client that a document of ours describes.
    Document(ClientDocument),
}

/// A client that is named by the address of its document.
#[derive(Clone, Debug)]
pub struct ClientDocument {
    /// Where the document is, which is the `client_id`.
    pub url: Url,
    /// The key that the document leads to: ES256, which is what known providers take.
    pub keys: Arc<dyn KeySource>,
}

/// What proves one request.
pub(crate) struct Proof {
    pub client_id: String,
    pub assertion: Secret<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

impl ClientDocument {
    /// A statement for the provider with this token endpoint. It counts once: each request gets its own, a repeated one too.
    pub(crate) fn prove(&self, token_url: &Url, env: &Env) -> Result<Proof, CallError> {
        let (now, id) = (env.now(), self.url.as_str());
        let claims = Claims {
            iss: id,
            sub: id,
            aud: token_url.as_str(),
            iat: now.as_secs(),
            exp: now.plus_secs(LIFE_S).as_secs(),
            jti: b64url(&env.bytes::<16>()),
        };
        let signed = self.keys.signing().sign("JWT", &claims).map_err(|e| unsendable(&e))?;
        Ok(Proof { client_id: id.to_owned(), assertion: Secret::new(signed) })
    }
}

impl Proof {
    /// Adds it to the form of a token request.
    pub(crate) fn beside(&self, form: &Secret<String>) -> Secret<String> {
        let mut all = url::form_urlencoded::Serializer::new(form.expose().clone());
        all.append_pair("client_id", &self.client_id)
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", self.assertion.expose());
        Secret::new(all.finish())
    }
}
