//! Names to look at for a word or a phrase, and a note on names that lie very close to another.
//!
//! A suggestion is only a candidate; nothing is ever bought in place of the name that was asked for.

use purser_values::name::DomainName;

/// Most candidates that are made.
pub const MOST: usize = 50;
/// Longest phrase that is looked at, in characters.
pub const PHRASE: usize = 128;

/// What is put before or after a word.
const BEFORE: [&str; 4] = ["get", "my", "the", "try"];
const AFTER: [&str; 6] = ["app", "hq", "site", "online", "shop", "now"];

/// Candidates below the suffixes, the plainest first. A suffix in the phrase is taken for what it is: `acme.test` looks for `acme`.
#[must_use]
pub fn candidates(phrase: &str, suffixes: &[String], limit: usize) -> Vec<DomainName> {
    let lower: String = phrase.chars().take(PHRASE).collect::<String>().to_ascii_lowercase();
    let lower = suffixes.iter().find_map(|suffix| lower.strip_suffix(suffix.as_str())?.strip_suffix('.')).unwrap_or(&lower);
    let words: Vec<String> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if words.is_empty() {
        return Vec::new();
    }
    let (joined, hyphened) = (words.concat(), words.join("-"));
    let mut labels = vec![joined.clone()];
    if hyphened != joined {
        labels.push(hyphened);
    }
    labels.extend(AFTER.iter().map(|it| format!("{joined}{it}")));
    labels.extend(BEFORE.iter().map(|it| format!("{it}{joined}")));
    labels.extend(AFTER.iter().map(|it| format!("{joined}-{it}")));
    let mut names: Vec<DomainName> = Vec::new();
    for label in labels {
        for suffix in suffixes {
            if let Ok(name) = format!("{label}.{suffix}").parse::<DomainName>()
                && !names.contains(&name)
                && label.get(2..4) != Some("--")
            {
                names.push(name);
            }
        }
    }
    names.truncate(limit.min(MOST));
    names
}

/// A sentence when a label is one slip of the hand away from one of `others`: a letter too many, too few, another, or two swapped. It is
/// for people to read and never decides anything.
#[must_use]
pub fn typo_note<'a>(label: &str, others: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let close = others.into_iter().find(|other| *other != label && one_slip(label, other))?;
    Some(format!("`{label}` differs from `{close}` by one slip of the hand; make sure that it is the name you mean"))
}

/// Whether the restricted Damerau-Levenshtein distance is one. Shorter labels are all close to each other, so they are left alone.
fn one_slip(a: &str, b: &str) -> bool {
    const SHORTEST: usize = 4;
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().min(b.len()) < SHORTEST || a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([], []) => false,
        ([x, y, rest_a @ ..], [v, w, rest_b @ ..]) if x == w && y == v && rest_a == rest_b => true,
        _ => {
            let (tail_a, tail_b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
            tail_a == tail_b || tail_a == b || a == tail_b
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_becomes_names_the_plainest_first_and_never_more_than_asked() {
        let zones = ["test".to_owned()];
        let names = candidates("Coffee Shop", &zones, 4);
        let texts: Vec<&str> = names.iter().map(DomainName::as_str).collect();
        assert_eq!(texts, ["coffeeshop.test", "coffee-shop.test", "coffeeshopapp.test", "coffeeshophq.test"]);
        assert_eq!(candidates("acme.test", &zones, 1)[0].as_str(), "acme.test");
        assert!(candidates("  …  ", &zones, 9).is_empty());
        assert!(candidates(&"x".repeat(5_000), &zones, 9).is_empty());
    }

    #[test]
    fn one_slip_is_noted_and_two_are_not() {
        for (label, other, close) in [
            ("gogle", "google", true),
            ("googgle", "google", true),
            ("goggle", "google", true),
            ("googel", "google", true),
            ("google", "google", false),
            ("gogel", "google", false),
            ("shop", "ship", true),
            ("abc", "abd", false),
        ] {
            assert_eq!(typo_note(label, [other]).is_some(), close, "{label} and {other}");
        }
    }
}
