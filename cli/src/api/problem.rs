//! The orchestrator's refusals as failures of a command.

use purser_values::error::Kind;
use serde_json::{Map, Value, json};

use super::exchange::Answer;
use crate::outcome::Failure;

/// Members of a problem document that have a place of their own.
const NAMED: &[&str] = &["type", "title", "status", "code", "detail", "hint", "kind", "details"];

const KINDS: &[Kind] = &[
    Kind::Invalid,
    Kind::Unauthenticated,
    Kind::Forbidden,
    Kind::NotFound,
    Kind::Conflict,
    Kind::Payment,
    Kind::NeedsPerson,
    Kind::TooLarge,
    Kind::RateLimited,
    Kind::Provider,
    Kind::Unavailable,
    Kind::Internal,
];

/// The kind of its name, as problem documents carry it.
#[must_use]
pub fn kind_named(name: &str) -> Option<Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

pub(super) fn failure(answer: &Answer) -> Failure {
    let status = answer.status.as_u16();
    let document = answer.json();
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    if let Some(error) = text("error") {
        // OAuth's own form (RFC 6749, 5.2), with our own code beside it where OAuth has none
        let kind = match error.as_str() {
            "access_denied" => Kind::Forbidden,
            "invalid_grant" | "expired_token" | "invalid_token" => Kind::Unauthenticated,
            "temporarily_unavailable" => Kind::Unavailable,
            _ => Kind::of_http_status(status),
        };
        let code = text("code").unwrap_or(error);
        let message = text("error_description").unwrap_or_else(|| format!("the orchestrator answered `{code}`"));
        let mut failure = Failure::new(kind, &code, message);
        failure.hint = text("hint");
        return failure;
    }
    let Some(code) = text("code") else {
        let message = format!("the orchestrator answered with status {status} and no reason");
        return Failure::new(Kind::of_http_status(status), "UNEXPECTED_ANSWER", message).hint("check that the URL is an orchestrator's");
    };
    from_parts(&document, &code, Kind::of_http_status(status))
}

/// A failure from a problem document, or from the `error` member of a saga, which has the same form.
#[must_use]
pub fn from_parts(document: &Value, code: &str, otherwise: Kind) -> Failure {
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let kind = text("kind").and_then(|name| kind_named(&name)).unwrap_or(otherwise);
    let message = text("detail").or_else(|| text("message")).or_else(|| text("title")).unwrap_or_else(|| code.to_owned());
    let mut details = document["details"].as_object().cloned().unwrap_or_default();
    let rest: Map<String, Value> = document.as_object().cloned().unwrap_or_default();
    details.extend(rest.into_iter().filter(|(name, _)| !NAMED.contains(&name.as_str()) && name != "message"));
    let mut failure = Failure::new(kind, code, message).details(json!(details));
    failure.hint = text("hint");
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec(), nonce: None }
    }

    #[test]
    fn a_problem_keeps_code_hint_and_facts() {
        let body = r#"{"type":"urn:x","title":"Payment Required","status":402,"code":"cap_reached","detail":"no room","hint":"ask","kind":"payment","details":{"left":3},"request_id":"req_1"}"#;
        let failure = failure(&answer(402, body));
        assert_eq!((failure.kind, failure.code.as_str(), failure.message.as_str()), (Kind::Payment, "cap_reached", "no room"));
        assert_eq!(failure.details, json!({"left": 3, "request_id": "req_1"}));
    }

    #[test]
    fn the_kind_is_the_documents_before_the_status() {
        assert_eq!(failure(&answer(403, r#"{"code":"x","kind":"needs_person"}"#)).kind, Kind::NeedsPerson);
        assert_eq!(failure(&answer(403, r#"{"code":"x","kind":"nonsense"}"#)).kind, Kind::Forbidden);
    }

    #[test]
    fn an_oauth_refusal_keeps_our_own_code() {
        let frozen = failure(&answer(400, r#"{"error":"access_denied","error_description":"the agent is frozen","code":"agent_frozen"}"#));
        assert_eq!((frozen.kind, frozen.code.as_str()), (Kind::Forbidden, "agent_frozen"));
        assert_eq!(failure(&answer(400, r#"{"error":"invalid_grant"}"#)).kind, Kind::Unauthenticated);
    }

    #[test]
    fn garbage_is_named_and_not_repeated() {
        let failure = failure(&answer(500, "<html>\x1b[2J secret"));
        assert_eq!(failure.code, "UNEXPECTED_ANSWER");
        assert!(!failure.message.contains("secret"));
    }

    #[test]
    fn every_kind_is_found_by_its_status() {
        for kind in KINDS.iter().filter(|k| **k != Kind::NeedsPerson) {
            assert_eq!(Kind::of_http_status(kind.http_status()), *kind);
        }
    }
}
