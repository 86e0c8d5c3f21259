//! The rules of a `_headers` file, and what both files of rules have in common.

use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use serde::{Deserialize, Serialize};

use super::pattern::{Pattern, filled};
use crate::limits;

/// Headers for the paths that a pattern meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRule {
    path: Pattern,
    set: Vec<(String, String)>,
    unset: Vec<String>,
}

/// The frame of a message is ours.
const FRAME: [HeaderName; 6] = [CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// The lines that say something.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let said = |line: &&str| !line.is_empty() && !line.starts_with('#') && line.len() <= limits::RULE_LINE_BYTES;
    text.lines().map(str::trim).filter(said)
}

/// Reads a file. Lines that make no sense are left out, as the client has already told their author.
#[must_use]
pub fn parse(text: &str) -> Vec<HeaderRule> {
    let mut rules: Vec<HeaderRule> = Vec::new();
    let mut open: Option<HeaderRule> = None;
    for line in lines(text) {
        let starts_path = line.starts_with('/') || line.split_whitespace().next().is_some_and(|word| word.contains("://"));
        if starts_path {
            rules.extend(open.take().filter(says));
            let port = line.strip_prefix("https://").is_some_and(|rest| rest.split('/').next().unwrap_or_default().contains(':'));
            let fits = line.starts_with('/') || (line.starts_with("https://") && !port);
            open = Pattern::parse(line).filter(|_| fits).map(|path| HeaderRule { path, set: Vec::new(), unset: Vec::new() });
            continue;
        }
        let Some(rule) = &mut open else { continue };
        if let Some(name) = line.strip_prefix("! ") {
            rule.unset.push(name.trim().to_ascii_lowercase());
        } else if let Some((name, value)) = line.split_once(':') {
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name.parse::<HeaderName>().is_err() || value.is_empty() {
                continue;
            }
            match rule.set.iter_mut().find(|(known, _)| *known == name) {
                Some((_, before)) => *before = format!("{before}, {value}"),
                None => rule.set.push((name, value.to_owned())),
            }
        }
    }
    rules.extend(open.filter(says));
    rules.truncate(limits::HEADER_RULES);
    rules
}

fn says(rule: &HeaderRule) -> bool {
    !rule.set.is_empty() || !rule.unset.is_empty()
}

/// Changes an answer's headers by every rule that meets its path, in their order. What two rules set has both values.
pub fn apply(rules: &[HeaderRule], host: &str, path: &str, headers: &mut HeaderMap) {
    let mut ours: Vec<HeaderName> = Vec::new();
    for rule in rules {
        let Some(found) = rule.path.find(host, path) else { continue };
        for name in rule.unset.iter().filter_map(|name| name.parse::<HeaderName>().ok()).filter(|name| !FRAME.contains(name)) {
            headers.remove(&name);
        }
        for (name, value) in &rule.set {
            let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::try_from(filled(value, &found))) else { continue };
            if FRAME.contains(&name) {
                continue;
            }
            if ours.contains(&name) {
                headers.append(name, value);
            } else {
                headers.insert(name.clone(), value);
                ours.push(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_set_joined_and_taken_off() {
        let text = "x-lost: no path yet\n/*\n  X-Frame-Options: DENY\n  X-Two: a\n  X-Two: b\n  Content-Length: 0\n/a/*\n  ! X-Frame-Options\n  \
                    X-Two: c\n  X-Part: :splat\nhttps://app.test/b\n  X-Host: yes\n/empty\nhttp://x/\n  X-Never: 1\n";
        let rules = parse(text);
        assert_eq!(rules.len(), 3);
        let meets = |path: &str| {
            let mut headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("5"))]);
            apply(&rules, "app.test", path, &mut headers);
            let mut all: Vec<String> = headers.iter().map(|(n, v)| format!("{n}={}", v.to_str().unwrap())).collect();
            all.sort();
            all.join(" ")
        };
        assert_eq!(meets("/x"), "content-length=5 x-frame-options=DENY x-two=a, b");
        assert_eq!(meets("/a/y"), "content-length=5 x-part=y x-two=a, b x-two=c");
        assert_eq!(meets("/b"), "content-length=5 x-frame-options=DENY x-host=yes x-two=a, b");
    }

    #[test]
    fn a_path_cannot_write_a_second_header() {
        let rules = parse("/*\n  X-Part: :splat\n");
        let mut headers = HeaderMap::new();
        apply(&rules, "", "/a\r\nset-cookie: x=1", &mut headers);
        assert!(headers.is_empty());
    }
}
