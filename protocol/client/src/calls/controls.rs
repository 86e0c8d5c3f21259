//! Stopping and letting go on: idempotent by nature, confirmed by the receipt and by nothing else.

use purser_values::Secret;
use purser_wire::control::{AccountControl, AgentControl, ControlReceipt, ControlStatus};
use purser_wire::resource::AgentRef;
use serde::Serialize;

use crate::client::{ProviderClient, With};
use crate::error::CallError;

type AccessToken = Secret<String>;

impl ProviderClient {
    /// Stops every credential of one agent in the account; says how many.
    ///
    /// # Errors
    /// See [`CallError`]. Only `Ok` means that it is in force.
    pub async fn credentials_disable(&self, access: &AccessToken, agent: &AgentRef) -> Result<u64, CallError> {
        let body = AgentControl { agent: agent.clone() };
        self.control(access, &["account", "credentials", "disable"], &body, ControlStatus::Disabled).await
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn credentials_enable(&self, access: &AccessToken, agent: &AgentRef) -> Result<u64, CallError> {
        let body = AgentControl { agent: agent.clone() };
        self.control(access, &["account", "credentials", "enable"], &body, ControlStatus::Enabled).await
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn account_freeze(&self, access: &AccessToken, control: AccountControl) -> Result<(), CallError> {
        self.control(access, &["account", "freeze"], &control, ControlStatus::Frozen).await.map(|_| ())
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn account_thaw(&self, access: &AccessToken) -> Result<(), CallError> {
        self.control(access, &["account", "thaw"], &AccountControl::default(), ControlStatus::Thawed).await.map(|_| ())
    }

    async fn control(&self, access: &AccessToken, path: &[&str], body: &impl Serialize, expected: ControlStatus) -> Result<u64, CallError> {
        let with = With { access_token: Some(access), key: None };
        let receipt: ControlReceipt = self.post(&self.at(path)?, with, body).await?;
        if receipt.status == expected {
            return Ok(receipt.credentials);
        }
        Err(CallError::Garbage { why: "the receipt is for another control".to_owned(), received: format!("`{:?}`", receipt.status) })
    }
}
