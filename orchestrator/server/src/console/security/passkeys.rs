//! `/security/passkeys`: adding and removing.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use purser_authority::action::{PasskeyAdd, PasskeyRemove};
use purser_authority::{Attempt, Facts, authorise};
use purser_identity::passkey::{self, AttestationAnswer, PasskeyError, creation_options};
use purser_provisioning::perform;
use purser_values::id::PasskeyId;
use serde::Deserialize;

use super::{Nothing, back};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::page::{Page, PageContext};
use crate::console::script;
use crate::console::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "passkey.html")]
struct NewPasskey {
    ctx: PageContext,
    options: String,
}

/// The page that asks for a new passkey; it waits for a step-up, so that no answer of an authenticator is lost to one.
pub async fn passkey_new(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let permit = authorise::<PasskeyAdd>(&session.caller(), &Facts::new(front.realm.env.now(), session.member.person.id.as_str()))?;
    let (realm, of) = (front.realm.clone(), session.clone());
    let options = front.core.db.read(move |tx| creation_options(tx, &realm, &permit, &of)).await?.to_string();
    let page = NewPasskey { ctx: PageContext::of(&front, &session, "Add a passkey"), options };
    Ok(script::allow(&front, Page::ok(page).into_response()))
}

#[derive(Deserialize)]
pub struct Add {
    name: String,
    answer: String,
}

pub async fn passkey_add(State(front): State<Front>, signed: SignedForm<Add>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let answer: AttestationAnswer = form.answer.parse().map_err(PasskeyError::from)?;
    let realm = front.realm.clone();
    let attempt = Attempt::new("passkey_add", &session.caller(), session.member.person.id.as_str());
    perform(&front.core, attempt, move |tx| {
        let facts = Facts::new(realm.env.now(), session.member.person.id.as_str());
        let permit = authorise::<PasskeyAdd>(&session.caller(), &facts)?;
        passkey::passkey_add(tx, &realm, permit, &session, &form.name, &answer)
    })
    .await?;
    Ok(back())
}

pub async fn passkey_remove(
    State(front): State<Front>,
    Path(id): Path<String>,
    signed: SignedForm<Nothing>,
) -> Result<Response, PageError> {
    let id: PasskeyId = id.parse().map_err(|_| PageError::not_found())?;
    let (session, realm) = (signed.session, front.realm.clone());
    perform(&front.core, Attempt::new("passkey_remove", &session.caller(), id.as_str()), move |tx| {
        let permit = authorise::<PasskeyRemove>(&session.caller(), &Facts::new(realm.env.now(), id.as_str()))?;
        passkey::passkey_remove(tx, &realm, permit, &session)
    })
    .await?;
    Ok(back())
}
