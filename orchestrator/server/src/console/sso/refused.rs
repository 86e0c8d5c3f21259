//! `/sign-in/sso/{name}/refused`: why somebody who came back from their company was not let in.
//!
//! The callback's address holds a code and a state, so the refusal is shown at another one. It goes there in a cookie of a minute that
//! only we can set on https; it holds our own words and nothing of the company's.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::HeaderMap;
use purser_crypto::encoding;
use purser_identity::sso::{Connection, SsoError};
use purser_values::name::ConnectionName;
use serde::{Deserialize, Serialize};

use crate::console::failure::{Kept, PageError, Refusal};
use crate::console::form::{self, open_token};
use crate::console::page::{Page, PageContext};
use crate::console::prose::Part;
use crate::console::sign_in::put;
use crate::console::{cookie, next};
use crate::front::Front;
use crate::ops::metrics::RefusedCode;

/// Refusals of one account at a company, where the same person may have another one.
const ANOTHER_WOULD_DO: [&str; 4] = ["sso_not_admitted", "sso_email_unverified", "sso_domain_refused", "sso_other_account"];
/// How long a refusal waits for its page, in seconds.
const LIFE_S: i64 = 60;
/// Longest refusal that is kept, in bytes; browsers keep four thousand in a cookie.
const KEPT_BYTES: usize = 2_400;

#[derive(Template)]
#[template(path = "sso_refused.html")]
struct RefusedPage {
    ctx: PageContext,
    label: String,
    name: String,
    text: Vec<Part>,
    hint: Vec<Part>,
    code: String,
    next: String,
    /// The company's own page for signing out.
    sign_out: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    refusal: Kept,
    next: String,
}

/// Sends the browser on to the page that says it. What does not fit into a cookie is shown where the browser is.
pub fn leave(front: &Front, connection: &Connection, on: &str, refusal: Refusal) -> Response {
    let waiting = serde_json::to_vec(&Waiting { refusal: refusal.kept(), next: on.to_owned() }).unwrap_or_default();
    if waiting.is_empty() || waiting.len() > KEPT_BYTES {
        return PageError::Refused(refusal).into_response();
    }
    let mut response = Redirect::to(&format!("/sign-in/sso/{}/refused", connection.name)).into_response();
    put(&mut response, cookie::set(front, cookie::REFUSED, &encoding::b64url(&waiting), LIFE_S));
    response
}

pub async fn get(State(front): State<Front>, Path(name): Path<ConnectionName>, headers: HeaderMap) -> Result<Response, PageError> {
    let connection = front.realm.sso.find(&name).cloned().ok_or(SsoError::Unknown)?;
    let waiting = waiting(&front, &headers).ok_or(SsoError::Over)?;
    let refusal = Refusal::from(waiting.refusal);
    if !ANOTHER_WOULD_DO.contains(&refusal.code()) {
        return Err(PageError::Refused(refusal));
    }
    Ok(another(&front, &headers, &connection, next::safe(Some(&waiting.next)), &refusal).await)
}

fn waiting(front: &Front, headers: &HeaderMap) -> Option<Waiting> {
    let kept = cookie::read(front, headers, cookie::REFUSED)?;
    serde_json::from_slice(&encoding::b64url_decode(kept.expose())?).ok()
}

/// The page for somebody who came with an account that does not do: with another one they may come in. Without it, the company
/// would bring them back with the same account at once.
async fn another(front: &Front, headers: &HeaderMap, connection: &Connection, on: &str, refusal: &Refusal) -> Response {
    let (mine, set) = form::browser(front, headers);
    let mut ctx = PageContext::anonymous(front, "Not signed in");
    ctx.csrf = open_token(front, &mine);
    let sign_out = front.sso.sign_out_url(&front.realm, connection).await.map(String::from);
    let ((text, hint), label, name) = (refusal.words(), connection.label.clone(), connection.name.to_string());
    let page = RefusedPage { ctx, label, name, text, hint, code: refusal.code().to_owned(), next: on.to_owned(), sign_out };
    let mut response = Page(refusal.status(), page).into_response();
    put(&mut response, set);
    response.extensions_mut().insert(RefusedCode(refusal.code().to_owned()));
    response
}
