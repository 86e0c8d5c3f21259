//! `POST oauth/token` (RFC 6749, 4.1.3 and 6; RFC 7636). No `API-Version` here: no implementation asks for it.

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_values::{Secret, Sha256Digest};
use purser_wire::error::{Envelope, code};
use purser_wire::token::{AccountRef, TokenGrant, TokenGrantError, TokenResponse, TokenSet};
use serde::Serialize;

use super::{Handled, Sdk, Shared, to_the_end};
use crate::error::ProviderError;
use crate::gate::{self, Received, receive};
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, json};
use crate::store::{Access, Store};

pub async fn grant<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let received = receive(request, sdk.config.env.now()).await?;
    let envelope = Envelope::OAuth;
    // a signature that is there must be good, also where none is needed
    let signed = gate::text(&received.headers, purser_wire::header::SIGNATURE).is_some();
    if signed {
        let url = sdk.token_url.clone();
        sdk.check_signature(&received, &url).await.envelope(Envelope::Flat)?;
    }
    let grant = read(&received).envelope(envelope)?;
    let proven = sdk.client_assertion(&received).await.envelope(envelope)? || signed;
    to_the_end(envelope, async move {
        let tokens = match grant {
            TokenGrant::AuthorizationCode { code, code_verifier } => sdk.redeem(&code, code_verifier.as_ref(), proven).await,
            TokenGrant::RefreshToken { refresh_token } => sdk.refresh(&refresh_token, proven).await,
        };
        let (tokens, access) = tokens.envelope(envelope)?;
        Ok(tokens_answer(tokens, access.scopes))
    })
    .await
}

fn read(received: &Received) -> Result<TokenGrant, ProviderError> {
    TokenGrant::from_form(&received.body).map_err(|e| match e {
        TokenGrantError::Unsupported => ProviderError::new(StatusCode::BAD_REQUEST, code::UNSUPPORTED_GRANT_TYPE, e.to_string()),
        TokenGrantError::Missing(_) => ProviderError::invalid_request(e.to_string()),
    })
}

#[derive(Serialize)]
struct Granted {
    #[serde(flatten)]
    tokens: TokenResponse,
    /// What was granted, where there are scopes (RFC 6749, 5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

fn tokens_answer(tokens: TokenSet, scopes: Option<Vec<String>>) -> Response {
    let granted = Granted { tokens: TokenResponse::from(tokens), scope: scopes.map(|scopes| scopes.join(" ")) };
    let mut response = json(StatusCode::OK, &granted);
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

impl<P: Provider, S: Store> Sdk<P, S> {
    async fn redeem(
        &self,
        code: &Secret<String>,
        verifier: Option<&Secret<String>>,
        proven: bool,
    ) -> Result<(TokenSet, Access), ProviderError> {
        let record = self.codes.find(code).await?.ok_or_else(invalid_grant)?;
        // who redeems must be who asked: by its signature, and by the verifier of its challenge. Checked before the code is used up.
        match (&record.challenge, verifier) {
            (Some(_), Some(_)) if !proven && !self.config.unsigned_code => return Err(unproven("the request is not signed")),
            (Some(challenge), Some(verifier)) => {
                let computed = b64url(Sha256Digest::of(verifier.expose().as_bytes()).as_bytes());
                if !constant_time_eq(computed.as_bytes(), challenge.as_bytes()) {
                    return Err(invalid_grant());
                }
            }
            (Some(_), None) => return Err(unproven("`code_verifier` is missing")),
            (None, _) if !proven => return Err(unproven("the request is not signed")),
            (None, _) => {}
        }
        let account = AccountRef { id: record.account, payment_credentials: Some(self.provider.payment_credentials()) };
        self.codes.redeem(code, account).await?.ok_or_else(invalid_grant)
    }

    async fn refresh(&self, refresh: &Secret<String>, proven: bool) -> Result<(TokenSet, Access), ProviderError> {
        if !proven && !self.config.unsigned_refresh {
            return Err(unproven("the request is not signed"));
        }
        let (mut tokens, access) = self.codes.refresh(refresh).await?.ok_or_else(invalid_grant)?;
        tokens.account = Some(AccountRef { id: access.account.clone(), payment_credentials: Some(self.provider.payment_credentials()) });
        Ok((tokens, access))
    }
}

fn invalid_grant() -> ProviderError {
    ProviderError::new(StatusCode::BAD_REQUEST, code::INVALID_GRANT, "the grant is unknown, used, expired or not yours")
}

fn unproven(message: &str) -> ProviderError {
    ProviderError::new(StatusCode::UNAUTHORIZED, code::INVALID_REQUEST, message)
}
