//! `/applications`: which OAuth clients know something of the person, and which are registered for the organisation; taking both back.
//!
//! A client's name is in its own words, so it stands in quotes beside what we know ourselves: its id and where answers go.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::action::{AuthorizationDecide, ClientRead, ClientRemove, SecurityRead};
use purser_authority::{Attempt, Facts, authorise};
use purser_db::DbError;
use purser_identity::authorization::consent::{Connected, connected_of, consent_end};
use purser_identity::client::{Listed, ManageError, client_remove, clients_list};
use purser_provisioning::perform;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;
use crate::membership::could;

#[derive(Template)]
#[template(path = "applications.html")]
pub struct Applications {
    ctx: PageContext,
    organisation: String,
    connected: Vec<ConnectedView>,
    registered: Vec<RegisteredView>,
    may_remove: bool,
}

struct ConnectedView {
    client: String,
    name: Option<String>,
    redirects: String,
    knows: Vec<String>,
    since: String,
    signed_on: bool,
}

struct RegisteredView {
    client: String,
    name: String,
    redirects: Vec<String>,
    by: String,
    since: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Applications>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let person = session.member.person.id.clone();
    let own = authorise::<SecurityRead>(&caller, &Facts::new(now, person.as_str()))?;
    let permit = authorise::<ClientRead>(&caller, &Facts::new(now, session.member.organisation.id.as_str()))?;
    let look = move |tx: &mut purser_db::Tx<'_>| Ok::<_, DbError>((connected_of(tx, &own, now)?, clients_list(tx, &permit)?));
    let (connected, registered) = front.core.db.read(look).await?;
    Ok(Page::ok(Applications {
        ctx: PageContext::of(&front, &session, "Applications"),
        organisation: session.member.organisation.name.clone(),
        connected: connected.into_iter().map(connected_view).collect(),
        registered: registered.into_iter().map(registered_view).collect(),
        may_remove: could::<ClientRemove>(&caller),
    }))
}

fn connected_view(one: Connected) -> ConnectedView {
    ConnectedView {
        client: one.client.to_string(),
        name: one.name,
        redirects: if one.redirects.is_empty() { "a program on a machine or device of yours".to_owned() } else { one.redirects.join(", ") },
        knows: one.scope.words().map(in_words).collect(),
        since: one.since.for_people(),
        signed_on: one.signed_on,
    }
}

fn in_words(word: &str) -> String {
    match word {
        "openid" => "who you are here, as a number that stays the same".to_owned(),
        "email" => "your e-mail address".to_owned(),
        "offline_access" => "the same while you are away, for up to thirty days".to_owned(),
        other => other.to_owned(),
    }
}

fn registered_view(listed: Listed) -> RegisteredView {
    let client = listed.client;
    RegisteredView {
        name: client.name().to_owned(),
        redirects: client.metadata.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
        by: listed.registered_by.map_or_else(|| "not kept".to_owned(), |email| email.to_string()),
        since: listed.registered_at.for_people(),
        client: client.id.to_string(),
    }
}

#[derive(Deserialize)]
pub struct Which {
    client: String,
}

/// The person's own consent and sign-ons at one client; nobody else's.
pub async fn end(State(front): State<Front>, signed: SignedForm<Which>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (caller, realm) = (session.caller(), front.realm.clone());
    perform(&front.core, Attempt::new("consent_end", &caller, form.client.as_str()), move |tx| {
        let permit = authorise::<AuthorizationDecide>(&caller, &Facts::new(realm.env.now(), &form.client))?;
        Ok::<_, ManageError>(consent_end(tx, &realm, &permit)?)
    })
    .await?;
    Ok(back())
}

pub async fn remove(State(front): State<Front>, signed: SignedForm<Which>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (caller, realm, gone) = (session.caller(), front.realm.clone(), form.client.clone());
    perform(&front.core, Attempt::new("client_remove", &caller, form.client.as_str()), move |tx| {
        let permit = authorise::<ClientRemove>(&caller, &Facts::new(realm.env.now(), &form.client))?;
        client_remove(tx, &realm, &permit)
    })
    .await?;
    if let Ok(id) = gone.parse() {
        front.clients.forget(&id);
    }
    Ok(back())
}

fn back() -> Response {
    Redirect::to("/applications").into_response()
}
