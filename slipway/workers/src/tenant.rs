//! Who shares a process: an account's code of one environment.

use std::fmt;
use std::str::FromStr;

use purser_values::id::CloudAccountId;

/// A stage of an account's applications. The empty one is everything that nobody assigned to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Environment(String);

/// One process: the Workers of one environment of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    pub account: CloudAccountId,
    pub environment: Environment,
}

/// The text is no environment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an environment's name has at most 63 lower-case letters, digits, `-` and `_`")]
pub struct ParseEnvironmentError;

impl Environment {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Environment {
    type Err = ParseEnvironmentError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if s.len() <= 63 && s.bytes().all(plain) { Ok(Self(s.to_owned())) } else { Err(ParseEnvironmentError) }
    }
}

impl Tenant {
    /// The account's environment without a name.
    #[must_use]
    pub fn of(account: CloudAccountId) -> Self {
        Self { account, environment: Environment::default() }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.environment.as_str() {
            "" => write!(f, "{}", self.account),
            environment => write!(f, "{}/{environment}", self.account),
        }
    }
}
