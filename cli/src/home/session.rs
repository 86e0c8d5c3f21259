//! The agent's tokens at one orchestrator.

use std::path::Path;

use purser_values::{Env, Secret, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::HomeError;
use crate::files::{self, FileError};

/// What a decision gave. Bound to the orchestrator it came from: its tokens are never sent elsewhere.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    pub url: String,
    pub agent_id: String,
    pub grant_id: String,
    pub access_token: Secret<String>,
    pub access_expires_at: Timestamp,
    /// A workload has none: it logs in again with a new token of its issuer.
    #[serde(default)]
    pub refresh_token: Option<Secret<String>>,
    /// `sandbox`, when the orchestrator said so.
    #[serde(default)]
    pub profile: Option<String>,
}

impl Session {
    /// Whether the access token will still be good when the request arrives.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.plus_secs(20) < self.access_expires_at
    }
}

pub(super) fn load(path: &Path) -> Result<Option<Session>, HomeError> {
    let Some(text) = files::read_private(path)?.map(Secret::new) else { return Ok(None) };
    // the parser's own message could quote a token, so it is not passed on
    let malformed = |_| FileError::Malformed { path: path.to_owned(), why: "it is no session".to_owned() };
    Ok(Some(serde_json::from_str(text.expose()).map_err(malformed)?))
}

pub(super) fn save(env: &Env, path: &Path, session: &Session) -> Result<(), HomeError> {
    let text = Secret::new(
        json!({
            "url": session.url,
            "agent_id": session.agent_id,
            "grant_id": session.grant_id,
            "access_token": session.access_token.expose(),
            "access_expires_at": session.access_expires_at,
            "refresh_token": session.refresh_token.as_ref().map(Secret::expose),
            "profile": session.profile,
        })
        .to_string(),
    );
    Ok(files::write_private(env, path, text.expose().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_back_and_shows_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.json");
        let session = Session {
            url: "http://localhost:1".to_owned(),
            agent_id: "agt_1".to_owned(),
            grant_id: "grt_1".to_owned(),
            access_token: Secret::new("at-secret".to_owned()),
            access_expires_at: Timestamp::EPOCH.plus_secs(600),
            refresh_token: Some(Secret::new("rt-secret".to_owned())),
            profile: None,
        };
        save(&Env::system(), &path, &session).unwrap();
        let back = load(&path).unwrap().unwrap();
        assert_eq!(back.refresh_token.as_ref().unwrap().expose(), "rt-secret");
        assert!(back.is_fresh(Timestamp::EPOCH) && !back.is_fresh(Timestamp::EPOCH.plus_secs(590)));
        assert!(!format!("{back:?}").contains("secret"));
    }
}
