//! The envelope of every answer of the Cloudflare-compatible API, and its refusals.
//!
//! Clients read `success` and the numeric code of the first error and branch on both; the HTTP status is for everybody else.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use purser_db::DbError;
use serde_json::{Value, json};
use slipway_stores::StoreError;
use slipway_stores::error::Kind as StoreKind;
use slipway_workers::WorkersError;
use slipway_workers::error::Kind;

use crate::abuse::judge::Refused;

/// What a handler answers.
pub type Answer = Result<Response, Failure>;

/// A refusal with the code that clients branch on.
#[derive(Debug)]
pub struct Failure {
    pub status: StatusCode,
    pub code: u32,
    pub message: String,
    /// In how many seconds the same request may work; clients then try again by themselves.
    pub retry_after: Option<u32>,
}

impl Failure {
    #[must_use]
    pub fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// No or no known token.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, 10_000, "Authentication error: the token is missing, unknown or revoked")
    }

    /// The token is known and was stopped.
    #[must_use]
    pub fn stopped() -> Self {
        Self::new(StatusCode::FORBIDDEN, 10_000, "Authentication error: the token is disabled; the person it acts for can enable it")
    }

    /// More calls than the token or its account has; the official clients wait and try again.
    #[must_use]
    pub fn too_fast(retry_after_s: u32) -> Self {
        let said = "More requests than the limit were reached. Please wait and consider throttling your request speed";
        Self { retry_after: Some(retry_after_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, 971, said) }
    }

    /// More was used than is included and set aside.
    #[must_use]
    pub fn used_up() -> Self {
        let said = "the account has used all that is included and set aside for its use; raise the limit where you manage your agents";
        Self::new(StatusCode::PAYMENT_REQUIRED, 10_402, said)
    }

    /// The token belongs to another account.
    #[must_use]
    pub fn foreign() -> Self {
        Self::new(StatusCode::FORBIDDEN, 10_000, "Authentication error: the token does not belong to this account")
    }

    /// The token may not do this.
    #[must_use]
    pub fn unauthorised(permission: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            9_109,
            format!("Unauthorized to access requested resource: the token lacks the permission `{permission}`"),
        )
    }

    /// Unknown paths and ids that are none. Never used for something that merely does not exist.
    #[must_use]
    pub fn no_route(path: &str) -> Self {
        let shown = purser_wire::text::excerpt(path, 200);
        Self::new(StatusCode::NOT_FOUND, 7_003, format!("Could not route to {shown}, perhaps your object identifier is invalid?"))
    }

    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 10_021, message)
    }

    /// A body that is not what the route takes.
    #[must_use]
    pub fn body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 10_001, message)
    }

    #[must_use]
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, 10_027, "the request body is larger than the limit")
    }

    #[must_use]
    pub fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, 10_001, "the request body did not arrive in time")
    }

    /// A failure of our own; the cause goes to the log.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "an API call failed on our side");
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, 10_013, "the request could not be carried out; try again in a moment")
        }
    }
}

impl From<DbError> for Failure {
    fn from(e: DbError) -> Self {
        Self::internal(&e)
    }
}

impl From<Refused> for Failure {
    fn from(e: Refused) -> Self {
        match e {
            Refused::Blocked(_) | Refused::Held { .. } | Refused::TooFast { .. } => Self::new(StatusCode::FORBIDDEN, 10_021, e.to_string()),
            Refused::Unjudged(_) => Self::internal(&e),
            Refused::Store(e) => Self::internal(&e),
        }
    }
}

impl From<WorkersError> for Failure {
    fn from(e: WorkersError) -> Self {
        let status = match e.kind() {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Unauthorised => StatusCode::UNAUTHORIZED,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::Internal => return Self::internal(&e),
        };
        Self::new(status, e.code(), e.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        let status = match e.kind() {
            StoreKind::NotFound => StatusCode::NOT_FOUND,
            StoreKind::Invalid => StatusCode::BAD_REQUEST,
            StoreKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            StoreKind::Conflict => StatusCode::CONFLICT,
            StoreKind::Precondition => StatusCode::PRECONDITION_FAILED,
            StoreKind::Range => StatusCode::RANGE_NOT_SATISFIABLE,
            StoreKind::Forbidden => StatusCode::FORBIDDEN,
            StoreKind::Internal => return Self::internal(&e),
        };
        Self::new(status, e.code(), e.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::debug!(code = self.code, status = self.status.as_u16(), "refused");
        let body = json!({
            "success": false, "errors": [{"code": self.code, "message": self.message}], "messages": [], "result": null,
        });
        let mut response = reply(self.status, &body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from(seconds));
        }
        response
    }
}

/// A success.
#[must_use]
pub fn ok(result: &Value) -> Response {
    reply(StatusCode::OK, &json!({"success": true, "errors": [], "messages": [], "result": result}))
}

/// An answer without an envelope, where the contract has none.
#[must_use]
pub fn plain(body: &Value) -> Response {
    reply(StatusCode::OK, body)
}

/// One page of a list; past the end it is empty, or clients would ask for ever.
#[must_use]
pub fn page(items: &[Value], page: Page) -> Response {
    let (total, per_page) = (items.len(), page.per_page);
    let shown: Vec<&Value> = items.iter().skip(page.number.saturating_sub(1).saturating_mul(per_page)).take(per_page).collect();
    let info = json!({
        "page": page.number, "per_page": per_page, "count": shown.len(), "total_count": total, "total_pages": total.div_ceil(per_page),
    });
    reply(StatusCode::OK, &json!({"success": true, "errors": [], "messages": [], "result": shown, "result_info": info}))
}

/// Part of a list that is told by cursor; on the last part there is none.
#[must_use]
pub fn by_cursor(items: &[Value], next: Option<&str>) -> Response {
    let info = json!({"count": items.len(), "cursor": next.unwrap_or_default()});
    reply(StatusCode::OK, &json!({"success": true, "errors": [], "messages": [], "result": items, "result_info": info}))
}

/// One page of a list that is continued by a cursor; `None` where nothing follows.
#[must_use]
pub fn after(items: &[Value], next: Option<&str>) -> Response {
    let info = json!({"count": items.len(), "cursors": {"after": next.unwrap_or_default()}});
    reply(StatusCode::OK, &json!({"success": true, "errors": [], "messages": [], "result": items, "result_info": info}))
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub number: usize,
    pub per_page: usize,
}

/// Entries on a page when the client does not say.
const PER_PAGE: usize = 20;
/// Most entries on a page.
const PER_PAGE_MOST: usize = 1_000;

impl Page {
    /// Reads `page` and `per_page` of a query string; what is no number counts as absent.
    #[must_use]
    pub fn of(query: Option<&str>) -> Self {
        let find = |name: &str| super::query(query, name).and_then(|v| v.parse::<usize>().ok());
        Self { number: find("page").unwrap_or(1).max(1), per_page: find("per_page").unwrap_or(PER_PAGE).clamp(1, PER_PAGE_MOST) }
    }
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_end_a_list_is_empty() {
        let items: Vec<Value> = (0..45).map(|i| json!(i)).collect();
        for (query, first, count) in
            [("page=1", json!(0), 20), ("page=3", json!(40), 5), ("page=4", json!(null), 0), ("page=9999999999999", json!(null), 0)]
        {
            let response = page(&items, Page::of(Some(query)));
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["result"][0], body["result"].as_array().unwrap().len()), (&first, count), "{query}");
            assert_eq!(body["result_info"]["total_count"], 45);
        }
    }
}
