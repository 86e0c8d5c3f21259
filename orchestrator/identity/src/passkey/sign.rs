//! A person's own signature under a document: the challenge is the document's digest, and the assertion is kept with it.
//!
//! What is kept can be verified by anybody, without this server and for ever: it holds the public key, and the digest is the
//! document's. Whether the key was the person's at that time is in the log, under `passkey_add`.

use purser_authority::Caller;
use purser_crypto::encoding::{b64url, b64url_decode};
use purser_crypto::webauthn::{Assertion, Expected, PublicKey, WebauthnError, verify};
use purser_db::{DbError, Tx};
use purser_values::Sha256Digest;
use purser_values::Timestamp;
use purser_values::id::{PasskeyId, PersonId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::AssertionAnswer;
use super::challenge::request_options;
use super::{PasskeyError, assert, of_person};
use crate::realm::Realm;

/// A verified signature, as it is kept beside what was signed. The bytes are base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedAssertion {
    pub passkey: PasskeyId,
    pub person: PersonId,
    /// The COSE key that verifies it.
    pub public_key: String,
    pub origin: String,
    pub rp_id: String,
    pub client_data_json: String,
    pub authenticator_data: String,
    pub signature: String,
    pub signed_at: Timestamp,
}

impl SignedAssertion {
    /// Whether it is a signature under the document with this digest, by the key that it names. Needs nothing but itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, digest: &Sha256Digest) -> Result<(), WebauthnError> {
        let bytes = |text: &str| b64url_decode(text).ok_or(WebauthnError::Form);
        let assertion = Assertion {
            client_data_json: bytes(&self.client_data_json)?,
            authenticator_data: bytes(&self.authenticator_data)?,
            signature: bytes(&self.signature)?,
        };
        let expected = Expected { challenge: digest.as_bytes(), origin: &self.origin, rp_id: &self.rp_id };
        verify(expected, &PublicKey::from_cose(&bytes(&self.public_key)?)?, &assertion).map(drop)
    }

    /// The same caller, who was there when they signed.
    #[must_use]
    pub fn present(&self, caller: &Caller) -> Caller {
        let mut caller = caller.clone();
        if let Caller::Person { person, present_at, .. } = &mut caller
            && *person == self.person
        {
            *present_at = (*present_at).max(Some(self.signed_at));
        }
        caller
    }
}

/// What the page hands to `navigator.credentials.get` so that the person signs the document; nothing when they have no passkey.
///
/// # Errors
/// When the store fails.
pub fn signing_options(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId, digest: &Sha256Digest) -> Result<Option<Value>, DbError> {
    let passkeys = of_person(tx, person)?;
    if passkeys.is_empty() {
        return Ok(None);
    }
    let ids = passkeys.iter().map(|passkey| passkey.credential.as_str());
    Ok(Some(request_options(realm, &b64url(digest.as_bytes()), ids)))
}

/// Checks that one of the person's passkeys signed the document with this digest. The caller binds the digest to one act: it must
/// hold something that is there once, such as the id of the request that is decided.
///
/// # Errors
/// See [`PasskeyError`].
pub fn sign_challenge(
    tx: &mut Tx<'_>,
    realm: &Realm,
    person: &PersonId,
    digest: &Sha256Digest,
    answer: &AssertionAnswer,
) -> Result<SignedAssertion, PasskeyError> {
    let passkey = assert(tx, realm, Some(person), digest.as_bytes(), answer)?;
    Ok(SignedAssertion {
        passkey: passkey.id,
        person: passkey.person,
        public_key: b64url(passkey.key.cose()),
        origin: realm.origin().to_owned(),
        rp_id: realm.host().to_owned(),
        client_data_json: b64url(&answer.assertion.client_data_json),
        authenticator_data: b64url(&answer.assertion.authenticator_data),
        signature: b64url(&answer.assertion.signature),
        signed_at: realm.env.now(),
    })
}
