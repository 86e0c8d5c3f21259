//! A login that waits for a person, so that a later command can go on waiting and a driver can read the URL.

use std::path::Path;

use purser_values::{Env, Secret, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::HomeError;
use crate::files;

#[derive(Clone, Debug, Deserialize)]
pub struct Waiting {
    pub url: String,
    pub verification_uri_complete: String,
    pub user_code: String,
    pub expires_at: Timestamp,
    /// What was asked for: a login that asks for something else starts anew.
    pub request: String,
    /// Of no use without the agent's key.
    pub device_code: Secret<String>,
    pub interval: u64,
}

pub(super) fn load(path: &Path) -> Result<Option<Waiting>, HomeError> {
    // one that cannot be read is as good as none: a new one replaces it
    Ok(files::read_private(path)?.map(Secret::new).and_then(|text| serde_json::from_str(text.expose()).ok()))
}

pub(super) fn save(env: &Env, path: &Path, waiting: &Waiting) -> Result<(), HomeError> {
    let text = Secret::new(
        json!({
            "url": waiting.url,
            "verification_uri_complete": waiting.verification_uri_complete,
            "user_code": waiting.user_code,
            "expires_at": waiting.expires_at,
            "request": waiting.request,
            "device_code": waiting.device_code.expose(),
            "interval": waiting.interval,
        })
        .to_string(),
    );
    Ok(files::write_private(env, path, text.expose().as_bytes())?)
}
