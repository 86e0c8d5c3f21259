//! `POST provisioning/account_requests`.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use purser_wire::account::{AccountAnswer, AccountRequest, AccountResponse};
use purser_wire::error::{Envelope, code};
use purser_wire::id::AccountRequestId;

use super::{Handled, Shared, to_the_end};
use crate::codes::CodeFor;
use crate::config::AnswerWith;
use crate::error::ProviderError;
use crate::gate::receive;
use crate::provider::{AccountOpen, AccountOutcome, Provider};
use crate::reply::{InEnvelope as _, json, read_body};
use crate::store::Store;

pub async fn open<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let received = receive(request, sdk.config.env.now()).await?;
    let call = sdk.signed(&received).await?;
    let envelope = Envelope::Typed;
    let request: AccountRequest = read_body(&received.body).envelope(envelope)?;
    check(&request, call.at).envelope(envelope)?;
    to_the_end(envelope, async move {
        let identity = sdk.identity(&request, call.at).await.envelope(envelope)?;
        let (id, challenge) = (request.id.clone(), request.code_challenge.clone());
        let outcome = sdk.provider.account_open(&call, AccountOpen { request, identity }).await.envelope(envelope)?;
        let (account, link) = match outcome {
            AccountOutcome::Account(account) => (account, None),
            AccountOutcome::Linked { account, link } => (account, Some(link)),
            AccountOutcome::RequiresAuth { url } => return Ok(answer(id, AccountAnswer::RequiresAuth { url })),
            AccountOutcome::NeedsInformation { schema } => return Ok(answer(id, AccountAnswer::NeedsInformation { schema })),
        };
        let given = match sdk.config.answer_with {
            // asked for again with the same id after a crash, this is a fresh code for the same account
            AnswerWith::Code => {
                let what = CodeFor { account: account.id, link, request: id.clone(), challenge };
                AccountAnswer::OAuth { code: sdk.codes.issue(what).await.envelope(envelope)? }
            }
            AnswerWith::Credentials => AccountAnswer::Credentials(sdk.codes.grant(account, link).await.envelope(envelope)?),
        };
        Ok(answer(id, given))
    })
    .await
}

fn answer(id: Option<AccountRequestId>, answer: AccountAnswer) -> Response {
    json(StatusCode::OK, &AccountResponse { id, answer })
}

fn check(request: &AccountRequest, now: purser_values::Timestamp) -> Result<(), ProviderError> {
    if request.orchestrator.stripe.account.is_empty() {
        return Err(ProviderError::invalid_request("`orchestrator.stripe.account` is empty"));
    }
    if request.expires_at.is_some_and(|at| at <= now) {
        return Err(ProviderError::new(StatusCode::BAD_REQUEST, code::EXPIRED, "the account request is past its `expires_at`"));
    }
    let method = request.code_challenge_method.as_deref();
    let Some(challenge) = &request.code_challenge else {
        return if method.is_none() { Ok(()) } else { Err(ProviderError::invalid_request("`code_challenge` is missing")) };
    };
    let formed = (43..=128).contains(&challenge.len()) && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !formed || method.is_some_and(|m| m != "S256") {
        return Err(ProviderError::invalid_request("`code_challenge` must be an S256 challenge of 43 to 128 characters"));
    }
    Ok(())
}
