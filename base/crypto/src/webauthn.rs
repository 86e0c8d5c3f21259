//! WebAuthn as a relying party checks it: what an authenticator answers at registration and at every use of a passkey.
//!
//! Sources: W3C Web Authentication Level 3, 7.1 and 7.2; RFC 9052 (COSE keys). The caller chooses the challenge, so that it can be a
//! one-time value or the digest of a document; and a kept answer can be verified again later, without any ceremony. User verification
//! is always required. Attestation is not asked for and not believed: a credential is worth what its person did with it.

mod authenticator_data;
mod client_data;
mod cose;

pub use cose::PublicKey;

use ciborium::Value;
use purser_values::Sha256Digest;

use self::authenticator_data::AuthenticatorData;

/// Longest part of an answer that is parsed, in bytes.
const PART_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebauthnError {
    #[error("the answer cannot be read")]
    Form,
    #[error("the answer is for another ceremony")]
    Type,
    #[error("the answer is for another challenge")]
    Challenge,
    #[error("the answer was made for another site")]
    Origin,
    #[error("the authenticator did not verify its user")]
    NotVerified,
    #[error("the key is of a kind that is not taken")]
    Key,
    #[error("the signature does not match")]
    Signature,
}

/// What an answer must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub challenge: &'a [u8],
    /// Scheme, host and port of the pages, such as `https://purser.example`.
    pub origin: &'a str,
    /// The host that credentials are for.
    pub rp_id: &'a str,
}

/// A credential that an authenticator has just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    pub id: Vec<u8>,
    pub key: PublicKey,
    pub state: State,
}

/// What the authenticator says of a credential at this use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Grows with each use where the authenticator counts; zero where it does not.
    pub sign_count: u32,
    pub backup_eligible: bool,
    pub backed_up: bool,
}

/// An authenticator's signature, as the browser hands it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    pub client_data_json: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
}

/// Checks the answer to `navigator.credentials.create` (7.1).
///
/// # Errors
/// See [`WebauthnError`].
pub fn register(expected: Expected<'_>, client_data_json: &[u8], attestation_object: &[u8]) -> Result<NewCredential, WebauthnError> {
    client_data::check(client_data_json, "webauthn.create", expected)?;
    if attestation_object.len() > PART_BYTES {
        return Err(WebauthnError::Form);
    }
    let mut rest = attestation_object;
    let object: Value = ciborium::from_reader(&mut rest).map_err(|_| WebauthnError::Form)?;
    let Value::Map(entries) = object else { return Err(WebauthnError::Form) };
    if !rest.is_empty() {
        return Err(WebauthnError::Form);
    }
    let mut found = entries.into_iter().filter(|(name, _)| name.as_text() == Some("authData")).map(|(_, value)| value);
    let (Some(Value::Bytes(data)), None) = (found.next(), found.next()) else { return Err(WebauthnError::Form) };
    let data = AuthenticatorData::read(&data)?;
    data.check(expected.rp_id)?;
    let (id, key) = data.credential.ok_or(WebauthnError::Form)?;
    Ok(NewCredential { id, key, state: data.state })
}

/// Checks the answer to `navigator.credentials.get` (7.2). Whose credential it is, whether its counter went back and whether the
/// challenge was used before is the caller's to know.
///
/// # Errors
/// See [`WebauthnError`].
pub fn verify(expected: Expected<'_>, key: &PublicKey, assertion: &Assertion) -> Result<State, WebauthnError> {
    client_data::check(&assertion.client_data_json, "webauthn.get", expected)?;
    let data = AuthenticatorData::read(&assertion.authenticator_data)?;
    data.check(expected.rp_id)?;
    let digest = Sha256Digest::of(&assertion.client_data_json);
    let signed = [assertion.authenticator_data.as_slice(), digest.as_bytes()].concat();
    key.verify(&signed, &assertion.signature)?;
    Ok(data.state)
}
