//! The authority is spoken to through the guarded fetcher, like everybody whose addresses somebody else names: every link in its
//! directory is its own word.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use purser_http::{FetchLimits, Fetcher};
use purser_values::Env;
use url::Url;

use crate::limits;

pub struct Transport {
    pub fetcher: Fetcher,
    pub env: Env,
    /// Told when the authority asks to be left alone for a while.
    pub quiet_until: Arc<AtomicI64>,
}

impl HttpClient for Transport {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (fetcher, env, quiet_until) = (self.fetcher.clone(), self.env.clone(), self.quiet_until.clone());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = Url::parse(&parts.uri.to_string()).map_err(|e| Error::Other(Box::new(e)))?;
            let body = body.collect().await.map_err(|e| Error::Other(Box::new(e)))?.to_bytes();
            let limits = FetchLimits { timeout: limits::AUTHORITY_ANSWERS, ..FetchLimits::default() };
            let fetched = fetcher.send(parts.method, &url, parts.headers, body, limits).await.map_err(|e| Error::Other(Box::new(e)))?;
            let seconds = fetched.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<i64>().ok());
            if matches!(fetched.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                let quiet = seconds.unwrap_or(limits::AUTHORITY_QUIET_S).clamp(1, limits::AUTHORITY_QUIET_MOST_S);
                quiet_until.fetch_max(env.now().plus_secs(quiet).as_micros(), Ordering::Relaxed);
            }
            let mut response = Response::new(Full::new(fetched.body));
            *response.status_mut() = fetched.status;
            *response.headers_mut() = fetched.headers;
            Ok(BytesResponse::from(response))
        })
    }
}
