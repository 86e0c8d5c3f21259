//! What a Worker's queue binding asks over the bindings socket. Every answer tells what is on the queue: the runtime refuses one that does not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use purser_values::id::CloudAccountId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Content;
use super::metrics::Metrics;
use super::send::{Message, To};
use crate::body::{Body, Incoming, full};
use crate::error::{Kind, StoreError};
use crate::limits;
use crate::r2::millis;
use crate::stores::Stores;

#[derive(Deserialize)]
struct Batch {
    messages: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    body: String,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    delay_secs: Option<i64>,
}

/// Answers one request of a Worker of this account. `delay_s` is the binding's own.
pub async fn answer(
    stores: &Stores,
    account: &CloudAccountId,
    queue: &str,
    delay_s: Option<u32>,
    request: Request<Body>,
) -> Response<Body> {
    match respond(stores, account, queue, delay_s, request).await {
        Ok(said) => told(StatusCode::OK, said.to_string()),
        Err(e) => {
            let status = match e.kind() {
                Kind::NotFound => StatusCode::NOT_FOUND,
                Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Kind::Forbidden => StatusCode::FORBIDDEN,
                Kind::Internal => {
                    tracing::error!(error = ?e, "a queue binding was not answered");
                    StatusCode::INTERNAL_SERVER_ERROR
                }
                Kind::Invalid | Kind::Conflict | Kind::Precondition | Kind::Range => StatusCode::BAD_REQUEST,
            };
            told(status, e.to_string())
        }
    }
}

async fn respond(
    stores: &Stores,
    account: &CloudAccountId,
    queue: &str,
    delay_s: Option<u32>,
    request: Request<Body>,
) -> Result<Value, StoreError> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/').to_owned();
    if parts.method == Method::GET && path == "metrics" {
        return Ok(metrics(&stores.queue_metrics(account, queue).await?));
    }
    // for all that the sender named no delay for: the call's own, then the binding's
    let delay = header(&parts.headers, "x-msg-delay-secs")
        .map(|text| text.parse().map_err(|_| invalid("the delay is not a number")))
        .transpose()?;
    let delay = delay.or(delay_s.map(i64::from));
    let messages = match path.as_str() {
        "message" if parts.method == Method::POST => {
            let content = content(header(&parts.headers, "x-msg-fmt").as_deref())?;
            let body = Incoming::from_body(body).whole(limits::QUEUE_MESSAGE_BYTES).await?;
            vec![Message { content, body: body.to_vec(), delay_s: delay }]
        }
        "batch" if parts.method == Method::POST => {
            let bytes = Incoming::from_body(body).whole(2 * limits::QUEUE_SEND_BYTES + 100 * limits::QUEUE_SEND).await?;
            let batch: Batch = serde_json::from_slice(&bytes).map_err(|_| invalid("the batch is not JSON"))?;
            let one = |one: One| {
                let body = STANDARD.decode(one.body).map_err(|_| invalid("a message is not base64"))?;
                Ok(Message { content: content(one.content_type.as_deref())?, body, delay_s: one.delay_secs.or(delay) })
            };
            batch.messages.into_iter().map(one).collect::<Result<_, StoreError>>()?
        }
        _ => return Err(invalid("a binding has no such call")),
    };
    let sent = stores.queue_send(account, To::Name(queue.to_owned()), messages).await?;
    Ok(json!({"metadata": {"metrics": metrics(&sent)}}))
}

fn metrics(metrics: &Metrics) -> Value {
    let oldest = metrics.oldest.map_or(0, millis);
    json!({"backlogCount": metrics.messages, "backlogBytes": metrics.bytes, "oldestMessageTimestamp": oldest})
}

fn content(text: Option<&str>) -> Result<Content, StoreError> {
    text.map_or(Ok(Content::V8), |text| text.parse().map_err(|e: super::ParseContentError| StoreError::Invalid(e.to_string())))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn invalid(said: &str) -> StoreError {
    StoreError::Invalid(said.to_owned())
}

fn told(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
