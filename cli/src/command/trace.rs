//! `trace`: who stands behind a URL, a domain, an account, a token, a charge or a resource.

use serde_json::Value;

use crate::arguments::Trace;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Trace) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "trace"], &[("of", &arguments.what)]).await?;
    let mut lines = Vec::new();
    outline(&data, 0, &mut lines);
    Ok(Success::new(data, lines.join("\n")))
}

/// The answer as an indented outline: it differs with what was asked about.
fn outline(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, v)| !v.is_null()) {
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
    use serde_json::json;

    #[test]
    fn an_outline_shows_every_leaf() {
        let mut lines = Vec::new();
        outline(&json!({"person": {"email": "a@x.test"}, "charges": [{"id": "chg_1", "n": 1}], "none": null}), 0, &mut lines);
        assert_eq!(lines, ["person", "  email  a@x.test", "charges", "  - id  chg_1", "    n  1"]);
    }
}
