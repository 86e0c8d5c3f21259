//! Looking people up, and recording those whom an orchestrator speaks of.

use purser_db::{DbError, Tx, params};
use purser_values::id::CloudPersonId;
use purser_values::name::Email;
use purser_values::{Env, Timestamp};

use super::{Person, read};

/// The person of an address, claimed or not.
///
/// # Errors
/// When the store fails.
pub fn person_find(tx: &mut Tx<'_>, email: &Email) -> Result<Option<Person>, DbError> {
    tx.query_opt("select * from cloud_person where email = $1 and retired_at is null", params![email])?.map(|row| read(&row)).transpose()
}

/// # Errors
/// When the store fails.
pub fn person_get(tx: &mut Tx<'_>, id: &CloudPersonId) -> Result<Option<Person>, DbError> {
    tx.query_opt("select * from cloud_person where id = $1 and retired_at is null", params![id])?.map(|row| read(&row)).transpose()
}

/// The person who owns an account and can still sign in.
///
/// # Errors
/// When the store fails.
pub fn person_of_account(tx: &mut Tx<'_>, account: &purser_values::id::CloudAccountId) -> Result<Option<Person>, DbError> {
    let select = "select p.* from cloud_person p join cloud_membership m on m.person = p.id
                  where m.account = $1 and m.role = 'owner' and p.retired_at is null order by m.added_at limit 1";
    tx.query_opt(select, params![account])?.map(|row| read(&row)).transpose()
}

/// A person whom nobody has met: an orchestrator attests the mailbox.
pub(crate) fn insert(tx: &mut Tx<'_>, env: &Env, email: &Email, claimed_at: Option<Timestamp>) -> Result<Person, DbError> {
    let (id, now) = (CloudPersonId::mint(env), env.now());
    let insert = "insert into cloud_person (id, email, created_at, claimed_at, trusted_at) values ($1, $2, $3, $4, $3)";
    tx.execute(insert, params![id, email, now, claimed_at])?;
    Ok(Person { id, email: email.clone(), created_at: now, claimed_at, trusted_at: now })
}

/// The orchestrator of a connected subject attests the mailbox again.
pub(crate) fn attested_again(tx: &mut Tx<'_>, person: &Person, now: Timestamp) -> Result<(), DbError> {
    tx.execute("update cloud_person set trusted_at = $2 where id = $1 and trusted_at < $2", params![person.id, now]).map(drop)
}
