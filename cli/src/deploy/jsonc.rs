//! JSON with comments and trailing commas, made plain.

/// Blanks out comments and the commas before a closing bracket; strings stay as they are. Line numbers stay right.
pub(super) fn to_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    let mut comma: Option<usize> = None; // the place of a comma that may prove to be trailing
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                comma = None;
                out.push(c);
                while let Some(c) = rest.next() {
                    out.push(c);
                    match c {
                        '\\' => out.extend(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if rest.peek() == Some(&'/') => {
                while rest.peek().is_some_and(|c| *c != '\n') {
                    rest.next();
                }
            }
            '/' if rest.peek() == Some(&'*') => {
                rest.next();
                let mut last = ' ';
                for c in rest.by_ref() {
                    if c == '\n' {
                        out.push('\n');
                    }
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
                out.push(' ');
            }
            ',' => {
                comma = Some(out.len());
                out.push(c);
            }
            '}' | ']' => {
                if let Some(at) = comma.take() {
                    out.replace_range(at..=at, " ");
                }
                out.push(c);
            }
            c => {
                if !c.is_whitespace() {
                    comma = None;
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn comments_and_trailing_commas_go_and_strings_stay() {
        let text = "\u{feff}{ // a\n \"url\": \"http://x/*y*/\", /* b, \n */ \"q\": \"\\\"//\", \"l\": [1, 2, /* c */ ], \n}";
        let value: Value = serde_json::from_str(&to_json(text)).unwrap();
        assert_eq!(value, json!({"url": "http://x/*y*/", "q": "\"//", "l": [1, 2]}));
    }

    #[test]
    fn what_is_not_json_stays_so() {
        for bad in ["{,}", "[,1]", "{\"a\":1,,}", "/*", "\"", "{\"a\" /", ""] {
            let _ = to_json(bad); // never panics
        }
        assert!(serde_json::from_str::<Value>(&to_json("[1,,]")).is_err());
        assert!(serde_json::from_str::<Value>(&to_json("[1 2]")).is_err());
    }
}
