//! Signing out at a company: it tells us (OpenID Connect Back-Channel Logout 1.0), or our person goes there (RP-Initiated Logout 1.0).

use std::time::Duration;

use purser_identity::Realm;
use purser_identity::sso::{Connection, LogoutStatement, SsoError};
use url::Url;

use super::Sso;

/// How long somebody who signs out waits to hear where else they could.
const SIGN_OUT_WAIT: Duration = Duration::from_secs(2);

impl Sso {
    /// What a company says of a logout, checked against its keys.
    ///
    /// # Errors
    /// See [`SsoError`].
    pub async fn logout_statement(&self, realm: &Realm, connection: &Connection, token: &str) -> Result<LogoutStatement, SsoError> {
        let now = realm.env.now();
        let known = self.known(connection, now).await?;
        match LogoutStatement::check(token, connection, &known.keys, now) {
            Err(SsoError::NoKey) => match self.known_anew(connection, now).await {
                Some(newer) => LogoutStatement::check(token, connection, &newer.keys, now),
                None => Err(SsoError::NoKey),
            },
            checked => checked,
        }
    }

    /// Where the person signs out at the company too, if it has such a page. We keep no ID token, so it asks them; and it sends nobody
    /// back, since not every company knows an address of ours for that. A company that is down has none now.
    pub async fn sign_out_url(&self, realm: &Realm, connection: &Connection) -> Option<Url> {
        let known = tokio::time::timeout(SIGN_OUT_WAIT, self.known(connection, realm.env.now())).await.ok()?.ok()?;
        let mut url = known.end_session_endpoint.clone()?;
        url.query_pairs_mut().append_pair("client_id", &connection.client_id);
        Some(url)
    }
}
