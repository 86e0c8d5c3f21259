//! A person adds an address, puts a new secret in place, tries it, or takes it away.

use purser_authority::action::{WebhookAdd, WebhookRead, WebhookRemove, WebhookRotate};
use purser_authority::{Action, Denied, Done, Event, Permit};
use purser_db::Tx;
use purser_http::Fetcher;
use purser_notify::webhook::WebhookSecret;
use purser_values::Secret;
use purser_values::id::{MessageId, OrganisationId, WebhookId};
use serde_json::json;
use url::Url;

use super::{DESCRIPTION_CHARS, ENDPOINTS, Message, OVERLAP_S, URL_CHARS, WebhookError, send};
use crate::core::Core;
use crate::store::webhook::{self, Endpoint, State};

/// What a person wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub url: Url,
    pub description: String,
}

/// An endpoint, and the secret that is shown now and never again.
#[derive(Debug)]
pub struct Added {
    pub endpoint: Endpoint,
    pub secret: Secret<String>,
}

fn organisation<A: Action>(permit: &Permit<A>) -> Result<OrganisationId, Denied> {
    permit.caller().organisation().cloned().ok_or(Denied::Anonymous)
}

/// Adds an address.
///
/// # Errors
/// When it may not be spoken to, is not well formed, or there are too many.
pub fn add(
    tx: &mut Tx<'_>,
    core: &Core,
    fetcher: &Fetcher,
    permit: &Permit<WebhookAdd>,
    wanted: &Wanted,
) -> Result<Done<Added>, WebhookError> {
    let organisation = organisation(permit)?;
    let Wanted { url, description } = wanted;
    let visible = description.chars().all(|c| !c.is_control());
    if url.as_str().len() > URL_CHARS || description.chars().count() > DESCRIPTION_CHARS || !visible || url.fragment().is_some() {
        return Err(WebhookError::Form);
    }
    fetcher.check(url).map_err(|why| WebhookError::Address { host: url.host_str().unwrap_or("?").to_owned(), why })?;
    if webhook::of_organisation(tx, &organisation)?.len() >= ENDPOINTS {
        return Err(WebhookError::TooMany);
    }
    let endpoint = Endpoint {
        id: WebhookId::mint(&core.env),
        organisation,
        url: url.clone(),
        description: description.clone(),
        state: State::Active,
        why: None,
        previous_until: None,
        added_at: core.env.now(),
    };
    let secret = WebhookSecret::mint(&core.env);
    let by = permit.caller().person().map(ToString::to_string).unwrap_or_default();
    webhook::insert(tx, &core.env, &core.keyring, &endpoint, &secret, &by)?;
    let event = Event::done(permit.verb(), permit.caller(), endpoint.id.as_str()).with(json!({"host": url.host_str()}));
    Ok(Done::with_event(Added { endpoint, secret: secret.text() }, event))
}

/// Puts a new secret in place; the one before it signs besides for a day, so that no message is refused meanwhile.
///
/// # Errors
/// When there is no such webhook.
pub fn rotate(tx: &mut Tx<'_>, core: &Core, permit: &Permit<WebhookRotate>, id: &WebhookId) -> Result<Done<Added>, WebhookError> {
    let mut endpoint = own(tx, &organisation(permit)?, id)?;
    let (secret, until) = (WebhookSecret::mint(&core.env), core.env.now().plus_secs(OVERLAP_S));
    webhook::replace_secret(tx, &core.env, &core.keyring, id, &secret, until)?;
    endpoint.previous_until = Some(until);
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).with(json!({"previous_until": until}));
    Ok(Done::with_event(Added { endpoint, secret: secret.text() }, event))
}

/// Takes an address away; what waits for it is not sent any more.
///
/// # Errors
/// When there is no such webhook.
pub fn remove(tx: &mut Tx<'_>, permit: &Permit<WebhookRemove>, id: &WebhookId) -> Result<Done<()>, WebhookError> {
    own(tx, &organisation(permit)?, id)?;
    webhook::set_state(tx, id, State::Removed, None)?;
    Ok(Done::with_event((), Event::done(permit.verb(), permit.caller(), id.as_str())))
}

/// Sends a message that says nothing, to see whether it arrives; answers its id.
///
/// # Errors
/// When there is no such webhook, or it is disabled.
pub fn test(tx: &mut Tx<'_>, core: &Core, permit: &Permit<WebhookRemove>, id: &WebhookId) -> Result<Done<String>, WebhookError> {
    let endpoint = own(tx, &organisation(permit)?, id)?;
    if endpoint.state == State::Disabled {
        return Err(WebhookError::Disabled(endpoint.why.unwrap_or_default()));
    }
    let message = Message::new(MessageId::mint(&core.env).to_string(), "webhook.test", core.env.now(), json!({"webhook": id}));
    let job = send::first(tx, &core.env, &endpoint, &message)?;
    let event = Event::done("webhook_test", permit.caller(), id.as_str()).related([&message.id]);
    Ok(Done::with_event(message.id.clone(), event).and_job(job))
}

/// The organisation's addresses.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, permit: &Permit<WebhookRead>) -> Result<Vec<Endpoint>, WebhookError> {
    Ok(webhook::of_organisation(tx, &organisation(permit)?)?)
}

/// What belongs to another organisation does not exist.
fn own(tx: &mut Tx<'_>, organisation: &OrganisationId, id: &WebhookId) -> Result<Endpoint, WebhookError> {
    webhook::find(tx, id)?.filter(|endpoint| endpoint.organisation == *organisation).ok_or(WebhookError::Unknown)
}
