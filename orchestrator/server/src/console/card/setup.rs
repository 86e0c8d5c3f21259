//! The way to the rail's page and back.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_provisioning::payment_setup::{setup_begin, setup_settle};
use purser_spend::method::setup;
use purser_values::id::PaymentSetupId;

use super::{Nothing, to_card};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::page::{Page, PageContext};
use crate::console::session::SignedIn;
use crate::front::Front;

/// The link to the rail's page: a person sees where they go.
#[derive(Template)]
#[template(path = "card_setup.html")]
pub struct Leave {
    ctx: PageContext,
    url: String,
    host: String,
}

/// Opens the rail's page. The sandbox's is one of ours; to all others the person goes by a link.
pub async fn begin(State(front): State<Front>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let session = signed.session;
    let organisation = session.member.organisation.id.clone();
    let back = |id: &PaymentSetupId| front.realm.url(&format!("/card/set-up/{id}"));
    let page = setup_begin(&front.core, &front.rails, &session.caller(), &organisation, back).await?;
    if let Some(path) = page.url.strip_prefix(&*front.realm.issuer).filter(|path| path.starts_with('/')) {
        return Ok(Redirect::to(path).into_response());
    }
    let host = url::Url::parse(&page.url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    Ok(Page::ok(Leave { ctx: PageContext::of(&front, &session, "Put a card on file"), url: page.url, host }).into_response())
}

/// The person comes back. Whether they did it, the rail says.
pub async fn back(State(front): State<Front>, Path(id): Path<String>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let id: PaymentSetupId = id.parse().map_err(|_| PageError::not_found())?;
    let of = id.clone();
    let found = front.core.db.read(move |tx| setup::find(tx, &of)).await?;
    if found.is_none_or(|found| found.organisation != session.member.organisation.id) {
        return Err(PageError::not_found());
    }
    setup_settle(&front.core, &front.rails, &id).await?;
    Ok(to_card())
}
