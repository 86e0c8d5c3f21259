//! What the ids of an organisation are called by people: an address for a person, the claimed name for an agent.

use std::collections::BTreeMap;

use purser_db::{DbError, Tx, params};
use purser_values::id::OrganisationId;
use purser_values::name::Email;

use crate::person::for_people;

/// Names by id.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// What the id is called; nothing for one that has no name of its own.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

/// Everybody who belongs to the organisation or left something behind there, its agents, their grants, and the terms that were accepted.
///
/// # Errors
/// When the store fails.
pub fn names_of(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Names, DbError> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let persons = "select id, email from person where id in (select person from membership where organisation = $1
        union select person from agent_grant where organisation = $1 union select person from terms_acceptance where organisation = $1)";
    for row in tx.query(persons, params![organisation])? {
        let email: Email = row.parse("email")?;
        names.insert(row.get("id")?, for_people(&email));
    }
    for row in tx.query("select id, name from agent where organisation = $1", params![organisation])? {
        names.insert(row.get("id")?, format!("\u{201c}{}\u{201d}", row.get::<String>("name")?));
    }
    let grants = "select g.id as id, a.name as name from agent_grant g join agent a on a.id = g.agent where g.organisation = $1";
    for row in tx.query(grants, params![organisation])? {
        names.insert(row.get("id")?, format!("a grant of \u{201c}{}\u{201d}", row.get::<String>("name")?));
    }
    for row in tx.query("select id, provider, version from terms_acceptance where organisation = $1", params![organisation])? {
        let (provider, version) = (row.get::<String>("provider")?, row.get::<String>("version")?);
        names.insert(row.get("id")?, format!("terms of {provider}, version {version}"));
    }
    Ok(Names(names))
}
