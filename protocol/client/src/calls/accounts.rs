//! Accounts and tokens.

use purser_wire::account::{AccountAnswer, AccountRequest, AccountResponse};
use purser_wire::token::{TokenGrant, TokenResponse, TokenSet};

use crate::client::{ProviderClient, With};
use crate::error::CallError;

impl ProviderClient {
    /// Asks for an account. INVARIANT (one-account): after a crash it is asked for again with the same `id`, never with another.
    ///
    /// # Errors
    /// See [`CallError`]; an answer of type `error` is one.
    pub async fn account_request(&self, request: &AccountRequest) -> Result<AccountAnswer, CallError> {
        let response: AccountResponse = self.post(&self.at(&["account_requests"])?, With::default(), request).await?;
        match (&response.id, &request.id) {
            (Some(found), Some(sent)) if found != sent => Err(CallError::Garbage {
                why: "the answer is for another account request".to_owned(),
                received: "an `id` that was not sent".to_owned(),
            }),
            _ => match response.answer {
                AccountAnswer::Error(error) => Err(CallError::Permanent { status: None, error }),
                answer => Ok(answer),
            },
        }
    }

    /// Redeems a code or rotates a pair. A code works once: when the outcome is unknown, ask for the account again.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn token(&self, grant: &TokenGrant) -> Result<TokenSet, CallError> {
        let url = self.endpoint().token_url.clone();
        let response: TokenResponse = self.post_form(&url, &grant.to_form()).await?;
        Ok(response.tokens)
    }
}
