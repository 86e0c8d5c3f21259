//! Waiting for work that outlives a request.

use std::time::{Duration, Instant};

use purser_values::error::Kind;
use serde_json::{Value, json};

use super::{text, when};
use crate::api::{Api, problem};
use crate::outcome::Failure;
use crate::screen;

/// How a saga stands when we stop waiting.
pub(super) enum Ended {
    Done(Value),
    /// It goes on without us.
    Running(Value),
}

/// Longest wait that one request asks for, in seconds: the connection of one that waits longer may be cut.
const ONE_WAIT_S: u64 = 20;

/// The first wait, in seconds: whoever waits longer is told why.
const FIRST_WAIT_S: u64 = 5;

/// How long a person or an agent wants to wait for a result, from the moment this is made.
pub(super) struct Patience {
    start: Instant,
    limit: Duration,
    /// Whether to go on also while a person has to act.
    through: bool,
}

impl Patience {
    pub fn new(seconds: u64, through: bool) -> Self {
        Self { start: Instant::now(), limit: Duration::from_secs(seconds), through }
    }

    /// What the next request asks the orchestrator to wait.
    pub fn ask(&self) -> String {
        let waited = self.start.elapsed();
        let left = self.limit.saturating_sub(waited) + Duration::from_millis(999);
        let most = if self.is_tried() { ONE_WAIT_S } else { FIRST_WAIT_S };
        left.as_secs().min(most).to_string()
    }

    /// Whether the wait is longer than most are.
    fn is_tried(&self) -> bool {
        self.start.elapsed().as_secs() >= FIRST_WAIT_S
    }

    fn is_over(&self) -> bool {
        self.start.elapsed() >= self.limit
    }
}

/// Follows the saga of `first` (the answer that started it) until it ends or the patience does.
pub(super) async fn follow(api: &Api<'_>, first: Value, patience: &Patience) -> Result<Ended, Failure> {
    let mut answer = first;
    let (mut told, mut slow) = (false, false);
    loop {
        let id = text(&answer, "saga");
        match answer["state"].as_str() {
            // what needs no saga is done with the first answer
            None | Some("done") => return Ok(Ended::Done(answer)),
            Some("running") if patience.is_over() || id.is_empty() => return Ok(Ended::Running(answer)),
            Some("running") => {
                if slow || !patience.is_tried() {
                    screen::progress("still at it …");
                } else {
                    screen::note(&slow_words(&answer));
                    slow = true;
                }
                answer = api.get(&["v1", "sagas", &id], &[("wait", &patience.ask())]).await?;
            }
            Some("waiting") if answer["waiting"].is_object() => {
                let waits = waits(&answer);
                if !patience.through || patience.is_over() || id.is_empty() {
                    return Err(waits);
                }
                if !told {
                    screen::note(&format!("{}: open {}", waits.message, text(&answer["waiting"], "url")));
                    told = true;
                }
                answer = api.get(&["v1", "sagas", &id], &[("wait", &patience.ask()), ("through", "waiting")]).await?;
            }
            Some(state) => return Err(failure(state, &answer)),
        }
    }
}

/// What somebody hears who waits longer than usual: what it last met, if anything, and that nothing is to be done.
fn slow_words(answer: &Value) -> String {
    let met = answer["last_error"].as_str().map(|met| format!(" ({met})")).unwrap_or_default();
    format!("this takes longer than usual{met}: it goes on by itself, and `purser status` shows where it stands")
}

/// The work goes on as soon as somebody has acted; until then this command has nothing to give.
fn waits(answer: &Value) -> Failure {
    let on = &answer["waiting"];
    let (provider, email, until) = (text(on, "provider"), text(&on["person"], "email"), when(on, "expires_at"));
    let (code, what) = match on["for"].as_str() {
        Some("account_information") => {
            ("account_information_required", format!("`{provider}` wants to know more before it opens an account"))
        }
        Some("resource_information") => {
            ("resource_information_required", format!("`{provider}` wants to know something from {email} first, before {until}"))
        }
        Some("payment_confirmation") => {
            ("payment_confirmation_required", format!("{email} must confirm the payment to `{provider}` with their bank, before {until}"))
        }
        _ => ("account_link_required", format!("{email} must connect the account at `{provider}`, before {until}")),
    };
    let mut details = on.clone();
    if let Some(details) = details.as_object_mut() {
        details.remove("attempt");
        details.insert("saga".to_owned(), json!({ "id": answer["saga"], "state": "waiting" }));
    }
    let hint = format!("give them this page: {} . The work goes on by itself after that; `--wait` waits for it", text(on, "url"));
    Failure::new(Kind::NeedsPerson, code, what).hint(hint).details(details).next("purser status")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_asks_for_more_than_is_left_and_none_for_more_than_a_connection_lasts() {
        for (seconds, asked) in [(0, "0"), (3, "3"), (120, "5")] {
            assert_eq!(Patience::new(seconds, false).ask(), asked);
        }
        assert!(Patience::new(0, false).is_over() && !Patience::new(60, false).is_over());
    }
}
