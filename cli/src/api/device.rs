//! The device flow (RFC 8628): one URL for the person, one decision, one set of tokens.

use std::time::Duration;

use purser_values::{Secret, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use url::form_urlencoded;

use super::refresh::Granted;
use super::{Api, Call, EXCHANGE, problem};
use crate::outcome::Failure;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the person needs, and what we poll with.
#[derive(Deserialize)]
pub struct Started {
    pub device_code: Secret<String>,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: Option<String>,
    pub expires_in: i64,
    #[serde(default = "one")]
    pub interval: u64,
}

const fn one() -> u64 {
    1
}

/// What one poll came to.
pub enum Polled {
    Granted(Tokens),
    /// Nobody has decided yet; wait this much longer between polls.
    Pending {
        slower_by: u64,
    },
}

pub struct Tokens {
    pub access_token: Secret<String>,
    pub expires_at: Timestamp,
    pub refresh_token: Option<Secret<String>>,
    pub grant_id: String,
    pub agent_id: String,
    /// How the grant differs from what was asked for.
    pub changed: Vec<serde_json::Value>,
}

impl Api<'_> {
    /// Starts a request. The proof carries the key that the tokens will be bound to.
    ///
    /// # Errors
    /// When the orchestrator refuses what is asked for.
    pub async fn device_start(&self, fields: &[(&str, String)]) -> Result<Started, Failure> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let call = Call {
            method: Method::POST,
            url: self.url(&["oauth", "device_authorization"], &[]),
            body: Some(("application/x-www-form-urlencoded".to_owned(), body.into_bytes())),
            key: None,
            timeout: EXCHANGE,
        };
        let mut answer = self.exchange(&call, None).await.map_err(|error| self.unreachable(&error))?;
        if answer.wants_nonce() {
            self.nonce.replace(answer.nonce);
            answer = self.exchange(&call, None).await.map_err(|error| self.unreachable(&error))?;
        }
        if !answer.status.is_success() {
            return Err(problem::failure(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|_| self.garbage())
    }

    /// Asks once for the decision; the orchestrator holds the question open for a while.
    ///
    /// # Errors
    /// When the person denied, when it is too late, or when the orchestrator is not there.
    pub async fn device_poll(&self, device_code: &Secret<String>) -> Result<Polled, Failure> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("device_code", device_code.expose())
            .finish();
        match self.token(body, EXCHANGE).await {
            Ok(granted) => Ok(Polled::Granted(self.tokens(granted))),
            Err(failure) => match failure.code.as_str() {
                "authorization_pending" => Ok(Polled::Pending { slower_by: 0 }),
                "slow_down" => Ok(Polled::Pending { slower_by: 5 }),
                _ => Err(failure),
            },
        }
    }

    /// The pause between two polls.
    pub async fn device_rest(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds.min(60))).await;
    }

    pub(super) fn tokens(&self, granted: Granted) -> Tokens {
        Tokens {
            expires_at: granted.expires_at(self.context.env.now()),
            access_token: granted.access_token,
            refresh_token: granted.refresh_token,
            grant_id: granted.grant_id.unwrap_or_default(),
            agent_id: granted.agent_id.unwrap_or_default(),
            changed: granted.changed,
        }
    }
}
