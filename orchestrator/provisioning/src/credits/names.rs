//! By what a provider recognises who had a credit before: names of the organisation, of the people who own it, of their mailboxes and of
//! their domain.
//!
//! Each is a keyed digest for one provider: it learns nothing from it but whether it has seen it before.

use std::collections::BTreeSet;

use purser_authority::Role;
use purser_db::{DbError, Tx};
use purser_identity::{Realm, person};
use purser_values::id::OrganisationId;
use purser_values::name::ProviderName;
use purser_wire::limits::CREDIT_NAMES;

/// Domains at which anybody has a mailbox: two people there have nothing to do with each other.
const PUBLIC: [&str; 24] = [
    "aol.com",
    "fastmail.com",
    "gmail.com",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hey.com",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "outlook.com",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "web.de",
    "yahoo.com",
    "yandex.com",
];

/// The names of an organisation, as it is now. Where it has more owners than an attestation carries, those who were there first count.
///
/// # Errors
/// When the store fails.
pub fn names(tx: &mut Tx<'_>, realm: &Realm, organisation: &OrganisationId, provider: &ProviderName) -> Result<BTreeSet<String>, DbError> {
    let name = |kind: &str, value: &str| realm.credit_name(kind, value, provider);
    let mut all = BTreeSet::from([name("organisation", organisation.as_str())]);
    for member in person::payers(tx, organisation)?.into_iter().filter(|member| member.role == Role::Owner) {
        let (email, domain) = (member.person.email.canonical(), member.person.email.domain().to_owned());
        let mut own = vec![name("person", member.person.id.as_str()), name("mailbox", &email)];
        if !PUBLIC.contains(&domain.as_str()) {
            own.push(name("domain", &domain));
        }
        if all.len() + own.len() > CREDIT_NAMES {
            break;
        }
        all.extend(own);
    }
    Ok(all)
}
