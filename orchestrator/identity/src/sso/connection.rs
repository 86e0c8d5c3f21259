//! The companies of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use purser_authority::Role;
use purser_values::error::{Kind, PublicError};
use purser_values::id::OrganisationId;
use purser_values::name::{ConnectionName, Email, HostName};

/// One company's OpenID provider, as far as it decides who gets in.
#[derive(Clone, Debug)]
pub struct Connection {
    pub name: ConnectionName,
    /// What people call it.
    pub label: String,
    /// The `iss` of its tokens, word for word.
    pub issuer: String,
    pub client_id: String,
    /// Domains whose addresses it may vouch for; not those below them.
    pub domains: Vec<HostName>,
    /// Whether it is the only way in for the addresses of these domains.
    pub required: bool,
    /// Where its people are members from their first sign-in on.
    pub organisation: Option<OrganisationId>,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// Roles by group. Where there are any, they decide at every sign-in.
    pub roles: Vec<RoleRule>,
    /// The role of those who are in none of the groups; without it they are no members.
    pub default_role: Option<Role>,
    /// Whether it can be asked anew who somebody is, and says when it did. Otherwise other ways confirm that it is the person.
    pub confirms: bool,
}

#[derive(Clone, Debug)]
pub struct RoleRule {
    pub group: String,
    pub role: Role,
}

impl Connection {
    #[must_use]
    pub fn has_domain_of(&self, email: &Email) -> bool {
        let domain = email.as_str().rsplit('@').next().unwrap_or_default();
        self.domains.iter().any(|d| d.as_str() == domain)
    }

    /// Whether groups decide who has which role.
    #[must_use]
    pub fn maps_roles(&self) -> bool {
        !self.roles.is_empty()
    }

    /// The role in the company's organisation: the strongest of the person's groups.
    #[must_use]
    pub fn role_of(&self, groups: &[String]) -> Option<Role> {
        let given = |role: &Role| self.roles.iter().any(|rule| rule.role == *role && groups.contains(&rule.group));
        let fallback = if self.maps_roles() { self.default_role } else { Some(self.default_role.unwrap_or(Role::Member)) };
        Role::ALL.iter().copied().find(given).or(fallback)
    }
}

/// All of them, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<BTreeMap<ConnectionName, Connection>>);

impl FromIterator<Connection> for Connections {
    fn from_iter<I: IntoIterator<Item = Connection>>(all: I) -> Self {
        Self(Arc::new(all.into_iter().map(|one| (one.name.clone(), one)).collect()))
    }
}

impl Connections {
    #[must_use]
    pub fn find(&self, name: &ConnectionName) -> Option<&Connection> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.0.values()
    }

    /// The company that alone signs this address in.
    #[must_use]
    pub fn required_for(&self, email: &Email) -> Option<&Connection> {
        self.iter().find(|one| one.required && one.has_domain_of(email))
    }

    /// INVARIANT (company-domain): asked wherever somebody gets in, or an address changes hands, without the company.
    ///
    /// # Errors
    /// When the address is one that a company signs in.
    pub fn refuse_others(&self, email: &Email) -> Result<(), SsoRequired> {
        self.required_for(email).map_or(Ok(()), |one| Err(SsoRequired { label: one.label.clone() }))
    }

    /// Whether a session of this address that began through `by` (or through none) counts.
    #[must_use]
    pub fn let_in(&self, email: &Email, by: Option<&ConnectionName>) -> bool {
        let still_there = by.is_none_or(|name| self.find(name).is_some());
        still_there && self.required_for(email).is_none_or(|one| by == Some(&one.name))
    }
}

/// The address belongs to a company that signs its people in itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("addresses of this domain sign in through `{label}` and in no other way")]
pub struct SsoRequired {
    pub label: String,
}

impl PublicError for SsoRequired {
    fn code(&self) -> &'static str {
        "sso_required"
    }
    fn kind(&self) -> Kind {
        Kind::Forbidden
    }
    fn hint(&self) -> Option<String> {
        Some(format!("take `Sign in with {}` on the sign-in page", self.label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme(required: bool) -> Connection {
        let rule = |group: &str, role| RoleRule { group: group.to_owned(), role };
        Connection {
            name: "acme".parse().unwrap(),
            label: "Acme".to_owned(),
            issuer: "https://id.acme.test".to_owned(),
            client_id: "purser".to_owned(),
            domains: vec!["acme.test".parse().unwrap()],
            required,
            organisation: None,
            groups_claim: "groups".to_owned(),
            roles: vec![rule("platform", Role::Admin), rule("staff", Role::Member), rule("books", Role::Billing)],
            default_role: None,
            confirms: true,
        }
    }

    #[test]
    fn the_strongest_of_the_groups_counts_and_without_one_there_is_no_role() {
        let mut one = acme(false);
        let role = |one: &Connection, groups: &[&str]| one.role_of(&groups.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>());
        assert_eq!(role(&one, &["staff", "platform"]), Some(Role::Admin));
        assert_eq!(role(&one, &["books"]), Some(Role::Billing));
        assert_eq!((role(&one, &[]), role(&one, &["Platform", "owner"])), (None, None));
        one.default_role = Some(Role::Auditor);
        assert_eq!(role(&one, &["else"]), Some(Role::Auditor));
        (one.roles, one.default_role) = (vec![], None);
        assert_eq!(role(&one, &["platform"]), Some(Role::Member));
    }

    #[test]
    fn a_required_company_is_for_its_own_domain_and_a_session_of_another_way_does_not_count() {
        let all: Connections = [acme(true)].into_iter().collect();
        let email = |text: &str| -> Email { text.parse().unwrap() };
        for own in ["ada@acme.test", "ADA@ACME.test", "a.b+c@acme.test"] {
            assert!(all.refuse_others(&email(own)).is_err(), "{own}");
        }
        for other in ["ada@evil-acme.test", "ada@sub.acme.test", "ada@acme.test.evil.test", "acme.test@evil.test"] {
            assert!(all.refuse_others(&email(other)).is_ok(), "{other}");
        }
        let (name, gone): (ConnectionName, ConnectionName) = ("acme".parse().unwrap(), "gone".parse().unwrap());
        let ada = email("ada@acme.test");
        assert!(all.let_in(&ada, Some(&name)) && !all.let_in(&ada, None) && !all.let_in(&ada, Some(&gone)));
        let eve = email("eve@else.test");
        assert!(all.let_in(&eve, None) && all.let_in(&eve, Some(&name)) && !all.let_in(&eve, Some(&gone)));
    }
}
