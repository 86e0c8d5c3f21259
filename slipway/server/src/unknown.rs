//! What is at no address of slipway's: a page for a browser, a problem document for a program. The Cloudflare-compatible API answers
//! for its own part.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use purser_http::Problem;

use crate::cloud::Shared;
use crate::pages::{PageError, render};

/// The last router to be merged: it answers what no other one does.
pub fn router(cloud: Shared) -> Router {
    Router::new().fallback(nothing_here).layer(from_fn_with_state(cloud, render))
}

/// A known address, asked in a way that it does not know: on the pages, the address of a form that was opened by itself.
pub async fn method(request: Request) -> Response {
    let text = format!("`{}` is not possible here", request.method());
    if accepts_pages(request.headers()) {
        return PageError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text).into_response();
    }
    method_of_a_program(request).await.into_response()
}

/// The same where no page is.
pub async fn method_of_a_program(request: Request) -> Problem {
    let text = format!("`{}` is not possible here", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text).hint("the header `allow` names what is")
}

async fn nothing_here(request: Request) -> Response {
    if accepts_pages(request.headers()) {
        let text = "there is nothing at this address: it is mistyped, or what was there is gone";
        return PageError::new(StatusCode::NOT_FOUND, "not_found", text).into_response();
    }
    Problem::not_found().into_response()
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|kinds| kinds.contains("text/html"))
}
