//! What the browser saw: the ceremony, the challenge and the page (Web Authentication, 5.8.1).

use serde::Deserialize;

use super::{Expected, PART_BYTES, WebauthnError};
use crate::constant_time_eq;
use crate::encoding::b64url_decode;

/// A member that is there twice does not parse.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<serde_json::Value>,
}

pub(super) fn check(json: &[u8], ceremony: &str, expected: Expected<'_>) -> Result<(), WebauthnError> {
    if json.len() > PART_BYTES {
        return Err(WebauthnError::Form);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| WebauthnError::Form)?;
    if data.r#type != ceremony {
        return Err(WebauthnError::Type);
    }
    let challenge = b64url_decode(&data.challenge).ok_or(WebauthnError::Challenge)?;
    if !constant_time_eq(&challenge, expected.challenge) {
        return Err(WebauthnError::Challenge);
    }
    // A frame in another site's page is another site.
    if data.origin != expected.origin || data.cross_origin == Some(true) || data.top_origin.is_some() {
        return Err(WebauthnError::Origin);
    }
    Ok(())
}
