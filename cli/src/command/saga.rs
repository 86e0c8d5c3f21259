//! Waiting for work that outlives a request.

use std::time::{Duration, Instant};

use purser_values::error::Kind;
use serde_json::{Value, json};

use super::text;
use crate::api::{Api, problem};
use crate::outcome::Failure;
use crate::screen;

/// How a saga stands when we stop waiting.
pub(super) enum Ended {
    Done(Value),
    /// It goes on without us.
    Running(Value),
}

/// Follows the saga of `first` (the answer that started it) until it ends or `seconds` are over.
pub(super) async fn follow(api: &Api<'_>, first: Value, seconds: u64) -> Result<Ended, Failure> {
    let start = Instant::now();
    let mut answer = first;
    loop {
        let id = text(&answer, "saga");
        match answer["state"].as_str() {
            // what needs no saga is done with the first answer
            None | Some("done") => return Ok(Ended::Done(answer)),
            Some("running") if start.elapsed() >= Duration::from_secs(seconds) || id.is_empty() => return Ok(Ended::Running(answer)),
            Some("running") => {
                screen::progress("still at it …");
                let wait = seconds.saturating_sub(start.elapsed().as_secs()).clamp(1, 20).to_string();
                answer = api.get(&["v1", "sagas", &id], &[("wait", &wait)]).await?;
            }
            Some(state) => return Err(failure(state, &answer)),
        }
    }
}

fn failure(state: &str, answer: &Value) -> Failure {
    let error = &answer["error"];
    let code = error["code"].as_str().unwrap_or(state).to_owned();
    let kind = if state == "waiting" { Kind::NeedsPerson } else { Kind::Provider };
    let mut failure = problem::from_parts(error, &code, kind);
    if error.is_null() {
        failure.message = format!("the work is {state}");
    }
    if failure.hint.is_none() {
        failure.hint = Some(match state {
            "undone" => "nothing is left behind and nothing is paid; correct the cause and try again".to_owned(),
            "waiting" => "a person has to act; `purser status` shows what for".to_owned(),
            _ => "the operator sees it too; `purser status` shows where it stands".to_owned(),
        });
    }
    if let Some(details) = failure.details.as_object_mut() {
        details.insert("saga".to_owned(), json!({ "id": answer["saga"], "state": state }));
    }
    failure.next("purser status")
}
