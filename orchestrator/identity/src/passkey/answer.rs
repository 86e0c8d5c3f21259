//! What the page sends back: the browser's answer as JSON (Web Authentication, 5.1), its bytes in base64url.

use std::str::FromStr;

use purser_crypto::encoding::b64url_decode;
use purser_crypto::webauthn::{Assertion, WebauthnError};
use serde::Deserialize;

/// The answer of `navigator.credentials.create`.
#[derive(Clone, Debug)]
pub struct AttestationAnswer {
    pub client_data_json: Vec<u8>,
    pub attestation_object: Vec<u8>,
}

/// The answer of `navigator.credentials.get`.
#[derive(Clone, Debug)]
pub struct AssertionAnswer {
    /// The credential's id, base64url.
    pub credential: String,
    pub assertion: Assertion,
    /// Whose the authenticator says it is.
    pub user_handle: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Raw<R> {
    id: String,
    response: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAttestation {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    attestation_object: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAssertion {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

fn bytes(text: &str) -> Result<Vec<u8>, WebauthnError> {
    b64url_decode(text).ok_or(WebauthnError::Form)
}

impl FromStr for AttestationAnswer {
    type Err = WebauthnError;
    fn from_str(s: &str) -> Result<Self, WebauthnError> {
        let raw: Raw<RawAttestation> = serde_json::from_str(s).map_err(|_| WebauthnError::Form)?;
        Ok(Self { client_data_json: bytes(&raw.response.client_data_json)?, attestation_object: bytes(&raw.response.attestation_object)? })
    }
}

impl FromStr for AssertionAnswer {
    type Err = WebauthnError;
    fn from_str(s: &str) -> Result<Self, WebauthnError> {
        let Raw { id, response } = serde_json::from_str::<Raw<RawAssertion>>(s).map_err(|_| WebauthnError::Form)?;
        let assertion = Assertion {
            client_data_json: bytes(&response.client_data_json)?,
            authenticator_data: bytes(&response.authenticator_data)?,
            signature: bytes(&response.signature)?,
        };
        let user_handle = response.user_handle.filter(|text| !text.is_empty()).map(|text| bytes(&text)).transpose()?;
        Ok(Self { credential: id, assertion, user_handle })
    }
}
