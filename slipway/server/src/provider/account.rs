//! `account_open`: the account of an attested subject, with its subdomain, which clients need before the first deployment.

use http::StatusCode;
use purser_provider::{AccountOpen, AccountOutcome, Answer, ProviderError};
use purser_wire::error::code;
use purser_wire::token::{AccountRef, PaymentCredentialsBy};
use slipway_accounts::account::Owner;
use slipway_accounts::account::open::{AccountOpenError, AccountOpening, Opened, account_open};

use super::refusal;
use crate::cloud::Cloud;

pub async fn open(cloud: &Cloud, open: AccountOpen) -> Answer<AccountOutcome> {
    let (opening, env) = (opening(open), cloud.env.clone());
    let opened = cloud.db.write(move |tx| account_open(tx, &env, &opening)).await.map_err(|e| refuse(&e))?;
    let Opened { account, is_new } = opened;
    // The runtime gives an account its subdomain when it first sees it; a crash in between is made good by the next request.
    cloud.workers.subdomain_get(&account.id).await.map_err(|e| refusal::workers(&e))?;
    if is_new {
        tracing::info!(account = %account.id, "an account was opened");
    }
    Ok(AccountOutcome::Account(AccountRef { id: (&account.id).into(), payment_credentials: Some(PaymentCredentialsBy::Orchestrator) }))
}

/// Without an assertion the e-mail address is all there is; it makes a subject of its own kind.
fn opening(open: AccountOpen) -> AccountOpening {
    let request = open.request;
    let stripe = request.orchestrator.stripe;
    let organisation = stripe.organisation.or(stripe.organization).filter(|name| !name.trim().is_empty());
    let (owner, email) = match open.identity {
        Some(identity) => (Owner { issuer: identity.issuer, subject: identity.subject, attested: true }, identity.email),
        None => (Owner { issuer: stripe.account, subject: format!("mailto:{}", request.email), attested: false }, request.email),
    };
    AccountOpening { owner, organisation: organisation.unwrap_or_else(|| email.to_string()), email, request: request.id.map(String::from) }
}

fn refuse(e: &AccountOpenError) -> ProviderError {
    match e {
        AccountOpenError::Pinned => ProviderError::new(StatusCode::CONFLICT, code::IDENTITY_PINNED, e.to_string()),
        AccountOpenError::AssertionNeeded => ProviderError::forbidden(code::IDENTITY_PINNED, e.to_string()),
        AccountOpenError::Store(e) => refusal::store(e),
    }
}
