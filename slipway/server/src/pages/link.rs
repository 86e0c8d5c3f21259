//! The page on which an owner connects an orchestrator with one of their accounts, or does not.
//!
//! INVARIANT (fixed-callback): the browser goes back to the configured callback, whatever was in any request.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_db::DbError;
use purser_http::extract::Query;
use purser_provider::metadata::issuer;
use purser_provider::{CodeFor, mint_code};
use purser_values::{Secret, Timestamp};
use purser_wire::id::{LinkId, ParseWireIdError};
use serde::Deserialize;
use slipway_accounts::link::choose::{AccountChoice, account_choices};
use slipway_accounts::link::decide::{Accepted, Choice, LinkDecideError, link_accept, link_deny};
use slipway_accounts::link::request::{LinkRequest, link_request_bind, link_request_find};
use slipway_accounts::link::scope::Scope;
use slipway_accounts::provisioning::code::code_put;
use slipway_accounts::suspension::orchestrator_of;
use url::Url;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::RecentlySignedIn;
use crate::abuse::judge::{self, Refused};
use crate::cloud::{Cloud, Shared};
use crate::provider::store::code_of;

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    state: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    ctx: PageContext,
    orchestrator: String,
    /// The key of the assertion that verified.
    key: Option<String>,
    organisation: String,
    agent: Option<String>,
    email: String,
    asked: String,
    until: String,
    state: String,
    scopes: Vec<&'static str>,
    choices: Vec<Row>,
    callback: String,
}

struct Row {
    id: String,
    name: String,
    /// Whether another one is called the same, so that only the id tells them apart.
    namesake: bool,
    since: String,
    frozen: bool,
    chosen: bool,
    held_by: Option<String>,
}

#[derive(Template)]
#[template(path = "mismatch.html")]
struct Mismatch {
    ctx: PageContext,
    email: String,
}

pub async fn get(
    State(cloud): State<Shared>,
    Query(asked): Query<Asked>,
    RecentlySignedIn(session): RecentlySignedIn,
) -> Result<Response, PageError> {
    if asked.state.is_empty() {
        return Err(PageError::new(StatusCode::BAD_REQUEST, "missing_state", "the address is incomplete; open it as your agent gave it"));
    }
    let (now, state, person) = (cloud.env.now(), asked.state.clone(), session.person.clone());
    let bound = session.id.clone();
    let found = cloud.db.write(move |tx| -> Result<_, DbError> {
        let Some(request) = link_request_find(tx, now, &state)? else { return Ok(None) };
        if request.email != person.email {
            return Ok(Some(Err(())));
        }
        link_request_bind(tx, &request.id, &bound)?;
        let choices = account_choices(tx, &person.id, &request.owner)?;
        Ok(Some(Ok((request, choices))))
    });
    let mut ctx = PageContext::of(&cloud, &session, "Connect");
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", &asked.state).finish();
    ctx.back = format!("/link?{query}");
    match found.await?.ok_or_else(PageError::over)? {
        Err(()) => Ok(Page::with(StatusCode::FORBIDDEN, Mismatch { ctx, email: session.person.email.to_string() }).into_response()),
        Ok((request, choices)) => {
            let template = link_page(&cloud, ctx, asked.state, &request, choices);
            Ok(Page { form_to: Some(&cloud.callback_url), ..Page::ok(template) }.into_response())
        }
    }
}

fn link_page(cloud: &Cloud, ctx: PageContext, state: String, request: &LinkRequest, choices: Vec<AccountChoice>) -> LinkPage {
    let free = choices.iter().filter(|choice| choice.held_by.is_none()).count();
    let names: Vec<String> = choices.iter().map(|choice| choice.account.organisation.clone()).collect();
    let row = |choice: AccountChoice| Row {
        id: choice.account.id.to_string(),
        namesake: names.iter().filter(|name| **name == choice.account.organisation).count() > 1,
        name: choice.account.organisation,
        since: day(choice.account.created_at),
        frozen: !choice.account.state.is_active(),
        // chosen beforehand only where there is nothing to choose
        chosen: free == 1 && choice.held_by.is_none(),
        held_by: choice.held_by,
    };
    LinkPage {
        ctx,
        orchestrator: request.owner.issuer.clone(),
        key: request.key.clone(),
        organisation: request.organisation.clone(),
        agent: request.agent.clone(),
        email: request.email.to_string(),
        asked: request.created_at.for_people(),
        until: request.expires_at.for_people(),
        state,
        scopes: request.scopes.iter().map(Scope::words).collect(),
        choices: choices.into_iter().map(row).collect(),
        callback: cloud.callback_url.to_string(),
    }
}

/// The date of a moment.
pub fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[derive(Deserialize)]
pub struct Decision {
    state: String,
    decision: String,
    #[serde(default)]
    account: String,
}

pub async fn post(State(cloud): State<Shared>, signed: SignedForm<Decision>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, state) = (cloud.realm.clone(), form.state.clone());
    let answer = match form.decision.as_str() {
        "accept" => {
            let (choice, within) = (choice(&form.account)?, cloud.clone());
            let code = cloud.db.write(move |tx| -> Result<_, AcceptError> {
                let accepted = link_accept(tx, &realm, &session, &state, &choice)?;
                if choice == Choice::New {
                    let orchestrator = orchestrator_of(tx, &accepted.account, Some(&accepted.link))?;
                    judge::sign_up(tx, &within, &orchestrator, &accepted.account, session.person.email.as_str())?;
                }
                let minted = mint_code(&realm.env, code_for(&accepted)?);
                // with the decision or not at all
                code_put(tx, &minted.digest, &code_of(minted.record))?;
                Ok((minted.code, accepted))
            });
            let (code, accepted) = code.await.map_err(PageError::from)?;
            cloud.wake_jobs.notify_one();
            // a new account gets its subdomain now; an old one has it
            if let Err(e) = cloud.workers.subdomain_get(&accepted.account).await {
                tracing::error!(account = %accepted.account, error = %e, "an account has no subdomain yet; the next request makes it");
            }
            tracing::info!(account = %accepted.account, link = %accepted.link, "an owner agreed to a connection");
            callback(&cloud, &form.state, &[("code", code.expose())])
        }
        "deny" => {
            cloud.db.write(move |tx| link_deny(tx, &realm, &session, &state)).await?;
            callback(&cloud, &form.state, &[("error", "access_denied")])
        }
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "invalid_request", "press Accept or Deny")),
    };
    Ok(Redirect::to(answer.expose()).into_response())
}

fn choice(text: &str) -> Result<Choice, PageError> {
    match text {
        "new" => Ok(Choice::New),
        "" => Err(PageError::new(StatusCode::UNPROCESSABLE_ENTITY, "no_account_chosen", "choose an account, or a new one")),
        id => Ok(Choice::Existing(id.parse().map_err(|_| LinkDecideError::NoSuchAccount)?)),
    }
}

fn code_for(accepted: &Accepted) -> Result<CodeFor, ParseWireIdError> {
    Ok(CodeFor {
        account: (&accepted.account).into(),
        link: Some(LinkId::from(&accepted.link)),
        request: accepted.request.as_deref().map(str::parse).transpose()?,
        challenge: accepted.challenge.clone(),
    })
}

/// The callback with what the browser brings back (RFC 6749, 4.1.2; RFC 9207).
pub fn callback(cloud: &Cloud, state: &str, answer: &[(&str, &str)]) -> Secret<String> {
    let mut url: Url = cloud.callback_url.clone();
    url.query_pairs_mut().extend_pairs(answer).append_pair("state", state).append_pair("iss", &issuer(&cloud.public_url));
    Secret::new(url.into())
}

enum AcceptError {
    Decide(LinkDecideError),
    Abuse(Refused),
    Id(ParseWireIdError),
}

impl From<Refused> for AcceptError {
    fn from(e: Refused) -> Self {
        Self::Abuse(e)
    }
}

impl From<LinkDecideError> for AcceptError {
    fn from(e: LinkDecideError) -> Self {
        Self::Decide(e)
    }
}
impl From<DbError> for AcceptError {
    fn from(e: DbError) -> Self {
        Self::Decide(e.into())
    }
}
impl From<ParseWireIdError> for AcceptError {
    fn from(e: ParseWireIdError) -> Self {
        Self::Id(e)
    }
}
impl From<AcceptError> for PageError {
    fn from(e: AcceptError) -> Self {
        match e {
            AcceptError::Decide(e) => e.into(),
            AcceptError::Abuse(Refused::Store(e)) => e.into(),
            AcceptError::Abuse(e) => Self::new(StatusCode::TOO_MANY_REQUESTS, "abuse_refused", e.to_string()),
            AcceptError::Id(e) => DbError::Corrupt(e.to_string()).into(),
        }
    }
}
