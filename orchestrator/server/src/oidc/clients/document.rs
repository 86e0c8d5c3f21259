//! Fetching the document of a client that is named by its URL.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use purser_http::{FetchLimits, Fetched};
use purser_identity::client::document::{
    self, DOCUMENT_BYTES, DOCUMENT_FAILURE_S, DOCUMENT_LIFE_MAX_S, DOCUMENT_LIFE_MIN_S, DOCUMENT_TIMEOUT_MS, DocumentError,
};
use purser_identity::client::{Client, ClientId};
use purser_values::Timestamp;
use url::Url;

use super::Clients;

/// How long a document is used that does not say, in seconds.
const LIFE_S: i64 = 300;

impl Clients {
    /// The client at a URL. A failure stands for a moment too, so that nobody has us knock at somebody else's door without end.
    pub(super) async fn document(&self, now: Timestamp, id: &ClientId) -> Result<Arc<Client>, DocumentError> {
        let plain_http = self.0.rules.sandbox;
        let url = document::address(id, |url| plain_http && self.0.fetcher.trusts(url))?;
        if let Some(known) = self.0.documents.get(id, now) {
            return known;
        }
        let (found, life_s) = match self.fetch_document(&url).await {
            Ok(fetched) => (document::read(id, &fetched.body, plain_http).map(Arc::new), life_of(&fetched.headers)),
            Err(e) => (Err(e), DOCUMENT_FAILURE_S),
        };
        let life_s = if found.is_err() { DOCUMENT_FAILURE_S } else { life_s };
        self.0.documents.put(id.clone(), found.clone(), now, now.plus_secs(life_s));
        found
    }

    /// What is shown of a failure does not tell one unreachable address from another: the log knows more.
    async fn fetch_document(&self, url: &Url) -> Result<Fetched, DocumentError> {
        let unreadable = |why: &str| DocumentError::Unreadable(why.to_owned());
        let fetched = self.guarded(url, DOCUMENT_BYTES).await.ok_or_else(|| unreadable("it cannot be fetched"))?;
        if fetched.status != StatusCode::OK {
            return Err(unreadable("it is not there, or somewhere else"));
        }
        let content = fetched.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let essence = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
        if json { Ok(fetched) } else { Err(unreadable("it is not JSON")) }
    }

    /// One fetch from a stranger's address, with few at a time.
    pub(super) async fn guarded(&self, url: &Url, body_bytes: usize) -> Option<Fetched> {
        let timeout = Duration::from_millis(DOCUMENT_TIMEOUT_MS);
        let place = tokio::time::timeout(timeout, self.0.fetches.acquire()).await.ok()?.ok()?;
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        let limits = FetchLimits { timeout, body_bytes };
        let fetched = self.0.fetcher.send(Method::GET, url, headers, Bytes::new(), limits).await;
        drop(place);
        fetched.inspect_err(|e| tracing::info!(error = %e, "a client's address cannot be fetched")).ok()
    }
}

/// The life that the document's server gives it, within our bounds.
fn life_of(headers: &HeaderMap) -> i64 {
    let control = headers.get(header::CACHE_CONTROL).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let mut directives = control.split(',').map(str::trim);
    if directives.clone().any(|d| d == "no-store" || d == "no-cache") {
        return DOCUMENT_LIFE_MIN_S;
    }
    let age = directives.find_map(|d| d.strip_prefix("max-age=")?.parse::<i64>().ok());
    age.unwrap_or(LIFE_S).clamp(DOCUMENT_LIFE_MIN_S, DOCUMENT_LIFE_MAX_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_as_long_as_its_server_says_within_bounds() {
        let life = |text: &'static str| life_of(&HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(text))]));
        assert_eq!((life("max-age=600"), life("public, max-age=1"), life("max-age=999999")), (600, 60, 3_600));
        assert_eq!((life("no-store"), life("max-age=soon"), life_of(&HeaderMap::new())), (60, 300, 300));
    }
}
