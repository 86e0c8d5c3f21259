//! The signed-in person as an extractor.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method};
use purser_db::DbError;
use purser_identity::session::{Session, session_of};

use super::cookie;
use super::failure::PageError;
use crate::front::Front;

/// The session of the request. Without one, the browser is sent to sign in and comes back to the same page.
#[derive(Debug)]
pub struct SignedIn(pub Session);

impl FromRequestParts<Front> for SignedIn {
    type Rejection = PageError;
    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, PageError> {
        match find(front, &parts.headers).await? {
            Some(session) => Ok(Self(session)),
            // a form that was sent cannot be sent again after sign-in: the person starts from the front
            None if parts.method != Method::GET => Err(PageError::SignIn { next: "/".to_owned() }),
            None => Err(PageError::SignIn { next: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string) }),
        }
    }
}

/// The session of a request, if there is one.
pub async fn find(front: &Front, headers: &HeaderMap) -> Result<Option<Session>, DbError> {
    let Some(value) = cookie::read(front, headers, cookie::SESSION) else { return Ok(None) };
    let realm = front.realm.clone();
    front.core.db.read(move |tx| session_of(tx, &realm, value.expose())).await
}
