//! What a Worker's D1 binding asks over the bindings socket (cloud-api.md 4.2).

use http::{HeaderValue, Method, Request, Response, StatusCode};
use purser_values::id::CloudAccountId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{Form, Query};
use super::run::Bounds;
use crate::body::{Body, Incoming, full};
use crate::error::{Kind, StoreError};
use crate::limits;
use crate::query::find;
use crate::stores::Stores;

const BOOKMARK: &str = "x-cf-d1-session-commit-token";
/// Largest batch, as JSON, in bytes.
const BATCH_BYTES: usize = 4 * limits::D1_RESULT_BYTES;

#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    One(Query),
    Several(Vec<Query>),
}

/// Answers one request of a Worker of this account.
pub async fn answer(stores: &Stores, account: &CloudAccountId, database: &str, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if parts.method != Method::POST || !matches!(path, "/query" | "/execute") {
        return said(StatusCode::NOT_FOUND, &json!({"success": false, "error": "a binding has no such call"}));
    }
    let form = match find(parts.uri.query(), "resultsFormat").as_deref() {
        Some("ROWS_AND_COLUMNS") => Form::Columns,
        Some("NONE") => Form::Nothing,
        _ => Form::Objects,
    };
    match run(stores, account, database, body).await {
        Ok((answers, bookmark)) => {
            let shown: Vec<Value> = answers.into_iter().map(|answer| answer.shown(form)).collect();
            let mut response = said(StatusCode::OK, &json!(shown));
            if let (true, Ok(bookmark)) = (parts.headers.contains_key(BOOKMARK), HeaderValue::try_from(bookmark)) {
                response.headers_mut().insert(BOOKMARK, bookmark);
            }
            response
        }
        Err(e) => {
            if e.kind() == Kind::Internal {
                tracing::error!(error = ?e, "a D1 binding was not answered");
            }
            // the runtime makes an exception of the text whatever the status
            said(StatusCode::OK, &json!({"success": false, "error": e.to_string()}))
        }
    }
}

async fn run(
    stores: &Stores,
    account: &CloudAccountId,
    database: &str,
    body: Body,
) -> Result<(Vec<super::query::Answer>, String), StoreError> {
    let bytes = Incoming::from_body(body).whole(BATCH_BYTES).await?;
    let asked = serde_json::from_slice(&bytes)
        .map_err(|_| StoreError::Sql("the query is not one: JSON of `sql` and `params` is needed".to_owned()))?;
    let queries = match asked {
        Asked::One(query) => vec![query],
        Asked::Several(queries) => queries,
    };
    let done = stores.d1_run(account, database, queries, Bounds::QUERY).await?;
    Ok((done.answers, done.bookmark))
}

fn said(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
