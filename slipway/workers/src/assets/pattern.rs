//! The paths of rules: text with one `*` and with `:placeholders`, and what they stood for.
//!
//! A rule is a tenant's and is tried on every request, so matching never goes back further than one `*`.

use serde::{Deserialize, Serialize};

/// A parsed path of a rule, or an address `https://host/path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Piece {
    Text(String),
    /// Any text; at most one in a pattern.
    Splat,
    /// At least one character of one segment.
    Named(String),
}

/// What the placeholders of a pattern stood for, longest name first.
pub type Found = Vec<(String, String)>;

impl Pattern {
    /// Nothing when the text has more than one `*`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        // the colon of `https://` begins no name
        if let Some(address) = rest.strip_prefix("https://") {
            plain.push_str("https://");
            rest = address;
        }
        while let Some(first) = rest.chars().next() {
            let name = rest.strip_prefix(':').map(name).filter(|name| !name.is_empty());
            let piece = match (first, name) {
                ('*', _) => Piece::Splat,
                (_, Some(name)) => Piece::Named(name.to_owned()),
                _ => {
                    plain.push(first);
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            rest = match &piece {
                Piece::Named(name) => &rest[1 + name.len()..],
                _ => &rest[1..],
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        (pieces.iter().filter(|p| **p == Piece::Splat).count() <= 1).then_some(Self(pieces))
    }

    /// Whether there is nothing but text in it.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Matches a path, or the whole address where the pattern names a host.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<Found> {
        let address;
        let text = match self.0.first() {
            Some(Piece::Text(begin)) if begin.starts_with("https://") => {
                address = format!("https://{host}{path}");
                &address
            }
            _ => path,
        };
        let mut found = Vec::new();
        let (before, after) = match self.0.iter().position(|piece| *piece == Piece::Splat) {
            None => (&self.0[..], None),
            Some(at) => (&self.0[..at], Some(&self.0[at + 1..])),
        };
        let end = step(before, text, 0, after.is_none(), &mut found)?;
        if let Some(after) = after {
            let rest = &text[end..];
            // from the back, because a splat takes as much as it can
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).rev();
            let kept = found.len();
            let at = starts.into_iter().find(|at| {
                found.truncate(kept);
                step(after, rest, *at, true, &mut found).is_some()
            })?;
            found.push(("splat".to_owned(), rest[..at].to_owned()));
        }
        found.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Some(found)
    }
}

/// Puts what was found in the place of `:name` and `:splat`.
#[must_use]
pub fn filled(text: &str, found: &Found) -> String {
    found.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!(":{name}"), value))
}

/// The name at the beginning of a text: a letter, then letters, digits and `_`.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) { &text[..end] } else { "" }
}

/// Matches pieces without a splat from `at` on; where they end, when they do not have to end with the text.
fn step(pieces: &[Piece], text: &str, mut at: usize, whole: bool, found: &mut Found) -> Option<usize> {
    for (number, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(plain) => at += text.get(at..)?.strip_prefix(plain.as_str()).map(|_| plain.len())?,
            Piece::Named(name) => {
                let rest = text.get(at..)?;
                let segment = rest.find('/').unwrap_or(rest.len());
                let length = match pieces.get(number + 1) {
                    Some(Piece::Text(next)) => {
                        let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
                        ends.filter(|end| (1..=segment).contains(end)).rfind(|end| rest[*end..].starts_with(next.as_str()))?
                    }
                    Some(_) => rest.chars().next().map(char::len_utf8).filter(|length| *length <= segment)?,
                    None => segment,
                };
                if length == 0 {
                    return None;
                }
                found.push((name.clone(), rest[..length].to_owned()));
                at += length;
            }
            Piece::Splat => return None,
        }
    }
    (!whole || at == text.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_stands_for_is_found() {
        for (pattern, path, expected) in [
            ("/a", "/a", Some("")),
            ("/a", "/ab", None),
            ("/a/*", "/a/", Some("splat=")),
            ("/a/*", "/a/b/c", Some("splat=b/c")),
            ("/*/end", "/x/end/end", Some("splat=x/end")),
            ("/u/:id", "/u/7", Some("id=7")),
            ("/u/:id", "/u/7/8", None),
            ("/u/:id", "/u/", None),
            ("/:a-:b", "/x-y-z", Some("a=x-y b=z")),
            ("/*/x/:id", "/p/q/x/9", Some("splat=p/q id=9")),
            ("https://app.test/*", "/z", Some("splat=z")),
            ("https://:sub.test/z", "/z", Some("sub=app")),
            ("https://other.test/*", "/z", None),
        ] {
            let found = Pattern::parse(pattern).unwrap().find("app.test", path);
            let told = found.map(|all| all.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" "));
            assert_eq!(told.as_deref(), expected, "{pattern} {path}");
        }
        assert!(Pattern::parse("/*/*").is_none());
    }

    #[test]
    fn a_longer_name_is_not_taken_for_a_shorter_one() {
        let found = Pattern::parse("/:id/:idea").unwrap().find("", "/1/2").unwrap();
        assert_eq!(filled("/:idea/:id", &found), "/2/1");
    }

    #[test]
    fn a_hostile_rule_takes_no_longer_than_a_long_path() {
        let pattern = Pattern::parse(&format!("/{}*{}", ":a-".repeat(300), "b:c".repeat(300))).unwrap();
        let begun = std::time::Instant::now();
        assert!(pattern.find("", &format!("/{}", "a-".repeat(4_000))).is_none());
        assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    }
}
