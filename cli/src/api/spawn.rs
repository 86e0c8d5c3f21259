//! Token exchange (RFC 8693): this agent's token for a helper's own, bound to the helper's key.

use purser_crypto::encoding::b64url;
use purser_crypto::jose::SigningKey;
use purser_values::error::Kind;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::device::Tokens;
use super::{Api, EXCHANGE};
use crate::context::address;
use crate::outcome::Failure;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Life of the statement that shows the helper's key, in seconds.
const STATEMENT_LIFE_S: i64 = 120;

impl Api<'_> {
    /// Lets the agent with this key act within this agent's grant. `details` says how far.
    ///
    /// # Errors
    /// When this agent has no session, or the orchestrator refuses.
    pub async fn spawn(&self, key: &SigningKey, name: &str, details: &Value) -> Result<Tokens, Failure> {
        let own = self.access_token().await?.ok_or_else(|| {
            Failure::new(Kind::Unauthenticated, "NOT_AUTHENTICATED", "only an agent lets helpers act").hint("run `purser login`")
        })?;
        let now = self.context.env.now().as_secs();
        let claims = json!({
            "aud": address(&self.base),
            "jti": b64url(&self.context.env.bytes::<16>()),
            "iat": now,
            "exp": now + STATEMENT_LIFE_S,
            "name": name,
        });
        let statement = key.sign_with_jwk("agent+jwt", &claims);
        let statement = statement.map_err(|e| Failure::new(Kind::Internal, "AGENT_KEY_UNUSABLE", e.to_string()))?;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("subject_token", own.expose())
            .append_pair("subject_token_type", ACCESS_TOKEN)
            .append_pair("actor_token", &statement)
            .append_pair("actor_token_type", JWT)
            .append_pair("authorization_details", &json!([details]).to_string())
            .finish();
        Ok(self.tokens(self.token(body, EXCHANGE).await?))
    }
}
