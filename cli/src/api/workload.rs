//! Token exchange (RFC 8693) for a build: its issuer's token for a short one of ours, bound to the key of this home.

use purser_values::Secret;
use url::form_urlencoded;

use super::device::Tokens;
use super::{Api, EXCHANGE};
use crate::outcome::Failure;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

impl Api<'_> {
    /// Exchanges what an issuer says of this build, under the trust that a person set up.
    ///
    /// # Errors
    /// When the orchestrator refuses it.
    pub async fn workload(&self, token: &Secret<String>, trust: &str) -> Result<Tokens, Failure> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("subject_token", token.expose())
            .append_pair("subject_token_type", ID_TOKEN)
            .append_pair("workload_trust", trust)
            .finish();
        Ok(self.tokens(self.token(body, EXCHANGE).await?))
    }
}
