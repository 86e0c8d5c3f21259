//! The signed-in person of a request.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use purser_db::DbError;
use slipway_accounts::session::{Session, session_of};

use super::cookie;
use super::failure::PageError;
use crate::cloud::{Cloud, Shared};

/// The session of a page that is looked at. Without one, the browser is sent to sign in and comes back to the same page.
#[derive(Debug)]
pub struct SignedIn(pub Session);

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = PageError;
    async fn from_request_parts(parts: &mut Parts, cloud: &Shared) -> Result<Self, PageError> {
        let found = find(cloud, &parts.headers).await?;
        found.map(Self).ok_or_else(|| PageError::SignIn { next: path(parts) })
    }
}

/// The same with a sign-in of the last minutes, for pages on which access is given or taken.
#[derive(Debug)]
pub struct RecentlySignedIn(pub Session);

impl FromRequestParts<Shared> for RecentlySignedIn {
    type Rejection = PageError;
    async fn from_request_parts(parts: &mut Parts, cloud: &Shared) -> Result<Self, PageError> {
        let found = find(cloud, &parts.headers).await?.filter(|session| session.is_recent(cloud.env.now()));
        found.map(Self).ok_or_else(|| PageError::SignIn { next: path(parts) })
    }
}

fn path(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or_else(|| "/connections".to_owned(), ToString::to_string)
}

/// The session of a request, if there is one.
pub async fn find(cloud: &Cloud, headers: &HeaderMap) -> Result<Option<Session>, DbError> {
    let Some(value) = cookie::read(cloud, headers, cookie::SESSION) else { return Ok(None) };
    let now = cloud.env.now();
    cloud.db.read(move |tx| session_of(tx, now, value.expose())).await
}
