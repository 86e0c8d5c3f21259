//! Products of the API's family that slipway does not have: refused with a sentence, so that nobody searches for a mistake of their own.
//! What is no route at all stays 7003.

use axum::extract::OriginalUri;
use http::StatusCode;

use super::envelope::Failure;

/// Below an account: the beginning of the path, and what its users call it.
const PRODUCTS: &[(&str, &str)] = &[
    ("ai-gateway/", "AI Gateway"),
    ("ai-search/", "AI Search"),
    ("ai/", "Workers AI"),
    ("browser-rendering/", "Browser Rendering"),
    ("builds/", "Workers Builds"),
    ("cloudchamber/", "Containers"),
    ("containers/", "Containers"),
    ("email/", "Email"),
    ("event_notifications/", "Event notifications"),
    ("event_subscriptions/", "Event subscriptions"),
    ("hyperdrive/", "Hyperdrive"),
    ("images/", "Images"),
    ("logpush/", "Logpush"),
    ("mtls_certificates", "mTLS certificates"),
    ("pages/", "Pages"),
    ("pipelines/", "Pipelines"),
    ("secrets_store/", "the Secrets Store"),
    ("stream", "Stream"),
    ("vectorize/", "Vectorize"),
    ("workers/dispatch/", "Workers for Platforms"),
    ("workers/observability/", "Workers Observability"),
    ("workflows", "Workflows"),
];

/// What buckets have elsewhere: the beginning of the path below a bucket, and what its users call it.
const OF_BUCKETS: &[(&str, &str)] = &[
    ("cors", "Rules for other origins (CORS) of buckets"),
    ("domains", "Public addresses of buckets"),
    ("lifecycle", "Lifecycle rules of buckets"),
    ("lock", "Locks of buckets"),
    ("sippy", "Migration from other providers"),
];

/// What answers where no route is.
pub async fn unknown(OriginalUri(uri): OriginalUri) -> Failure {
    let path = uri.path();
    let below = path.split_once("/accounts/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest).unwrap_or_default();
    if let Some((_, below)) = below.strip_prefix("r2/buckets/").and_then(|rest| rest.split_once('/')) {
        let named = below.split('/').next().unwrap_or_default();
        if let Some((_, what)) = OF_BUCKETS.iter().find(|(name, _)| *name == named) {
            return Failure::new(StatusCode::NOT_FOUND, 10_021, format!("{what} cannot be had on this host; do without"));
        }
    }
    match PRODUCTS.iter().find(|(begin, _)| below.starts_with(begin) || below == begin.trim_end_matches('/')) {
        Some((_, product)) => Failure::new(StatusCode::NOT_FOUND, 10_021, format!("{product} cannot be had on this host; do without")),
        None => Failure::no_route(path),
    }
}

/// Accounts without a person: off, and nothing turns it on. Every account here is opened for somebody whom an orchestrator attests.
pub async fn temporary() -> Failure {
    let said = "there are no temporary accounts on this host; ask the orchestrator that acts for your person for an account and a token";
    Failure::new(StatusCode::FORBIDDEN, 10_021, said)
}
