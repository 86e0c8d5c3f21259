//! `trace`: who stands behind a URL, a domain, an account, a token, a charge or a resource.

use serde_json::{Value, json};

use super::when;
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
    let event = |event: &Value| ["at", "verb", "outcome", "subject"].map(|name| when(event, name)).to_vec();
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
                if value.is_object() || value.is_array() {
                    lines.push(format!("{indent}{name}"));
                    outline(value, depth + 1, lines);
                } else {
                    lines.push(format!("{indent}{name}  {}", leaf(value)));
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if item.is_object() || item.is_array() {
                    let at = lines.len();
                    outline(item, depth + 1, lines);
                    if let Some(first) = lines.get_mut(at) {
                        *first = format!("{indent}- {}", first.trim_start());
                    }
                } else {
                    lines.push(format!("{indent}- {}", leaf(item)));
                }
            }
        }
        other => lines.push(format!("{indent}{}", leaf(other))),
    }
}

fn leaf(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_shows_every_leaf() {
        let mut lines = Vec::new();
        outline(&json!({"person": {"email": "a@x.test"}, "charges": [{"id": "chg_1", "n": 1}], "none": null, "empty": []}), 0, &mut lines);
        assert_eq!(lines, ["person", "  email  a@x.test", "charges", "  - id  chg_1", "    n  1"]);
    }

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"at": "t", "verb": "resource_add", "outcome": "done", "subject": "res_1", "caller": {"kind": "agent"}});
        assert_eq!(describe(&json!({"of": "x", "events": [event]})), "of  x\nevents\n  t  resource_add  done  res_1");
    }
}
