//! Stopping and letting go on: idempotent by nature, confirmed by the receipt and by nothing else.

use purser_values::Secret;
use purser_wire::control::{AccountControl, AgentControl, ControlOrder, ControlReceipt, ControlStatus};
use purser_wire::resource::AgentRef;
use serde::Serialize;

use crate::client::{ProviderClient, With};
use crate::error::CallError;

type AccessToken = Secret<String>;

/// Why a control is not in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The provider has seen a higher number and did nothing.
    #[error("the provider has carried out a later decision")]
    Superseded {
        /// The highest that it has seen, if it says so.
        by: Option<ControlOrder>,
    },
    #[error(transparent)]
    Call(#[from] CallError),
}

impl ProviderClient {
    /// Stops every credential of one agent in the account; says how many.
    ///
    /// # Errors
    /// See [`ControlError`]. Only `Ok` means that it is in force.
    pub async fn credentials_disable(
        &self,
        access: &AccessToken,
        agent: &AgentRef,
        order: Option<ControlOrder>,
    ) -> Result<u64, ControlError> {
        let body = AgentControl { agent: agent.clone(), order };
        self.control(access, &["account", "credentials", "disable"], &body, ControlStatus::Disabled).await
    }

    /// # Errors
    /// See [`ControlError`].
    pub async fn credentials_enable(
        &self,
        access: &AccessToken,
        agent: &AgentRef,
        order: Option<ControlOrder>,
    ) -> Result<u64, ControlError> {
        let body = AgentControl { agent: agent.clone(), order };
        self.control(access, &["account", "credentials", "enable"], &body, ControlStatus::Enabled).await
    }

    /// # Errors
    /// See [`ControlError`].
    pub async fn account_freeze(&self, access: &AccessToken, control: AccountControl) -> Result<(), ControlError> {
        self.control(access, &["account", "freeze"], &control, ControlStatus::Frozen).await.map(|_| ())
    }

    /// # Errors
    /// See [`ControlError`].
    pub async fn account_thaw(&self, access: &AccessToken, order: Option<ControlOrder>) -> Result<(), ControlError> {
        let body = AccountControl { dark: false, order };
        self.control(access, &["account", "thaw"], &body, ControlStatus::Thawed).await.map(|_| ())
    }

    async fn control(
        &self,
        access: &AccessToken,
        path: &[&str],
        body: &impl Serialize,
        expected: ControlStatus,
    ) -> Result<u64, ControlError> {
        let with = With { access_token: Some(access), key: None };
        let receipt: ControlReceipt = self.post(&self.at(path)?, with, body).await?;
        match receipt.status {
            status if status == expected => Ok(receipt.credentials),
            ControlStatus::Superseded => Err(ControlError::Superseded { by: receipt.order }),
            status => {
                Err(CallError::Garbage { why: "the receipt is for another control".to_owned(), received: format!("`{status:?}`") }.into())
            }
        }
    }
}
