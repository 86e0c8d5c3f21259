//! Accounts and tokens.

use http::StatusCode;
use purser_wire::account::{AccountAnswer, AccountRequest, AccountResponse};
use purser_wire::error::{ErrorBody, code};
use purser_wire::token::{TokenGrant, TokenResponse, TokenSet};

use crate::client::{ProviderClient, With};
use crate::error::CallError;
use crate::identity::ASSERTION_TYPE;

/// Some providers say a refresh token is over with a bare 401 of their framework instead of `invalid_grant`.
fn over(e: CallError) -> CallError {
    match e {
        CallError::Permanent { status: Some(status), error } if status == StatusCode::UNAUTHORIZED && error.code.is_empty() => {
            CallError::Permanent { status: Some(status), error: ErrorBody::new(code::INVALID_GRANT, error.message) }
        }
        other => other,
    }
}

impl ProviderClient {
    /// Asks for an account. INVARIANT (one-account): after a crash it is asked for again with the same `id`, never with another.
    ///
    /// # Errors
    /// See [`CallError`]; an answer of type `error` is one.
    pub async fn account_request(&self, request: &AccountRequest) -> Result<AccountAnswer, CallError> {
        let proven = self.proof()?.map(|proof| {
            let mut request = request.clone();
            request.client_id = Some(proof.client_id);
            request.client_assertion_type = Some(ASSERTION_TYPE.to_owned());
            request.client_assertion = Some(proof.assertion);
            request
        });
        let request = proven.as_ref().unwrap_or(request);
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
        let form = match self.proof()? {
            Some(proof) => proof.beside(&grant.to_form()),
            None => grant.to_form(),
        };
        let response: Result<TokenResponse, CallError> = self.post_form(&url, &form).await;
        let response = response.map_err(|e| if matches!(grant, TokenGrant::RefreshToken { .. }) { over(e) } else { e })?;
        // RFC 6749, 7.1: a token of a type that we do not know is not used.
        if !response.token_type.eq_ignore_ascii_case("bearer") {
            let why = "the tokens are of a type that is not `bearer`".to_owned();
            return Err(CallError::Garbage { why, received: "a token answer".to_owned() });
        }
        Ok(response.tokens)
    }
}
