//! API tokens: `slp_…`, minted for one agent and one resource, stored as a digest.

pub mod mint;
pub mod revoke;
pub mod tree;
pub mod verify;

use std::fmt;
use std::str::FromStr;

use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_wire::id::AgentId;

/// What every token starts with.
pub const PREFIX: &str = "slp";

/// What a token may do, in its own account only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Scripts, versions, deployments, secrets, settings.
    Workers,
    /// Uploading static files.
    Assets,
    /// Connecting the account's own domains to Workers.
    Domains,
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u8);

/// A token that was presented and is known, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// 32 hexadecimal digits.
    pub id: String,
    pub account: CloudAccountId,
    pub agent: Option<AgentId>,
    pub resource: CloudResourceId,
    /// What the orchestrator calls the environment for which the resource was ordered.
    pub environment: Option<String>,
    pub permissions: Permissions,
    /// The part that may be shown.
    pub prefix: String,
}

impl Permission {
    const ALL: [Self; 3] = [Self::Workers, Self::Assets, Self::Domains];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Assets => "assets",
            Self::Domains => "domains",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Workers => 1,
            Self::Assets => 2,
            Self::Domains => 4,
        }
    }
}

impl Permissions {
    /// Everything that a token can ever do.
    pub const ALL: Self = Self(7);

    #[must_use]
    pub fn of(list: &[Permission]) -> Self {
        Self(list.iter().fold(0, |bits, p| bits | p.bit()))
    }

    /// With one more.
    #[must_use]
    pub const fn and(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// What both hold.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What the other does not hold.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }

    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Permission::ALL.into_iter().filter(|p| self.contains(*p)).map(Permission::as_str).collect();
        f.write_str(&names.join(" "))
    }
}
impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no permission")]
pub struct UnknownPermission(String);

impl FromStr for Permissions {
    type Err = UnknownPermission;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.split_ascii_whitespace().try_fold(Self(0), |set, word| {
            let found = Permission::ALL.into_iter().find(|p| p.as_str() == word);
            found.map(|p| Self(set.0 | p.bit())).ok_or_else(|| UnknownPermission(word.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_survive_their_text_and_an_unknown_one_is_an_error() {
        for set in [Permissions::ALL, Permissions::of(&[Permission::Domains]), Permissions::of(&[])] {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert!("workers billing".parse::<Permissions>().is_err());
        assert!(!Permissions::of(&[Permission::Workers]).contains(Permission::Domains));
    }
}
