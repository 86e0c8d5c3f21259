//! What the SDK has established about a call before a provider sees it.

use purser_values::name::Email;
use purser_values::{Env, Sha256Digest, Timestamp};
use purser_wire::error::code;
use purser_wire::id::{AccountId, IdempotencyKey, LinkId};

use crate::error::ProviderError;

/// A signed call that concerns no account yet.
#[derive(Clone, Debug)]
pub struct Call {
    pub env: Env,
    /// When the call was received.
    pub at: Timestamp,
    /// The name under which a repeat of this change is recognised. The SDK answers a finished repeat itself; a provider sees the
    /// same key twice only when the process died in between, and must then finish the first attempt instead of starting a second.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A signed call with a bearer token of an account.
#[derive(Clone, Debug)]
pub struct AccountCall {
    pub call: Call,
    pub account: AccountId,
    /// Over which link, at a provider that has links.
    pub link: Option<LinkId>,
    /// What the token may do; everything, at a provider without scopes.
    pub scopes: Option<Vec<String>>,
}

impl AccountCall {
    /// # Errors
    /// 403 `insufficient_scope` when the token does not have the scope.
    pub fn require(&self, scope: &str) -> Result<(), ProviderError> {
        match &self.scopes {
            Some(scopes) if !scopes.iter().any(|s| s == scope) => {
                let message = format!("the connection does not allow `{scope}`; the account's owner can connect again with it");
                Err(ProviderError::forbidden(code::INSUFFICIENT_SCOPE, message))
            }
            _ => Ok(()),
        }
    }
}

impl std::ops::Deref for AccountCall {
    type Target = Call;
    fn deref(&self) -> &Call {
        &self.call
    }
}

/// What the orchestrator attests about the person behind an account request: signature, audience, age and e-mail address
/// have been checked, and every terms document of the manifest is among those accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The orchestrator that says so.
    pub issuer: String,
    /// Thumbprint (RFC 7638) of the orchestrator's key that says so.
    pub key: String,
    /// The person, by a name that only this provider knows.
    pub subject: String,
    pub email: Email,
    pub terms: Vec<Sha256Digest>,
    /// Thumbprint of the agent's key.
    pub agent_jkt: Option<String>,
}
