//! What was begun is done: a client that hangs up ends its wait and not its call.
//!
//! A handler is a future, and the server drops it when its client goes away: between a commit and what must follow it (the process that runs
//! the code, the name server that answers for the zone, the books) everything would be left as it was, and the store would say otherwise.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

/// Runs calls that may change something in a task of their own.
pub async fn run(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        // told as if it had run here
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(e) => {
                tracing::error!(error = %e, "a call was given up");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        },
    }
}
