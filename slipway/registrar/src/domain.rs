//! A domain that an account holds, and what can be done with it.

pub mod change;
pub mod check;
pub mod delete;
pub mod get;
pub mod look;
pub mod news;
pub mod poll;
pub mod quote;
pub mod register;
pub mod remove;
pub mod renew;
pub mod resume;

use purser_values::error::{Kind, PublicError};
use purser_values::id::{CloudAccountId, CloudResourceId, DomainId};
use purser_values::name::DomainName;
use purser_values::{Money, Timestamp};

use crate::registry::RegistryError;

/// The most years for which a name is registered at once.
pub const MAX_YEARS: u32 = 10;

/// A domain, or the attempt to get one. It is never renewed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub id: DomainId,
    pub account: CloudAccountId,
    /// The request that it was registered (or last taken up again) for.
    pub request: CloudResourceId,
    pub name: DomainName,
    pub years: u32,
    /// What was paid for all years, at the registry's own price.
    pub price: Money,
    /// Whether that is a special price, which its buyer stated.
    pub special: bool,
    pub created_at: Timestamp,
    pub state: State,
}

/// Where a domain is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The registry was or will be asked; the outcome is not known yet.
    Pending,
    Registered {
        registered_at: Timestamp,
        expires_at: Timestamp,
    },
    /// Removed by its account. A registration cannot be given back to the registry, so it stays the account's until it ends, which can
    /// take it up again: for nothing while it is paid.
    Detached {
        registered_at: Timestamp,
        expires_at: Timestamp,
        paid: Paid,
    },
    /// The registry said no; nothing was bought.
    Refused(Refusal),
    /// The registration is over. Until what stood on it is cleared away, nobody else gets the name here.
    Ended {
        why: Ending,
        cleared: bool,
    },
}

/// How a registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Given back to the registry in its first days, for its price.
    Deleted,
    /// Not renewed, and gone at the registry.
    Expired,
    /// Another registrar keeps it.
    Moved,
}

impl Ending {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Moved => "moved",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        [Self::Deleted, Self::Expired, Self::Moved].into_iter().find(|it| it.as_str() == code)
    }
}

/// Whether the account's money for a domain is still with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    Yes,
    /// Its order was undone and refunded: taking it up again costs its price again.
    GivenBack,
}

/// Why a name cannot be had. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the name is taken")]
    Taken,
    #[error("the name has a special price")]
    Premium,
    #[error("the registry does not accept the name")]
    Invalid,
    #[error("names below this suffix are not sold here")]
    UnsupportedSuffix,
    #[error("nobody has said for whom the name is registered")]
    NoHolder,
}

impl PublicError for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Taken => "domain_taken",
            Self::Premium => "domain_premium",
            Self::Invalid => "domain_invalid",
            Self::UnsupportedSuffix => "domain_suffix_unsupported",
            Self::NoHolder => "domain_holder_missing",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Taken => Kind::Conflict,
            Self::NoHolder => Kind::NeedsPerson,
            Self::Premium | Self::Invalid | Self::UnsupportedSuffix => Kind::Invalid,
        }
    }
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Taken => "choose another name",
            Self::Premium => "choose another name, or state its exact price in the order and have a person approve it",
            Self::NoHolder => "order it again; the person is asked once",
            Self::Invalid => "use one label of letters, digits and hyphens before the suffix",
            Self::UnsupportedSuffix => "see the service's description for the suffixes that are sold",
        };
        Some(hint.to_owned())
    }
}

impl Refusal {
    /// The refusal of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Taken, Self::Premium, Self::Invalid, Self::UnsupportedSuffix, Self::NoHolder].into_iter().find(|r| r.code() == code)
    }
}

/// A registry's no, or `Err` with its words when it gave no answer.
fn refusal(e: RegistryError) -> Result<Refusal, String> {
    match e {
        RegistryError::Taken => Ok(Refusal::Taken),
        RegistryError::Premium => Ok(Refusal::Premium),
        RegistryError::Invalid(_) => Ok(Refusal::Invalid),
        RegistryError::UnsupportedSuffix => Ok(Refusal::UnsupportedSuffix),
        RegistryError::Transient(why) => Err(why),
    }
}

/// Exactly one label before a suffix that the registry keeps. Nothing is ever added, cut or replaced: the name that was asked for
/// is the name that is bought.
/// # Errors
/// When it cannot be bought here.
pub fn exact(name: &DomainName, suffixes: &[String]) -> Result<(), Refusal> {
    let below = |suffix: &String| name.as_str().strip_suffix(suffix.as_str()).and_then(|rest| rest.strip_suffix('.'));
    match suffixes.iter().find_map(below) {
        None => Err(Refusal::UnsupportedSuffix),
        Some(label) if label.is_empty() || label.contains('.') => Err(Refusal::Invalid),
        // A hyphen in the third and fourth place marks an encoded name (RFC 5891 section 4.2.3.1); lookalikes hide there.
        Some(label) if label.get(2..4) == Some("--") => Err(Refusal::Invalid),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_label_below_a_kept_suffix_is_a_name_to_buy() {
        let check = |name: &str| exact(&name.parse().unwrap(), &["test".to_owned()]);
        assert_eq!(check("shop.test"), Ok(()));
        assert_eq!(check("a.shop.test"), Err(Refusal::Invalid));
        assert_eq!(check("xn--pypal-4ve.test"), Err(Refusal::Invalid));
        for other in ["shop.com", "shop.contest", "test.com", "shop.test.com"] {
            assert_eq!(check(other), Err(Refusal::UnsupportedSuffix), "`{other}` was taken");
        }
    }

    #[test]
    fn codes_and_back_are_the_same_refusals() {
        for refusal in [Refusal::Taken, Refusal::Premium, Refusal::Invalid, Refusal::UnsupportedSuffix, Refusal::NoHolder] {
            assert_eq!(Refusal::from_code(refusal.code()), Some(refusal));
        }
    }
}
