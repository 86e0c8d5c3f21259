//! Access tokens: taken from the session while fresh, renewed by one process at a time.

use purser_values::error::Kind;
use purser_values::{Secret, Timestamp};
use reqwest::Method;
use serde::Deserialize;

use super::{Api, Call, EXCHANGE, Signer, problem};
use crate::home::Session;
use crate::outcome::Failure;

/// What the token endpoint gives.
#[derive(Deserialize)]
pub(super) struct Granted {
    pub access_token: Secret<String>,
    pub expires_in: i64,
    pub refresh_token: Option<Secret<String>>,
    pub grant_id: Option<String>,
    pub agent_id: Option<String>,
    /// How the grant differs from what was asked for.
    #[serde(default)]
    pub changed: Vec<serde_json::Value>,
}

impl Granted {
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        now.plus_secs(self.expires_in.clamp(0, 86_400))
    }
}

impl Api<'_> {
    pub(super) async fn access_token(&self) -> Result<Option<Secret<String>>, Failure> {
        let now = self.context.env.now();
        match &self.signer {
            Signer::Newcomer { .. } => Ok(None),
            Signer::Person { token, .. } => Ok(Some(token.clone())),
            Signer::Agent { session, .. } => {
                let stale = { (!session.borrow().is_fresh(now)).then(|| session.borrow().access_token.clone()) };
                if let Some(stale) = stale {
                    self.refresh(Some(&stale)).await?;
                }
                Ok(Some(session.borrow().access_token.clone()))
            }
        }
    }

    /// Replaces the token `used`, unless another process has done so meanwhile. False when there is nothing to renew with.
    pub(super) async fn refresh(&self, used: Option<&Secret<String>>) -> Result<bool, Failure> {
        let Signer::Agent { home, session, .. } = &self.signer else { return Ok(false) };
        // INVARIANT (one-refresher): from here to the save, no other process uses the refresh token.
        let _alone = home.lock().await?;
        let current = home.session()?.ok_or_else(ended)?;
        let replaced = used.is_none_or(|used| used.expose() != current.access_token.expose());
        if replaced && current.is_fresh(self.context.env.now()) {
            session.replace(current);
            return Ok(true);
        }
        let Some(refresh_token) = &current.refresh_token else { return Err(ended()) };
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token.expose())
            .finish();
        let granted = self.token(body, EXCHANGE).await.map_err(|failure| match failure.code.as_str() {
            "invalid_grant" | "expired_token" => ended().details(serde_json::json!({ "cause": failure.code, "said": failure.message })),
            _ => failure,
        })?;
        let next = Session {
            access_expires_at: granted.expires_at(self.context.env.now()),
            access_token: granted.access_token,
            refresh_token: granted.refresh_token.or(current.refresh_token),
            ..current
        };
        home.save_session(&self.context.env, &next)?;
        session.replace(next);
        Ok(true)
    }

    /// One request to the token endpoint. It is repeated only when it never arrived: a refresh token works once.
    pub(super) async fn token(&self, body: String, timeout: std::time::Duration) -> Result<Granted, Failure> {
        let call = Call {
            method: Method::POST,
            url: self.url(&["oauth", "token"], &[]),
            body: Some(("application/x-www-form-urlencoded".to_owned(), body.into_bytes())),
            key: None,
            timeout,
        };
        let start = std::time::Instant::now();
        loop {
            match self.exchange(&call, None).await {
                Err(error) if error.is_connect() && start.elapsed() < super::PATIENCE => {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                Err(error) => return Err(self.unreachable(&error)),
                Ok(answer) if answer.status.is_success() => {
                    if let Some(profile) = answer.headers.get("purser-profile").and_then(|v| v.to_str().ok()) {
                        self.context.profile.replace(Some(profile.to_owned()));
                    }
                    return serde_json::from_slice(&answer.body).map_err(|_| self.garbage());
                }
                Ok(answer) if answer.wants_nonce() && self.nonce.borrow().as_ref() != answer.nonce.as_ref() => {
                    self.nonce.replace(answer.nonce);
                }
                // A restarting orchestrator says that it has not begun.
                Ok(answer) if answer.is_draining() && start.elapsed() < super::PATIENCE => {
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                }
                Ok(answer) => return Err(problem::failure(&answer)),
            }
        }
    }
}

fn ended() -> Failure {
    Failure::new(Kind::Unauthenticated, "NOT_AUTHENTICATED", "the agent's grant has ended")
        .hint("run `purser login` and give the URL it prints to the person")
        .next("purser login")
}
