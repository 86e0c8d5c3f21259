//! `/security/undo`: a mailed link that undoes a change to who can get in. Looking at it changes nothing, because programs that
//! scan mail open links.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use purser_authority::{Attempt, Caller};
use purser_http::extract::Query;
use purser_identity::{Undoable, security_link_of, security_undo};
use purser_provisioning::perform;
use purser_values::Secret;
use serde::Deserialize;

use crate::console::failure::PageError;
use crate::console::form::{OpenForm, browser, open_token};
use crate::console::mailed::Mailed;
use crate::console::page::{Page, PageContext};
use crate::front::Front;

#[derive(Deserialize)]
pub struct Link {
    token: Secret<String>,
}

#[derive(Template)]
#[template(path = "undo.html")]
struct Undo {
    ctx: PageContext,
    token: String,
    /// The old and the new address; absent for a recovery.
    addresses: Option<(String, String)>,
    done: bool,
}

pub async fn undo_get(State(front): State<Front>, Query(link): Query<Mailed>, headers: HeaderMap) -> Result<Response, PageError> {
    let (token, now) = (link.token(), front.realm.env.now());
    let look = token.clone();
    let (_, what) = front.core.db.read(move |tx| security_link_of(tx, now, look.expose())).await?;
    let (browser, set) = browser(&front, &headers);
    let mut ctx = PageContext::anonymous(&front, "Put it right");
    ctx.csrf = open_token(&front, &browser);
    let page = Undo { ctx, token: token.expose().clone(), addresses: addresses(what), done: false };
    let mut response = Page::ok(page).into_response();
    if let Some(cookie) = set {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub async fn undo_post(State(front): State<Front>, OpenForm(link): OpenForm<Link>) -> Result<Response, PageError> {
    let realm = front.realm.clone();
    let attempt = Attempt::new("security_undo", &Caller::Anonymous, "mailed link");
    let undone = perform(&front.core, attempt, move |tx| security_undo(tx, &realm, link.token.expose())).await?;
    let ctx = PageContext::anonymous(&front, "Put right");
    Ok(Page::ok(Undo { ctx, token: String::new(), addresses: addresses(undone.what), done: true }).into_response())
}

fn addresses(what: Undoable) -> Option<(String, String)> {
    match what {
        Undoable::EmailChange { old, new, .. } => Some((old.to_string(), new.to_string())),
        Undoable::Recovery => None,
    }
}
