//! OAuth scopes (RFC 6749, 3.3): a set of words, in the order in which they were first said.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Lets a client know who signed in, by an ID token (OpenID Connect Core, 3.1.2.1).
pub const OPENID: &str = "openid";
/// Lets a client know the person's address.
pub const EMAIL: &str = "email";
/// Lets a client go on while the person is away, by a refresh token.
pub const OFFLINE: &str = "offline_access";
/// What persons can be asked for. No other scope gives a client anything of a person's.
pub const OF_PERSONS: [&str; 3] = [OPENID, EMAIL, OFFLINE];

/// Most words in one scope, and the longest word.
const WORDS: usize = 32;
const WORD_CHARS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope is up to {WORDS} words with single spaces between them, each of up to {WORD_CHARS} visible characters other than quotes")]
pub struct ParseScopeError;

impl FromStr for Scope {
    type Err = ParseScopeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words: Vec<String> = Vec::new();
        if text.is_empty() {
            return Ok(Self(words));
        }
        for word in text.split(' ') {
            let fits =
                !word.is_empty() && word.len() <= WORD_CHARS && word.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
            if !fits || words.len() == WORDS {
                return Err(ParseScopeError);
            }
            if !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        Ok(Self(words))
    }
}

impl TryFrom<String> for Scope {
    type Error = ParseScopeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Scope {
    /// All that a person can be asked for.
    #[must_use]
    pub fn of_persons() -> Self {
        Self(OF_PERSONS.iter().map(|&word| word.to_owned()).collect())
    }

    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every word of `self` is one of `other`'s.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|word| other.contains(word))
    }

    /// The words for which `keep` says yes.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|word| keep(word)).cloned().collect())
    }

    /// The words of both, as remembered consents add up.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(other.0.iter().filter(|word| !self.contains(word)).cloned());
        Self(all)
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_set_of_words_with_single_spaces() {
        let scope: Scope = "openid email openid".parse().unwrap();
        assert_eq!(scope.to_string(), "openid email");
        assert!(scope.contains("email") && !scope.contains("mail"));
        assert!("openid".parse::<Scope>().unwrap().is_within(&scope) && !scope.is_within(&"openid".parse().unwrap()));
        assert!("".parse::<Scope>().unwrap().is_empty());
        for bad in ["a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?} was taken");
        }
    }
}
