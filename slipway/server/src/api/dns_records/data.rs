//! The `data` object of types with several fields, and the one line that it stands for.

use serde_json::{Map, Value};

/// The fields of each type in the order of the line. What stands in quotes there is marked with `"`; a last field marked with `*` takes
/// the rest of the line.
const FIELDS: &[(&str, &[&str])] = &[
    ("CAA", &["flags", "tag", "\"value"]),
    ("DS", &["key_tag", "algorithm", "digest_type", "digest"]),
    ("HTTPS", &["priority", "target", "*value"]),
    ("NAPTR", &["order", "preference", "\"flags", "\"service", "\"regex", "replacement"]),
    ("SMIMEA", &["usage", "selector", "matching_type", "certificate"]),
    ("SRV", &["priority", "weight", "port", "target"]),
    ("SSHFP", &["algorithm", "type", "fingerprint"]),
    ("SVCB", &["priority", "target", "*value"]),
    ("TLSA", &["usage", "selector", "matching_type", "certificate"]),
];
/// Numbers that a line holds under names that are texts elsewhere.
const NUMBERS: [&str; 13] = [
    "flags",
    "key_tag",
    "algorithm",
    "digest_type",
    "priority",
    "order",
    "preference",
    "usage",
    "selector",
    "matching_type",
    "weight",
    "port",
    "type",
];

fn fields(kind: &str) -> Option<&'static [&'static str]> {
    FIELDS.iter().find(|(k, _)| k.eq_ignore_ascii_case(kind)).map(|(_, fields)| *fields)
}

/// The line that the object stands for.
///
/// # Errors
/// A field that is missing, or a type that has none.
pub fn content(kind: &str, data: &Value) -> Result<String, String> {
    let fields = fields(kind).ok_or_else(|| format!("records of the type `{kind}` take `content`, not `data`"))?;
    let mut words = Vec::new();
    for marked in fields {
        let name = marked.trim_start_matches(['"', '*']);
        let word = match data.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            // A service without parameters, an expression that is empty.
            None if marked.starts_with(['"', '*']) => String::new(),
            _ => return Err(format!("`data.{name}` is missing or of another type")),
        };
        if word.contains(['\n', '\r']) {
            return Err(format!("`data.{name}` has a line break"));
        }
        match marked.as_bytes().first() {
            Some(b'"') => words.push(format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))),
            Some(b'*') if word.is_empty() => {}
            // One field is one word, or a client could say two fields in one.
            Some(b'*') => words.push(word),
            _ if word.contains(char::is_whitespace) || word.is_empty() => return Err(format!("`data.{name}` is not one word")),
            _ => words.push(word),
        }
    }
    Ok(words.join(" "))
}

/// The object of a line; nothing for types that have none.
pub fn object(kind: &str, content: &str) -> Option<Value> {
    let fields = fields(kind)?;
    let (mut rest, mut object) = (content, Map::new());
    for marked in fields {
        let name = marked.trim_start_matches(['"', '*']);
        let word = if marked.starts_with('*') { std::mem::take(&mut rest).to_owned() } else { word(&mut rest) };
        // NAPTR has flags that are letters.
        let number = NUMBERS.contains(&name).then(|| word.parse::<u64>().ok()).flatten();
        object.insert(name.to_owned(), number.filter(|_| !marked.starts_with('"')).map_or(Value::String(word), Value::from));
    }
    Some(Value::Object(object))
}

/// Takes the next word, without its quotes.
fn word(rest: &mut &str) -> String {
    let text = rest.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, after) = text.split_once(' ').unwrap_or((text, ""));
        *rest = after.trim_start();
        return word.to_owned();
    };
    let (mut word, mut chars) = (String::new(), quoted.char_indices());
    *rest = "";
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            '"' => {
                *rest = quoted.get(at + 1..).unwrap_or_default().trim_start();
                break;
            }
            c => word.push(c),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_and_lines_say_the_same() {
        for (kind, data, line) in [
            ("SRV", json!({"priority": 1, "weight": 2, "port": 443, "target": "a.test"}), "1 2 443 a.test"),
            ("CAA", json!({"flags": 0, "tag": "issue", "value": "ca.example; x=\"y\""}), "0 issue \"ca.example; x=\\\"y\\\"\""),
            ("HTTPS", json!({"priority": 1, "target": ".", "value": "alpn=\"h2,h3\" port=8443"}), "1 . alpn=\"h2,h3\" port=8443"),
            (
                "NAPTR",
                json!({"order": 1, "preference": 2, "flags": "S", "service": "SIP+D2U", "regex": "", "replacement": "a.test"}),
                "1 2 \"S\" \"SIP+D2U\" \"\" a.test",
            ),
        ] {
            assert_eq!(content(kind, &data).as_deref(), Ok(line));
            assert_eq!(object(kind, line), Some(data));
        }
    }

    #[test]
    fn one_field_cannot_say_two() {
        assert!(content("SRV", &json!({"priority": 1, "weight": 2, "port": 3, "target": "a.test b.test"})).is_err());
        assert!(content("SRV", &json!({"priority": 1, "weight": 2, "port": 3})).is_err());
        assert!(content("A", &json!({"address": "192.0.2.1"})).is_err());
    }
}
