//! People: who can sign in, and whose accounts are.
//!
//! A person is a mailbox that somebody proved, or that an orchestrator attested (then the person is *unclaimed* until the first
//! sign-in). Two addresses are one exactly when they are one text after parsing: case is folded, and nothing else. A plus or a dot
//! may be another mailbox, and characters outside ASCII are refused, so nothing that looks alike is alike.
//!
//! INVARIANT (mailbox-not-inherited): a mailbox that nobody has shown to be the same person's for a year is taken for somebody
//! else's. Whoever signs in with it then is a new person and owns nothing.

pub mod find;
pub mod prove;

use purser_db::{DbError, Row};
use purser_values::Timestamp;
use purser_values::id::CloudPersonId;
use purser_values::name::Email;

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: CloudPersonId,
    pub email: Email,
    pub created_at: Timestamp,
    /// The first sign-in; nothing while only an orchestrator has spoken of the person.
    pub claimed_at: Option<Timestamp>,
    /// When it was last shown that the mailbox is still this person's.
    pub trusted_at: Timestamp,
}

pub(crate) fn read(row: &Row) -> Result<Person, DbError> {
    Ok(Person {
        id: row.parse("id")?,
        email: row.parse("email")?,
        created_at: row.get("created_at")?,
        claimed_at: row.get("claimed_at")?,
        trusted_at: row.get("trusted_at")?,
    })
}
