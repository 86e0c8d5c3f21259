//! What every listener of ours wears: a request id, security headers, a cap on bodies, and a clean answer to a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use purser_values::Env;
use purser_values::id::RequestId;
use purser_values::limits::JSON_BODY_BYTES;
use tracing::Instrument as _;

use crate::around::{Answer, Around, AroundLayer};
use crate::problem::Problem;

/// The header that carries the request id in every response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Asked every few seconds by machines, and worth no line each.
const PROBES: [&str; 4] = ["/health", "/healthz", "/readyz", "/metrics"];

/// The policy of pages without scripts: styles and images of our own, forms that post to us, no frames.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer says unless its route says something else.
const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // not `no-referrer`: browsers would then send `Origin: null` with our own forms too
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The id of the request, for handlers and logs: ours, or the one that a trusted proxy gave it.
#[derive(Clone, Debug)]
pub struct CurrentRequest(pub Arc<str>);

/// An id that an outer layer has decided to take over from a proxy; it must be fit for a log.
#[derive(Clone, Debug)]
pub struct AcceptedRequestId(pub String);

/// Dresses a router. A route that needs a larger body sets its own `DefaultBodyLimit`; a response that brings one of the headers keeps it.
pub fn harden(router: Router, env: Env) -> Router {
    router.layer(AroundLayer(Dress::new(env)))
}

/// All of it as one layer, to be put around others.
#[derive(Clone)]
pub struct Dress {
    env: Env,
    /// What every answer says besides, whatever its route says.
    mark: Option<(HeaderName, HeaderValue)>,
}

impl Dress {
    #[must_use]
    pub const fn new(env: Env) -> Self {
        Self { env, mark: None }
    }

    /// Puts a header on every answer.
    #[must_use]
    pub fn marking(self, mark: Option<(HeaderName, HeaderValue)>) -> Self {
        Self { mark, ..self }
    }
}

impl Around for Dress {
    fn around<F>(&self, mut request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let accepted = request.extensions_mut().remove::<AcceptedRequestId>();
        let id: Arc<str> = accepted.map_or_else(|| RequestId::mint(&self.env).into_text(), |id| id.0.into());
        request.extensions_mut().insert(CurrentRequest(id.clone()));
        DefaultBodyLimit::max(JSON_BODY_BYTES).apply(&mut request);
        let path = request.uri().path();
        let is_probe = PROBES.contains(&path);
        // Every line that is logged while the request is worked on carries its id.
        let span = tracing::info_span!("request", request_id = %id, method = %request.method(), path);
        let (began, mark) = (Instant::now(), self.mark.clone());
        let answer = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| within(request))));
        let dressed = async move {
            let answered = match answer {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            let mut response = dress(answered.unwrap_or_else(|_| broken()), &id, is_probe, began);
            if let Some((name, value)) = mark {
                response.headers_mut().insert(name, value);
            }
            response
        };
        Box::pin(dressed.instrument(span))
    }
}

/// The answer to a request whose handler panicked. What it said is in the log.
fn broken() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed on our side").into_response()
}

fn dress(mut response: Response, id: &str, is_probe: bool, began: Instant) -> Response {
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let mut parts = response.into_parts().0;
        parts.headers.remove(CONTENT_LENGTH);
        response = Response::from_parts(parts, problem.body(Some(id)).into());
        tracing::info!(code = problem.code, status = problem.status.as_u16(), took_ms, "refused");
    } else if is_probe {
        tracing::debug!(status = response.status().as_u16(), took_ms, "answered");
    } else {
        tracing::info!(status = response.status().as_u16(), took_ms, "answered");
    }
    let headers = response.headers_mut();
    headers.reserve(2 + SECURITY_HEADERS.len());
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The id of the request as an extractor.
pub type RequestIdExtension = Extension<CurrentRequest>;

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::routing::{get, post};
    use purser_values::Timestamp;
    use tower::ServiceExt as _;

    async fn ask(request: http::Request<Body>) -> (http::response::Parts, serde_json::Value) {
        async fn boom() {
            panic!("secret-in-a-panic")
        }
        let router = Router::new()
            .route("/json", post(|crate::extract::Json(v): crate::extract::Json<Vec<u32>>| async move { axum::Json(v) }))
            .route("/boom", get(boom))
            .route("/cached", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "x") }));
        let response = harden(router, Env::test(Timestamp::EPOCH, 1).0).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn json_post(body: impl Into<Body>) -> http::Request<Body> {
        http::Request::post("/json").header("content-type", "application/json").body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_carries_the_request_id_of_its_response() {
        let (parts, body) = ask(json_post("[1,")).await;
        assert_eq!(parts.status, StatusCode::BAD_REQUEST);
        assert_eq!(parts.headers.get_all("content-type").iter().collect::<Vec<_>>(), ["application/problem+json"]);
        assert_eq!(body["request_id"], parts.headers[REQUEST_ID].to_str().unwrap());
        assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some("invalid_body"), Some(400)));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_413_with_and_without_a_length() {
        let big = vec![b' '; JSON_BODY_BYTES + 1];
        let (parts, body) = ask(json_post(big.clone())).await;
        assert_eq!((parts.status, body["code"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("body_too_large")));
        let mut declared = json_post(big);
        declared.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(JSON_BODY_BYTES + 1));
        assert_eq!(ask(declared).await.0.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_panic_is_a_clean_500_without_its_text() {
        let (parts, body) = ask(http::Request::get("/boom").body(Body::empty()).unwrap()).await;
        assert_eq!(parts.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret-in-a-panic"));
    }

    #[tokio::test]
    async fn every_response_has_security_headers_and_a_route_may_choose_its_own() {
        let (parts, _) = ask(http::Request::get("/nowhere").body(Body::empty()).unwrap()).await;
        assert!(parts.headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'none'"));
        assert_eq!(parts.headers[CACHE_CONTROL], "no-store");
        assert_eq!(ask(http::Request::get("/cached").body(Body::empty()).unwrap()).await.0.headers[CACHE_CONTROL], "max-age=60");
    }

    #[tokio::test]
    async fn another_content_type_is_refused() {
        let form = http::Request::post("/json").header("content-type", "text/plain").body(Body::from("[]")).unwrap();
        assert_eq!(ask(form).await.0.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
