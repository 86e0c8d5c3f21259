//! `/webhooks`: the addresses that the organisation is told at, what became of the last messages, and a new address or secret.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{WebhookAdd, WebhookRead, WebhookRemove, WebhookRotate};
use purser_authority::{Attempt, Facts, authorise};
use purser_db::Tx;
use purser_http::extract::Query;
use purser_provisioning::perform;
use purser_provisioning::store::webhook::{Endpoint, State as Standing, deliveries};
use purser_provisioning::webhook::{self, Added, Wanted, WebhookError};
use purser_values::id::WebhookId;
use serde::Deserialize;
use url::Url;

use super::budgets::may_plan;
use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

/// Messages that are shown of each address.
const MESSAGES: i64 = 10;

#[derive(Template)]
#[template(path = "webhooks.html")]
pub struct Webhooks {
    ctx: PageContext,
    rows: Vec<Row>,
    may_change: bool,
    ask: Ask,
}

/// What somebody asks the person for, filled in and not done: the address comes from an agent, perhaps.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    url: String,
    description: String,
}

struct Row {
    id: String,
    url: String,
    description: String,
    active: bool,
    why: Option<String>,
    previous_until: Option<String>,
    messages: Vec<Message>,
}

struct Message {
    id: String,
    kind: String,
    at: String,
    how: String,
}

#[derive(Template)]
#[template(path = "webhook_secret.html")]
struct Secret {
    ctx: PageContext,
    url: String,
    secret: String,
    until: Option<String>,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(ask): Query<Ask>) -> Result<Page<Webhooks>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let permit = authorise::<WebhookRead>(&caller, &Facts::new(now, "webhooks"))?;
    let read = move |tx: &mut Tx<'_>| -> Result<Vec<Row>, WebhookError> {
        let endpoints = webhook::list(tx, &permit)?;
        endpoints
            .into_iter()
            .map(|endpoint| {
                let messages = deliveries(tx, &endpoint.id, MESSAGES)?.into_iter().map(|message| Message {
                    how: match message.why {
                        Some(why) => format!("{} after {} tries: {why}", message.state, message.attempts),
                        None => message.state,
                    },
                    id: message.message,
                    kind: message.kind,
                    at: message.last_at.for_people(),
                });
                Ok(row(&endpoint, messages.collect(), now))
            })
            .collect()
    };
    let rows = front.core.db.read(read).await?;
    Ok(Page::ok(Webhooks { ctx: PageContext::of(&front, &session, "Webhooks"), rows, may_change: may_plan(&caller), ask }))
}

fn row(endpoint: &Endpoint, messages: Vec<Message>, now: purser_values::Timestamp) -> Row {
    Row {
        id: endpoint.id.to_string(),
        url: endpoint.url.to_string(),
        description: endpoint.description.clone(),
        active: endpoint.state == Standing::Active,
        why: endpoint.why.clone(),
        previous_until: endpoint.previous_until.filter(|until| now < *until).map(purser_values::Timestamp::for_people),
        messages,
    }
}

#[derive(Deserialize)]
pub struct Address {
    url: String,
    #[serde(default)]
    description: String,
}

/// Answers the page with the secret, which no other page has.
pub async fn add(State(front): State<Front>, signed: SignedForm<Address>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let url: Url = form.url.trim().parse().map_err(|_| {
        PageError::new(StatusCode::BAD_REQUEST, "webhook_form", "that is no address").hint("it looks like `https://example.com/hook`")
    })?;
    let wanted = Wanted { url, description: form.description.trim().to_owned() };
    let (caller, core, fetcher) = (session.caller(), front.core.clone(), front.clients.fetcher());
    let added = perform(&front.core, Attempt::new("webhook_add", &caller, "webhooks"), move |tx| {
        let permit = authorise::<WebhookAdd>(&caller, &Facts::new(core.env.now(), "webhooks"))?;
        webhook::add(tx, &core, &fetcher, &permit, &wanted)
    });
    let added = added.await.map_err(|e: WebhookError| PageError::from(e))?;
    Ok(shown(PageContext::of(&front, &session, "Webhook"), &added))
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn rotate(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (id, caller, core) = (read(&id)?, signed.session.caller(), front.core.clone());
    let rotated = perform(&front.core, Attempt::new("webhook_rotate", &caller, id.as_str()), move |tx| {
        let permit = authorise::<WebhookRotate>(&caller, &Facts::new(core.env.now(), id.as_str()))?;
        webhook::rotate(tx, &core, &permit, &id)
    });
    let rotated = rotated.await.map_err(|e: WebhookError| PageError::from(e))?;
    Ok(shown(PageContext::of(&front, &signed.session, "Webhook"), &rotated))
}

pub async fn test(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (id, caller, core) = (read(&id)?, signed.session.caller(), front.core.clone());
    let sent = perform(&front.core, Attempt::new("webhook_test", &caller, id.as_str()), move |tx| {
        let permit = authorise::<WebhookRemove>(&caller, &Facts::new(core.env.now(), id.as_str()))?;
        webhook::test(tx, &core, &permit, &id)
    });
    sent.await.map_err(|e: WebhookError| PageError::from(e))?;
    Ok(Redirect::to("/webhooks").into_response())
}

pub async fn remove(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let (id, caller, env) = (read(&id)?, signed.session.caller(), front.realm.env.clone());
    let removed = perform(&front.core, Attempt::new("webhook_remove", &caller, id.as_str()), move |tx| {
        let permit = authorise::<WebhookRemove>(&caller, &Facts::new(env.now(), id.as_str()))?;
        webhook::remove(tx, &permit, &id)
    });
    removed.await.map_err(|e: WebhookError| PageError::from(e))?;
    Ok(Redirect::to("/webhooks").into_response())
}

fn read(id: &str) -> Result<WebhookId, PageError> {
    id.parse().map_err(|_| PageError::not_found())
}

fn shown(ctx: PageContext, added: &Added) -> Response {
    let Added { endpoint, secret } = added;
    let until = endpoint.previous_until.map(purser_values::Timestamp::for_people);
    Page::ok(Secret { ctx, url: endpoint.url.to_string(), secret: secret.expose().clone(), until }).into_response()
}
