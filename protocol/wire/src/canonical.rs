//! One text for one JSON value, so that a digest binds the value and not its spelling.
//!
//! Members are sorted by the bytes of their names, there is no white space, and strings are escaped as `serde_json` does:
//! RFC 8785 for all values that the protocol digests, which hold no floating-point numbers.

use purser_values::Sha256Digest;
use serde_json::Value;

/// The canonical text of a value.
#[must_use]
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The digest of a value's canonical text.
#[must_use]
pub fn digest(value: &Value) -> Sha256Digest {
    Sha256Digest::of(json(value).as_bytes())
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            list(out, '{', '}', members, |(name, value), out| {
                write(&Value::String(name.clone()), out);
                out.push(':');
                write(value, out);
            });
        }
        Value::Array(items) => list(out, '[', ']', items, write),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn list<T>(out: &mut String, open: char, close: char, items: impl IntoIterator<Item = T>, each: impl Fn(T, &mut String)) {
    out.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    #[test]
    fn the_order_of_members_does_not_matter_and_the_order_of_items_does() {
        let a = value!({"b": [1, {"y": null, "x": "ü\n"}], "a": true});
        let b = value!({"a": true, "b": [1, {"x": "ü\n", "y": null}]});
        assert_eq!(json(&a), r#"{"a":true,"b":[1,{"x":"ü\n","y":null}]}"#);
        assert_eq!(digest(&a), digest(&b));
        assert_ne!(digest(&value!([1, 2])), digest(&value!([2, 1])));
    }
}
