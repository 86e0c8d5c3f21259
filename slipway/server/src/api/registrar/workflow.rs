//! How far the getting or changing of a name has come, as clients poll for it.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use purser_values::Timestamp;
use serde_json::{Value, json};

use crate::api::render;

/// What a workflow is at.
pub enum State {
    InProgress,
    /// A person or another program has to do something; polling ends.
    ActionRequired {
        action: &'static str,
        message: String,
    },
    Succeeded {
        registration: Option<Value>,
    },
    Failed {
        code: String,
        message: String,
    },
}

/// One workflow, which is named by its domain.
pub struct Workflow<'a> {
    /// The path of the set of names: `/accounts/{id}/registrar`.
    pub base: String,
    pub domain: &'a str,
    /// The last part of the path that it is polled at.
    pub kind: &'static str,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub state: State,
}

const PREFER: &str = "prefer";
const ASYNC: &str = "respond-async";

impl Workflow<'_> {
    pub fn json(&self) -> Value {
        let resource = format!("{}/registrations/{}", self.base, self.domain);
        let mut context = json!({"domain_name": self.domain});
        let (state, completed, error) = match &self.state {
            State::InProgress => ("in_progress", false, Value::Null),
            State::ActionRequired { action, message } => {
                context["action"] = json!(action);
                context["message"] = json!(message);
                ("action_required", false, Value::Null)
            }
            State::Succeeded { registration } => {
                if let Some(registration) = registration {
                    context["registration"] = registration.clone();
                }
                ("succeeded", true, Value::Null)
            }
            State::Failed { code, message } => ("failed", true, json!({"code": code, "message": message})),
        };
        json!({
            "state": state,
            "completed": completed,
            "created_at": render::time(self.created_at),
            "updated_at": render::time(self.updated_at),
            "links": {"self": format!("{resource}/{}", self.kind), "resource": resource},
            "context": context,
            "error": error,
        })
    }

    /// The answer to what began it: `done` when it is over and the client waits, 202 otherwise.
    pub fn answer(&self, done: StatusCode, headers: &HeaderMap) -> Response {
        let detached = prefers_async(headers);
        let over = matches!(self.state, State::Succeeded { .. } | State::Failed { .. });
        let status = if over && !detached { done } else { StatusCode::ACCEPTED };
        let body = json!({"success": true, "errors": [], "messages": [], "result": self.json()});
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
        if detached {
            response.headers_mut().insert("preference-applied", HeaderValue::from_static(ASYNC));
        }
        response
    }
}

/// Whether the client does not want to wait (RFC 7240).
fn prefers_async(headers: &HeaderMap) -> bool {
    let said = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(ASYNC))
}
