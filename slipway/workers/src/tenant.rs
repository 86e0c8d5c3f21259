//! Who shares a process: an account's Workers of one environment.
//!
//! An environment is what the orchestrator calls it where the token was ordered with which a Worker was made; a Worker stays in it. What two
//! environments call differently shares nothing, and what nobody assigned to one is `production`.

use std::fmt;
use std::str::FromStr;

use purser_values::Sha256Digest;
use purser_values::id::CloudAccountId;

/// A stage of an account's applications.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Environment(String);

/// One process: the Workers of one environment of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    pub account: CloudAccountId,
    pub environment: Environment,
}

/// The text is no environment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an environment's name has 1 to {LONGEST} lower-case letters, digits, `-` and `_`")]
pub struct ParseEnvironmentError;

const PRODUCTION: &str = "production";
/// Longest name, in bytes.
const LONGEST: usize = 63;
/// Digits of a digest that stands for a name which is none.
const DIGITS: usize = 32;

impl Environment {
    /// The environment that somebody else calls so. Any text names one, and no two texts the same: what is no name is told by its digest.
    #[must_use]
    pub fn called(text: Option<&str>) -> Self {
        match text.filter(|text| !text.is_empty()) {
            None => Self::default(),
            Some(text) => text.parse().unwrap_or_else(|_| {
                let digest = Sha256Digest::of(text.as_bytes()).to_string();
                Self(format!("x-{}", &digest[..DIGITS]))
            }),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == PRODUCTION
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self(PRODUCTION.to_owned())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Environment {
    type Err = ParseEnvironmentError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=LONGEST).contains(&s.len()) && s.bytes().all(plain) { Ok(Self(s.to_owned())) } else { Err(ParseEnvironmentError) }
    }
}

impl Tenant {
    /// The account's environment that nobody named.
    #[must_use]
    pub fn of(account: CloudAccountId) -> Self {
        Self { account, environment: Environment::default() }
    }

    /// The folder of what its Durable Objects keep. A name of an environment has no `.`, nor has an account's id.
    #[must_use]
    pub fn folder(&self) -> String {
        if self.environment.is_default() { self.account.to_string() } else { format!("{}.{}", self.account, self.environment) }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.environment.is_default() { write!(f, "{}", self.account) } else { write!(f, "{}/{}", self.account, self.environment) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_environment_is_called_it_is_one_and_none_is_anothers() {
        assert_eq!(Environment::called(None), Environment::called(Some("production")));
        assert_eq!(Environment::called(Some("")), Environment::default());
        assert_eq!(Environment::called(Some("staging-2")).as_str(), "staging-2");
        let odd = ["Production", "../x", "a.b", "ä", &"a".repeat(64), &"a".repeat(65)].map(|text| Environment::called(Some(text)));
        for (i, one) in odd.iter().enumerate() {
            assert!(one.as_str().parse::<Environment>().is_ok() && !one.is_default(), "{one}");
            assert!(odd[..i].iter().all(|other| other != one), "{one}");
        }
    }
}
