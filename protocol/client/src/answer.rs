//! Turns an answer into a value or into what its failure means. Readers branch on the body first: some providers report errors with
//! status 200.

use http::{StatusCode, header};
use purser_http::Fetched;
use purser_wire::error::{Envelope, ErrorBody};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::CallError;

/// Deepest level of a JSON shape that is described.
const SHAPE_DEPTH: usize = 4;
const SHAPE_CHARS: usize = 400;

/// Reads an answer as `T`.
pub fn read<T: DeserializeOwned>(answer: &Fetched) -> Result<T, CallError> {
    let value = value(answer)?;
    serde_json::from_value(value).map_err(|e| CallError::Garbage { why: shape_fault(&e), received: describe(answer) })
}

fn value(answer: &Fetched) -> Result<Value, CallError> {
    let status = answer.status;
    let parsed: Option<Value> = serde_json::from_slice(&answer.body).ok();
    // A framework's `detail` is an error only beside a status that says so: it may be a word of a good answer too.
    let found = parsed.as_ref().and_then(ErrorBody::find);
    let error = found.filter(|(envelope, _)| *envelope != Envelope::Framework || !status.is_success()).map(|(_, error)| error);
    let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
    if status.is_server_error() || busy {
        let said = error.map(|e| format!(": {e}")).unwrap_or_default();
        return Err(CallError::transient(format!("status {}{said}", status.as_u16()), retry_after(answer)));
    }
    match (parsed, error) {
        (_, Some(error)) if status.is_success() || status.is_client_error() => Err(CallError::Permanent { status: Some(status), error }),
        (Some(value), None) if status.is_success() => Ok(value),
        _ => {
            let why =
                if status.is_success() { "it is not JSON".to_owned() } else { format!("status {} without an error", status.as_u16()) };
            Err(CallError::Garbage { why, received: describe(answer) })
        }
    }
}

fn retry_after(answer: &Fetched) -> Option<u32> {
    answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Serde repeats strings of the wrong type in its messages; ours only say which member is at fault.
fn shape_fault(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    let known = ["missing field `", "the answer "].iter().any(|start| text.starts_with(start));
    if known { text } else { "a member is missing or of another type".to_owned() }
}

/// What was received, without its values: status, type, length and, for JSON, the names.
pub fn describe(answer: &Fetched) -> String {
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("no content type");
    let mut text = format!("status {}, {}, {} bytes", answer.status.as_u16(), purser_wire::text::excerpt(kind, 60), answer.body.len());
    if let Ok(value) = serde_json::from_slice::<Value>(&answer.body) {
        text.push_str(", ");
        text.push_str(&purser_wire::text::excerpt(&shape(&value, 0), SHAPE_CHARS));
    }
    text
}

fn shape(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        _ if depth == SHAPE_DEPTH => "…".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(|first| shape(first, depth + 1)).unwrap_or_default()),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().take(12).map(|(n, v)| format!("{n}: {}", shape(v, depth + 1))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;
    use purser_wire::resource::ResourceEnvelope;
    use serde_json::json;

    fn answer(status: u16, body: impl Into<Bytes>) -> Fetched {
        Fetched { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.into() }
    }

    fn envelope(status: u16, body: &Value) -> Result<ResourceEnvelope, CallError> {
        read(&answer(status, body.to_string()))
    }

    #[test]
    fn a_refusal_is_permanent_with_either_status() {
        let body = json!({"status": "error", "id": "", "error": {"code": "unknown_service", "message": "no"}});
        for status in [200, 400, 404, 409] {
            assert_eq!(envelope(status, &body).unwrap_err().code(), Some("unknown_service"), "{status}");
        }
        let framework = envelope(404, &json!({"detail": "Not Found"})).unwrap_err();
        assert!(matches!(framework, CallError::Permanent { .. }), "{framework}");
    }

    #[test]
    fn faults_on_their_side_and_too_many_calls_are_transient() {
        for status in [500, 502, 503, 429, 408] {
            assert!(envelope(status, &json!({"error": {"code": "rate_limited", "message": ""}})).unwrap_err().is_transient(), "{status}");
        }
        let mut busy = answer(429, "slow down");
        busy.headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        assert!(matches!(read::<Value>(&busy), Err(CallError::Transient { retry_after: Some(7), .. })));
    }

    #[test]
    fn garbage_is_described_without_what_it_said() {
        for (status, body) in [
            (200, "<html>hunter2</html>".to_owned()),
            (302, String::new()),
            (404, "hunter2".to_owned()),
            (200, json!({"status": "hunter3", "id": 7}).to_string()),
            (200, json!({"status": "complete", "complete": {"access_configuration": ["hunter2"]}, "id": "r"}).to_string()),
            (200, json!(["hunter2"]).to_string()),
        ] {
            let error = read::<ResourceEnvelope>(&answer(status, body)).unwrap_err();
            assert!(matches!(error, CallError::Garbage { .. }), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
