//! What follows when somebody signs out: whoever came through a company is still signed in there, and may sign out there too.

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use purser_authority::Attempt;
use purser_db::DbError;
use purser_identity::session::{Session, session_end};
use purser_provisioning::perform;

use super::page::{Page, PageContext};
use crate::front::Front;

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage {
    ctx: PageContext,
    company: Option<Company>,
}

/// The company through which somebody came, and its own page for signing out.
pub struct Company {
    label: String,
    to: String,
}

/// Ends the session. Answers where its person can sign out besides, if they came through a company that has such a page.
///
/// # Errors
/// When the store fails.
pub async fn end(front: &Front, session: Session) -> Result<Option<Company>, DbError> {
    let connection = session.sso.as_ref().and_then(|facts| front.realm.sso.find(&facts.connection)).cloned();
    let env = front.realm.env.clone();
    let attempt = Attempt::new("session_end", &session.caller(), session.id.as_str());
    perform::<_, DbError, _>(&front.core, attempt, move |tx| session_end(tx, &env, &session)).await?;
    let Some(connection) = connection else { return Ok(None) };
    let to = front.sso.sign_out_url(&front.realm, &connection).await;
    Ok(to.map(|to| Company { label: connection.label, to: to.into() }))
}

pub fn page(front: &Front, company: Option<Company>) -> Response {
    Page::ok(SignedOutPage { ctx: PageContext::anonymous(front, "Signed out"), company }).into_response()
}
