//! What is at no address of ours: a page for a browser, a problem document for a program.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use purser_http::Problem;

use crate::console::{PageError, failure};
use crate::front::Front;

/// The last router to be merged: it answers what no other one does.
pub fn router(front: Front) -> Router {
    Router::new().fallback(nothing_here).layer(from_fn_with_state(front, failure::render))
}

/// A known address, asked in a way that it does not know: the address of a form, opened by itself. The layer of the pages makes a page
/// of it for a browser.
pub async fn method(method: Method) -> Problem {
    let said = format!("`{method}` is not possible here");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", said)
        .hint("if you came from a page, go back to it; the header `allow` names what is possible")
}

async fn nothing_here(request: Request) -> Response {
    if failure::accepts_pages(request.headers()) {
        return PageError::not_found().hint("the address is mistyped, or what was there is gone").into_response();
    }
    Problem::not_found().into_response()
}
