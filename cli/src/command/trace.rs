//! `trace`: who stands behind a URL, a domain, an account, a token, a charge or a resource.

use purser_values::{Money, Timestamp};
use serde_json::{Value, json};

use crate::arguments::Trace;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn run(context: &Context, arguments: &Trace) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "trace"], &[("of", &arguments.what)]).await?;
    let text = describe(&data);
    Ok(Success::new(data, text))
}

/// The chain in full, and one line for each event: the whole of them is in `--json`.
fn describe(data: &Value) -> String {
    let mut chain = data.clone();
    let events = chain.as_object_mut().and_then(|members| members.remove("events")).unwrap_or_default();
    let mut lines = Vec::new();
    outline(&chain, 0, &mut lines);
    let event = |event: &Value| ["at", "verb", "outcome", "subject"].map(|name| leaf(&event[name]).unwrap_or_default()).to_vec();
    let rows: Vec<Vec<String>> = events.as_array().map(|events| events.iter().map(event).collect()).unwrap_or_default();
    if !rows.is_empty() {
        lines.push("events".to_owned());
        lines.extend(screen::table(&rows).lines().map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

/// The answer as an indented outline: it differs with what was asked about.
fn outline(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            let shown = |value: &Value| !value.is_null() && value != "" && value != &json!([]) && value != &json!({});
            for (name, value) in members.iter().filter(|(_, v)| shown(v)) {
                match leaf(value) {
                    Some(words) => lines.push(format!("{indent}{name}  {words}")),
                    None => {
                        lines.push(format!("{indent}{name}"));
                        outline(value, depth + 1, lines);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let at = lines.len();
                match leaf(item) {
                    Some(words) => lines.push(format!("{indent}- {words}")),
                    None => outline(item, depth + 1, lines),
                }
                if let Some(first) = lines.get_mut(at) {
                    *first = format!("{indent}- {}", first.trim_start().trim_start_matches("- "));
                }
            }
        }
        other => lines.extend(leaf(other).map(|words| format!("{indent}{words}"))),
    }
}

/// What fits on one line: a word, a time, an amount, a list of words.
fn leaf(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.parse::<Timestamp>().map_or_else(|_| text.clone(), Timestamp::for_people)),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|words| words.join(", ")),
        Value::Object(_) => serde_json::from_value::<Money>(value.clone()).ok().map(|money| money.to_string()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_shows_every_leaf() {
        let mut lines = Vec::new();
        let charge = json!({"id": "chg_1", "n": 1, "amount": {"amount_minor": 915, "currency": "USD"}, "at": "2026-11-23T14:16:53.41Z"});
        let chain = json!({"person": {"email": "a@x.test"}, "charges": [charge], "actions": ["a", "b"], "none": null, "empty": []});
        outline(&chain, 0, &mut lines);
        let expected = [
            "person",
            "  email  a@x.test",
            "charges",
            "  - id  chg_1",
            "    n  1",
            "    amount  USD 9.15",
            "    at  2026-11-23 14:16:53 UTC",
            "actions  a, b",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"at": "t", "verb": "resource_add", "outcome": "done", "subject": "res_1", "caller": {"kind": "agent"}});
        assert_eq!(describe(&json!({"of": "x", "events": [event]})), "of  x\nevents\n  t  resource_add  done  res_1");
    }
}
