//! Credits of the organisation's account: redeeming one, and looking at what is left.

use purser_values::Secret;
use purser_wire::credit::{Credits, RedeemCredit};

use crate::client::{ProviderClient, With};
use crate::error::CallError;

type AccessToken = Secret<String>;

impl ProviderClient {
    /// Redeems what an attestation says. Repeat it with a fresh attestation of the same application: it has one effect.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn credit_redeem(&self, access: &AccessToken, request: &RedeemCredit) -> Result<Credits, CallError> {
        let with = With { access_token: Some(access), key: None };
        self.post(&self.at(&["credits"])?, with, request).await
    }

    /// # Errors
    /// See [`CallError`].
    pub async fn credits(&self, access: &AccessToken) -> Result<Credits, CallError> {
        let with = With { access_token: Some(access), key: None };
        self.get(&self.at(&["credits"])?, with).await
    }
}
