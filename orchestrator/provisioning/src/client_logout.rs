//! Telling a client that its person signed out (OpenID Connect Back-Channel Logout 1.0, 2.5).
//!
//! The address is the client's own, so it is only reached through the guarded fetcher. The token is made anew for each try.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use purser_db::jobs::{Handler, Job, JobFailure};
use purser_http::{FetchError, Fetcher};
use purser_identity::Realm;
use purser_identity::authorization::sign_on::LogoutJob;
use purser_identity::token::logout_token;

use crate::notice;

/// Tries before a client that does not listen is left alone.
const TRIES: i64 = 8;

/// What runs [`purser_identity::authorization::sign_on::LOGOUT_JOB`].
#[must_use]
pub fn handler(realm: Realm, fetcher: Fetcher) -> Handler {
    Arc::new(move |job: Job| {
        let (realm, fetcher) = (realm.clone(), fetcher.clone());
        Box::pin(async move {
            let told: LogoutJob = serde_json::from_value(job.payload).map_err(|_| notice::unreadable())?;
            tell(&realm, &fetcher, &told).await
        })
    })
}

/// One try. A client that may not be reached is given up at once.
async fn tell(realm: &Realm, fetcher: &Fetcher, told: &LogoutJob) -> Result<(), JobFailure> {
    let token = logout_token(realm, told).map_err(|e| JobFailure::Park { why: e.to_string() })?;
    // The token is base64url with full stops: nothing in it needs encoding.
    let body = Bytes::from(format!("logout_token={token}"));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
    let again = |why: String| JobFailure::Again { why, limit: Some(TRIES) };
    match fetcher.post(&told.uri, headers, body).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(again(format!("the client answered {}", answer.status.as_u16()))),
        Err(e @ FetchError::Forbidden { .. }) => Err(JobFailure::Park { why: e.to_string() }),
        Err(e) => Err(again(e.to_string())),
    }
}
