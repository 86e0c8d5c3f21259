//! The agent's private key as a PEM file (RFC 7468) of mode 0600.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purser_crypto::jose::{Algorithm, SigningKey};
use purser_values::{Env, Secret};

use super::HomeError;
use crate::files;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

pub(super) fn load_or_make(env: &Env, path: &Path) -> Result<SigningKey, HomeError> {
    if let Some(text) = files::read_private(path)?.map(Secret::new) {
        let body = text.expose().trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        return body.and_then(decode_key).ok_or_else(|| HomeError::Key(path.to_owned()));
    }
    let key = SigningKey::generate(Algorithm::EdDsa).map_err(HomeError::NoKey)?;
    let pem = Secret::new(format!("{BEGIN}\n{}\n{END}\n", encode_key(&key).expose()));
    files::write_private(env, path, pem.expose().as_bytes())?;
    Ok(key)
}

/// The key as one line of base64.
#[must_use]
pub fn encode_key(key: &SigningKey) -> Secret<String> {
    Secret::new(STANDARD.encode(key.pkcs8().expose()))
}

/// Reads what [`encode_key`] wrote.
#[must_use]
pub fn decode_key(text: &str) -> Option<SigningKey> {
    let joined = Secret::new(text.split_ascii_whitespace().collect::<String>());
    let document = Secret::new(STANDARD.decode(joined.expose()).ok()?);
    SigningKey::from_pkcs8(Algorithm::EdDsa, &document).ok()
}
