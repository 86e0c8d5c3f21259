//! The part of a name that its owner chose, and its pieces.

use super::Kind;
use super::fold;

/// No name is longer (RFC 1035, section 2.3.4); what is longer is cut before anything looks at it.
const LONGEST_NAME: usize = 253;

/// The label under judgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Label {
    /// As people see it: lower case, no punycode.
    pub shown: String,
    /// Letters and digits only, look-alikes of the Latin alphabet replaced by what they look like.
    pub plain: String,
    /// The pieces between hyphens, digits at their ends cut off.
    pub words: Vec<String>,
}

impl Label {
    pub fn of(name: &str, kind: Kind) -> Self {
        let shown = fold::shown(chosen(&tidy(name), kind));
        let latin = fold::latin(&shown);
        let words = latin
            .split(|letter: char| !letter.is_alphanumeric())
            .map(|word| word.trim_matches(|letter: char| letter.is_ascii_digit()).to_owned())
            .filter(|word| !word.is_empty())
            .collect();
        let plain = latin.chars().filter(|letter| letter.is_alphanumeric()).collect();
        Self { shown, plain, words }
    }
}

/// Words that projects of people who have nothing to do with each other are called. A label of these alone tells of no family.
const ORDINARY: &str = "admin application apps assets backend blog bots cloud cloudflare company dashboard demo docs example frontend \
    functions gateway hello home hooks image images landing link links main mail media news page pages personal playground portfolio \
    preview production project proxy redirect sample server service shop site staging starter static status store support template \
    test testing tests tools tutorial upload uploads webhook webhooks website welcome wiki worker workers world";

/// The family that a label belongs to: what is left without digits and without pieces of fewer than four letters.
/// Campaigns put names of one family online hour by hour; nothing when too little is left to say, or nothing but what everybody's
/// projects are called.
#[must_use]
pub fn stem(label: &str) -> Option<String> {
    const SHORTEST_PIECE: usize = 4;
    let letters: String = fold::latin(&fold::shown(&tidy(label))).chars().filter(|letter| !letter.is_ascii_digit()).collect();
    let pieces: Vec<&str> =
        letters.split(|letter: char| !letter.is_alphanumeric()).filter(|piece| piece.chars().count() >= SHORTEST_PIECE).collect();
    let tells = |piece: &&str| !ORDINARY.split_whitespace().any(|word| word == *piece);
    pieces.iter().any(tells).then(|| pieces.join("-"))
}

fn tidy(name: &str) -> String {
    let end = (0..=LONGEST_NAME.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name[..end].trim().trim_end_matches('.').to_lowercase()
}

/// The label that was chosen: the one left of the public suffix, or the leftmost of a host on a platform that the list
/// of suffixes does not know.
fn chosen(name: &str, kind: Kind) -> &str {
    let name = name.strip_prefix("www.").unwrap_or(name);
    let first = name.split('.').next().unwrap_or(name);
    let Some(suffix) = psl::suffix(name.as_bytes()) else { return first };
    if kind == Kind::Project && suffix.typ() != Some(psl::Type::Private) {
        return first;
    }
    let left = name.len().saturating_sub(suffix.as_bytes().len());
    match name[..left].trim_end_matches('.') {
        "" => first,
        rest => rest.rsplit('.').next().unwrap_or(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_what_the_owner_chose() {
        for (name, kind, label) in [
            ("Example.CO.UK.", Kind::Domain, "example"),
            ("www.example.com", Kind::Domain, "example"),
            ("example", Kind::Domain, "example"),
            ("co.uk", Kind::Domain, "co"),
            ("example.pages.dev", Kind::Project, "example"),
            ("preview.example.pages.dev", Kind::Project, "example"),
            ("example.workers.localhost", Kind::Project, "example"),
            ("xn--bcher-kva.example", Kind::Domain, "bücher"),
            ("", Kind::Domain, ""),
        ] {
            assert_eq!(Label::of(name, kind).shown, label, "{name}");
        }
    }

    #[test]
    fn a_family_is_what_stays_when_numbers_and_short_pieces_change() {
        assert_eq!(stem("claim-drop-17a").as_deref(), Some("claim-drop"));
        assert_eq!(stem("claim2-drop-x9"), stem("claim7-drop"));
        assert_eq!(stem("a1-b2"), None);
        assert_eq!(stem("hello-world-7"), None);
        assert_eq!(stem("hello-harbour").as_deref(), Some("hello-harbour"));
    }
}
