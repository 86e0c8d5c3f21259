//! `account_open`: the account of a linked subject, a new one for an address that nobody has, or a page for the owner.

use std::fmt::Display;

use http::StatusCode;
use purser_provider::{AccountOpen, AccountOutcome, Answer, ProviderError};
use purser_wire::error::code;
use purser_wire::id::LinkId;
use purser_wire::token::{AccountRef, PaymentCredentialsBy};
use slipway_accounts::account::open::{AccountOpenError, AccountOpened, AccountOpening, Opened, account_open};
use slipway_accounts::account::{Owner, shown};
use slipway_accounts::link::request::{LinkAsk, LinkRequestError, link_request};
use slipway_accounts::link::scope::Scopes;
use slipway_accounts::realm::MailError;
use url::Url;

use super::refusal;
use crate::abuse::judge::{self, Refused};
use crate::cloud::{Cloud, Shared};

/// What to answer, decided in one write.
enum Decided {
    Opened(Opened),
    Page(purser_values::Secret<String>),
}

enum OpenError {
    Account(AccountOpenError),
    Link(LinkRequestError),
    Abuse(Refused),
    Store(purser_db::DbError),
}

impl From<purser_db::DbError> for OpenError {
    fn from(e: purser_db::DbError) -> Self {
        Self::Store(e)
    }
}

pub async fn open(cloud: &Shared, open: AccountOpen) -> Answer<AccountOutcome> {
    let scopes =
        Scopes::asked(&open.request.scopes).map_err(|e| ProviderError::new(StatusCode::BAD_REQUEST, code::INVALID_SCOPE, e.to_string()))?;
    let (ask, realm) = (ask(open, scopes), cloud.realm.clone());
    let opening = AccountOpening {
        owner: ask.owner.clone(),
        email: ask.email.clone(),
        organisation: ask.organisation.clone(),
        scopes,
        request: ask.request.clone(),
    };
    let within = cloud.clone();
    let decided = cloud.db.write(move |tx| match account_open(tx, &realm, &opening).map_err(OpenError::Account)? {
        AccountOpened::Account(opened) => {
            if opened.is_new {
                let email = opening.email.as_str();
                judge::sign_up(tx, &within, &opening.owner.issuer, &opened.account.id, email).map_err(OpenError::Abuse)?;
            }
            Ok(Decided::Opened(opened))
        }
        AccountOpened::OwnerMustAgree => link_request(tx, &realm, &ask).map(Decided::Page).map_err(OpenError::Link),
    });
    let decided = decided.await.map_err(|e| refuse(&e))?;
    cloud.wake_jobs.notify_one();
    match decided {
        Decided::Opened(opened) => answer(cloud, opened).await,
        Decided::Page(state) => Ok(AccountOutcome::RequiresAuth { url: page(cloud, state.expose(), scopes)? }),
    }
}

async fn answer(cloud: &Cloud, opened: Opened) -> Answer<AccountOutcome> {
    let Opened { account, link, is_new } = opened;
    // The runtime gives an account its subdomain when it first sees it; a crash in between is made good by the next request.
    cloud.workers.subdomain_get(&account.id).await.map_err(|e| refusal::workers(&e))?;
    if is_new {
        tracing::info!(account = %account.id, "an account was opened");
    }
    let account = AccountRef { id: (&account.id).into(), payment_credentials: Some(PaymentCredentialsBy::Orchestrator) };
    Ok(AccountOutcome::Linked { account, link: LinkId::from(&link.id) })
}

/// The page on which the owner decides.
fn page(cloud: &Cloud, state: &str, scopes: Scopes) -> Answer<Url> {
    let mut url = cloud.public_url.join("link").map_err(|e| ProviderError::internal(&e))?;
    url.query_pairs_mut().append_pair("state", state).append_pair("scope", &scopes.to_string());
    Ok(url)
}

/// Without an assertion the e-mail address is all there is; it makes a subject of its own kind, which never is an attested one.
fn ask(open: AccountOpen, scopes: Scopes) -> LinkAsk {
    let request = open.request;
    let stripe = request.orchestrator.stripe;
    let organisation = stripe.organisation.or(stripe.organization).filter(|name| !name.trim().is_empty());
    let (owner, key, email) = match open.identity {
        Some(by) => (Owner { issuer: by.issuer, subject: by.subject, attested: true }, Some(by.key), by.email),
        None => (Owner { issuer: stripe.account, subject: format!("mailto:{}", request.email), attested: false }, None, request.email),
    };
    LinkAsk {
        owner,
        key,
        organisation: organisation.map_or_else(|| email.to_string(), |name| shown(&name)),
        email,
        agent: request.agent.map(|agent| agent.id.to_string()),
        scopes,
        request: request.id.map(String::from),
        challenge: request.code_challenge,
        confirmation: request.confirmation_secret,
        expires_at: request.expires_at,
    }
}

fn refuse(e: &OpenError) -> ProviderError {
    match e {
        OpenError::Account(e @ AccountOpenError::Pinned) => ProviderError::new(StatusCode::CONFLICT, code::IDENTITY_PINNED, e.to_string()),
        OpenError::Account(e @ AccountOpenError::Suspended) => ProviderError::new(StatusCode::FORBIDDEN, "suspended", e.to_string()),
        OpenError::Link(e @ LinkRequestError::Suspended) => ProviderError::new(StatusCode::FORBIDDEN, "suspended", e.to_string()),
        OpenError::Abuse(e) => refusal::abuse(e),
        OpenError::Link(e @ LinkRequestError::TooMany { retry_after_s }) => too_many(e, *retry_after_s),
        OpenError::Store(e)
        | OpenError::Account(AccountOpenError::Store(e) | AccountOpenError::Mail(MailError::Store(e)))
        | OpenError::Link(LinkRequestError::Store(e) | LinkRequestError::Mail(MailError::Store(e))) => refusal::store(e),
        OpenError::Account(AccountOpenError::Mail(MailError::Seal(e))) | OpenError::Link(LinkRequestError::Mail(MailError::Seal(e))) => {
            ProviderError::internal(e)
        }
    }
}

fn too_many(e: &dyn Display, retry_after_s: u32) -> ProviderError {
    let error = ProviderError::new(StatusCode::TOO_MANY_REQUESTS, code::RATE_LIMITED, e.to_string());
    ProviderError { retry_after: Some(retry_after_s), ..error }
}
