//! Structures that a client has taken apart into form fields: `metadata[bindings][][name]`. The official client in JavaScript sends
//! every structure of a form like this, where others send one part of JSON.
//!
//! The fields come in the order of the structure, so an element of a list ends where a name comes a second time. All values are text;
//! those whose name says that they are a number or a truth value become one.

use serde_json::{Map, Value};

/// Deepest nesting, and most fields of one structure.
const DEPTH: usize = 12;
const FIELDS: usize = 4_096;

/// Names of values that are not text wherever they stand.
const TYPED: &[&str] = &[
    "cpu_ms",
    "delivery_delay",
    "enabled",
    "head_sampling_rate",
    "invocation_logs",
    "keep_assets",
    "limit",
    "logpush",
    "period",
    "persist",
    "previews_enabled",
    "run_worker_first",
    "serve_directly",
    "subrequests",
];

/// A structure under way.
#[derive(Default)]
pub struct Nested {
    root: Option<Value>,
    fields: usize,
}

impl Nested {
    /// Takes one more field. Nothing when the structure is deeper or larger than any is.
    #[must_use]
    pub fn put(&mut self, name: &str, text: &str) -> Option<()> {
        self.fields += 1;
        let steps: Vec<&str> = name.split_once('[').map(|(_, rest)| rest.split('[').map(|s| s.trim_end_matches(']')).collect())?;
        if self.fields > FIELDS || steps.len() > DEPTH {
            return None;
        }
        let leaf = steps.iter().rev().find(|step| !step.is_empty()).copied().unwrap_or_default();
        put(self.root.get_or_insert(Value::Null), &steps, typed(leaf, text))
    }

    pub fn finish(self) -> Option<Value> {
        self.root
    }
}

/// Whether a field is part of a structure of this name.
pub fn is_part_of(field: &str, structure: &str) -> bool {
    field.strip_prefix(structure).is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']'))
}

fn put(at: &mut Value, steps: &[&str], value: Value) -> Option<()> {
    match steps {
        [] => {
            *at = value;
            Some(())
        }
        ["", rest @ ..] => {
            if at.is_null() {
                *at = Value::Array(Vec::new());
            }
            let list = at.as_array_mut()?;
            if rest.is_empty() || list.last().is_none_or(|last| taken(last, rest)) {
                list.push(Value::Null);
            }
            put(list.last_mut()?, rest, value)
        }
        [name, rest @ ..] => {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            put(at.as_object_mut()?.entry(*name).or_insert(Value::Null), rest, value)
        }
    }
}

/// Whether there is a value already where the steps lead. A list takes as many as come.
fn taken(at: &Value, steps: &[&str]) -> bool {
    match steps {
        [] => !at.is_null(),
        ["", ..] => false,
        [name, rest @ ..] => at.get(name).is_some_and(|inner| taken(inner, rest)),
    }
}

fn typed(name: &str, text: &str) -> Value {
    let plain = || Value::String(text.to_owned());
    if !TYPED.contains(&name) {
        return plain();
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => number.parse().map_or_else(|_| plain(), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(fields: &[(&str, &str)]) -> Option<Value> {
        let mut nested = Nested::default();
        for (name, text) in fields {
            nested.put(name, text)?;
        }
        nested.finish()
    }

    #[test]
    fn a_list_of_objects_comes_back_as_it_was() {
        let fields = [
            ("metadata[main_module]", "index.js"),
            ("metadata[bindings][][type]", "plain_text"),
            ("metadata[bindings][][name]", "A"),
            ("metadata[bindings][][text]", "42"),
            ("metadata[bindings][][type]", "ratelimit"),
            ("metadata[bindings][][name]", "B"),
            ("metadata[bindings][][simple][limit]", "5"),
            ("metadata[bindings][][simple][period]", "60"),
            ("metadata[compatibility_flags][]", "one"),
            ("metadata[compatibility_flags][]", "two"),
            ("metadata[observability][enabled]", "true"),
        ];
        let expected = json!({
            "main_module": "index.js",
            "bindings": [
                {"type": "plain_text", "name": "A", "text": "42"},
                {"type": "ratelimit", "name": "B", "simple": {"limit": 5, "period": 60}},
            ],
            "compatibility_flags": ["one", "two"],
            "observability": {"enabled": true},
        });
        assert_eq!(read(&fields), Some(expected));
    }

    #[test]
    fn what_is_no_structure_is_refused() {
        assert_eq!(read(&[("metadata[a]", "x"), ("metadata[a][b]", "y")]), None, "a text with something in it");
        assert_eq!(read(&[("metadata[a][]", "x"), ("metadata[a][b]", "y")]), None, "a list that is an object");
        let deep = format!("metadata{}", "[a]".repeat(DEPTH + 1));
        assert_eq!(read(&[(&deep, "x")]), None);
        let mut many = Nested::default();
        assert!((0..=FIELDS).any(|_| many.put("metadata[a][]", "x").is_none()));
    }
}
