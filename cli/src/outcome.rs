//! What a command came to, and the envelope that programs read.

use purser_values::error::{Kind, PublicError, advice};
use serde::Serialize;
use serde_json::{Value, json};

/// Version of the envelope's shape.
pub const ENVELOPE_VERSION: &str = "0.1";

/// A command that did what it was asked.
#[derive(Clone, Debug, Default)]
pub struct Success {
    /// For programs. Never a secret.
    pub data: Value,
    /// For people.
    pub text: String,
    pub warnings: Vec<String>,
    pub next_steps: Vec<String>,
    /// The exit code of the command that `run` ran; 0 for all others.
    pub exit_code: u8,
    /// Whether the text is a file's, with its own line ends, and goes out as it is.
    pub is_file: bool,
}

impl Success {
    #[must_use]
    pub fn new(data: Value, text: impl Into<String>) -> Self {
        Self { data, text: text.into(), ..Self::default() }
    }

    /// A file's text, for standard output.
    #[must_use]
    pub fn file(data: Value, text: String) -> Self {
        Self { is_file: true, ..Self::new(data, text) }
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_steps.push(step.into());
        self
    }

    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}

/// A command that did not. One word large, as nearly everything here may fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure(Box<Reason>);

/// What stood in the way.
///
/// Codes in capitals are the command's own; codes in lower case are the orchestrator's, word for word.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub kind: Kind,
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    pub details: Value,
    pub next_steps: Vec<String>,
}

impl Failure {
    #[must_use]
    pub fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self(Box::new(Reason { kind, code, message, hint: None, details: json!({}), next_steps: Vec::new() }))
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_steps.push(step.into());
        self
    }

    /// Where the value of a flag is wrong and nothing better is known, the command's own help says what it takes.
    #[must_use]
    pub fn of_command(self, words: &str) -> Self {
        if self.hint.is_some() || self.code != "INVALID_ARGUMENT" {
            return self;
        }
        self.hint(format!("`purser help {words}` says what it takes"))
    }

    /// A value that was typed and cannot be read.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "INVALID_ARGUMENT", message)
    }
}

impl Reason {
    /// What to do about it, always.
    #[must_use]
    pub fn advice(&self) -> &str {
        self.hint.as_deref().unwrap_or_else(|| advice::of(&self.code, self.kind))
    }
}

impl std::ops::Deref for Failure {
    type Target = Reason;

    fn deref(&self) -> &Reason {
        &self.0
    }
}

impl std::ops::DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Reason {
        &mut self.0
    }
}

impl<E: PublicError> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.kind(), error.code(), error.to_string());
        failure.hint = error.hint();
        if let Some(details) = error.details() {
            failure.details = details;
        }
        failure
    }
}

/// Facts about where the command ran.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Meta {
    /// Whether the agent's home holds a session, or the environment a person's token.
    pub authenticated: bool,
    /// Whether this folder, or one above it, belongs to a project.
    pub project_initialized: bool,
    /// `sandbox` when the orchestrator says so; then no real money moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
    details: &'a Value,
}

#[derive(Serialize)]
struct Envelope<'a> {
    ok: bool,
    command: &'a str,
    version: &'static str,
    data: &'a Value,
    warnings: &'a [String],
    next_steps: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody<'a>>,
    meta: &'a Meta,
}

/// The one line of JSON that `--json` prints.
#[must_use]
pub fn envelope(command: &str, outcome: &Result<Success, Failure>, meta: &Meta) -> String {
    let nothing = json!({});
    let envelope = match outcome {
        Ok(done) => Envelope {
            ok: true,
            command,
            version: ENVELOPE_VERSION,
            data: if done.data.is_null() { &nothing } else { &done.data },
            warnings: &done.warnings,
            next_steps: &done.next_steps,
            error: None,
            meta,
        },
        Err(failure) => Envelope {
            ok: false,
            command,
            version: ENVELOPE_VERSION,
            data: &nothing,
            warnings: &[],
            next_steps: &failure.next_steps,
            error: Some(ErrorBody { code: &failure.code, message: &failure.message, hint: failure.advice(), details: &failure.details }),
            meta,
        },
    };
    // every part is a string, a flag or JSON already, so this cannot fail; an empty line would break the promise, though
    serde_json::to_string(&envelope).unwrap_or_else(|_| r#"{"ok":false,"error":{"code":"INTERNAL"}}"#.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_has_data_and_no_error() {
        let text = envelope("add", &Ok(Success::new(json!({"a": 1}), "done").next("purser status")), &Meta::default());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["ok"], true);
        assert_eq!(value["version"], "0.1");
        assert_eq!(value["next_steps"][0], "purser status");
        assert!(value.get("error").is_none());
        assert_eq!(value["meta"], json!({"authenticated": false, "project_initialized": false}));
    }

    #[test]
    fn a_failure_says_code_message_and_hint() {
        let failure = Failure::new(Kind::Payment, "cap_reached", "USD 5.00 does not fit").hint("ask the person to raise the cap");
        let value: Value = serde_json::from_str(&envelope("add", &Err(failure), &Meta::default())).unwrap();
        assert_eq!(value["ok"], false);
        assert_eq!(value["error"]["code"], "cap_reached");
        assert_eq!(value["error"]["hint"], "ask the person to raise the cap");
        assert_eq!(value["data"], json!({}));
    }
}
