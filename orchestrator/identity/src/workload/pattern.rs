//! Which subjects are meant: `repo:acme/shop:ref:refs/heads/main`, or with `*` for one whole part of it.
//!
//! A part ends at `:` and `/`. A star stands for exactly one part and never reaches across, so that `repo:acme/*:ref:refs/heads/main`
//! means every repository of `acme` and nothing of `acme/x:ref:refs/heads/evil`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::WORKLOAD_TEXT_CHARS;

const SEPARATORS: [char; 2] = [':', '/'];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPattern(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePatternError {
    #[error("a subject has 1 to {WORKLOAD_TEXT_CHARS} visible characters")]
    Text,
    #[error("`*` stands for one whole part between `:` and `/`, not for a piece of one")]
    Piece,
    #[error("the first part must be written out, and not every part can be `*`")]
    Everything,
}

impl FromStr for SubjectPattern {
    type Err = ParsePatternError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > WORKLOAD_TEXT_CHARS || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ParsePatternError::Text);
        }
        let mut parts = text.split(SEPARATORS);
        if parts.clone().any(|part| part.contains('*') && part != "*") {
            return Err(ParsePatternError::Piece);
        }
        if parts.next() == Some("*") {
            return Err(ParsePatternError::Everything);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for SubjectPattern {
    type Error = ParsePatternError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SubjectPattern> for String {
    fn from(pattern: SubjectPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SubjectPattern {
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let separators = |text: &str| text.chars().filter(|c| SEPARATORS.contains(c)).collect::<Vec<_>>();
        if separators(&self.0) != separators(subject) {
            return false;
        }
        let pairs = self.0.split(SEPARATORS).zip(subject.split(SEPARATORS));
        pairs.into_iter().all(|(wanted, found)| if wanted == "*" { !found.is_empty() } else { wanted == found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_part_and_never_reaches_across() {
        let pattern: SubjectPattern = "repo:acme/*:ref:refs/heads/main".parse().unwrap();
        assert!(pattern.matches("repo:acme/shop:ref:refs/heads/main"));
        for other in [
            "repo:acme/:ref:refs/heads/main",
            "repo:acme/shop:ref:refs/heads/dev",
            "repo:acme/shop:ref:refs/heads/main/x",
            "repo:acme/x:ref:refs/heads/evil:ref:refs/heads/main",
            "repo:acme/x/y:ref:refs/heads/main",
            "repo:acme:x:ref:refs/heads/main",
            "repo:evil/shop:ref:refs/heads/main",
            "REPO:acme/shop:ref:refs/heads/main",
            "xrepo:acme/shop:ref:refs/heads/main",
            "",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
        let exact: SubjectPattern = "job-7".parse().unwrap();
        assert!(exact.matches("job-7") && !exact.matches("job-77"));
    }

    #[test]
    fn a_pattern_of_everything_or_of_pieces_is_none() {
        for bad in ["", "*", "*:acme", "*/*", "repo:ac*", "repo:**", "repo:acme shop", "repo:\u{e4}"] {
            assert!(bad.parse::<SubjectPattern>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(513).parse::<SubjectPattern>().is_err());
    }
}
