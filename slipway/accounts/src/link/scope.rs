//! What an orchestrator may do in an account, in the words that a person reads before agreeing.

use std::fmt;
use std::str::FromStr;

/// One thing that a connection allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    ResourcesRead,
    ResourcesWrite,
    Purchases,
    AgentsControl,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::ResourcesRead, Self::ResourcesWrite, Self::Purchases, Self::AgentsControl];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResourcesRead => "resources:read",
            Self::ResourcesWrite => "resources:write",
            Self::Purchases => "purchases",
            Self::AgentsControl => "agents:control",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ResourcesRead => "see what this account has: its plans, domains and access to Workers",
            Self::ResourcesWrite => "add and remove services, deploy code, and replace API tokens",
            Self::Purchases => "buy plans and domains with its own payment tokens (nothing is charged to you here)",
            Self::AgentsControl => "stop its agents' API tokens, and freeze and thaw the account",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::ResourcesRead => 1,
            Self::ResourcesWrite => 2,
            Self::Purchases => 4,
            Self::AgentsControl => 8,
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{0}`; known are `resources:read`, `resources:write`, `purchases` and `agents:control`")]
pub struct UnknownScope(String);

impl Scopes {
    pub const ALL: Self = Self(15);

    /// The scopes of a request; none asked for means all, as an orchestrator that knows no scopes expects.
    ///
    /// # Errors
    /// When one is not known.
    pub fn asked(names: &[String]) -> Result<Self, UnknownScope> {
        let set = names.join(" ").parse::<Self>()?;
        Ok(if set.0 == 0 { Self::ALL } else { set })
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// The names on the wire.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.iter().map(|scope| scope.as_str().to_owned()).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}
impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.split_ascii_whitespace().try_fold(Self(0), |set, word| {
            let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
            found.map(|scope| Self(set.0 | scope.bit())).ok_or_else(|| UnknownScope(word.chars().take(40).collect()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_survive_their_text_and_an_unknown_one_is_refused() {
        assert_eq!(Scopes::ALL.to_string().parse(), Ok(Scopes::ALL));
        assert_eq!(Scopes::asked(&[]), Ok(Scopes::ALL));
        assert_eq!(Scopes::asked(&["resources:read".to_owned()]).unwrap().names(), ["resources:read"]);
        assert!(Scopes::asked(&["resources:read".to_owned(), "tokens:mint".to_owned()]).is_err());
    }
}
