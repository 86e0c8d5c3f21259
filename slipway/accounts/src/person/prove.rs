//! `person_prove`: somebody read a code in the mailbox.

use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::name::Email;

use super::Person;
use super::find::{insert, person_find};
use crate::limits::MAILBOX_TRUST_S;

/// The person of the mailbox from now on. INVARIANT (mailbox-not-inherited): one whom nobody has shown to be there for a year is
/// retired with what they own, and somebody new takes the address.
pub(crate) fn person_prove(tx: &mut Tx<'_>, env: &Env, email: &Email) -> Result<Person, DbError> {
    let now = env.now();
    let Some(found) = person_find(tx, email)? else { return insert(tx, env, email, Some(now)) };
    if now >= found.trusted_at.plus_secs(MAILBOX_TRUST_S) {
        tx.execute("update cloud_person set retired_at = $2 where id = $1", params![found.id, now])?;
        tx.execute("update cloud_session set ended_at = $2 where person = $1 and ended_at is null", params![found.id, now])?;
        return insert(tx, env, email, Some(now));
    }
    let update = "update cloud_person set trusted_at = $2, claimed_at = coalesce(claimed_at, $2) where id = $1";
    tx.execute(update, params![found.id, now])?;
    Ok(Person { trusted_at: now, claimed_at: found.claimed_at.or(Some(now)), ..found })
}
