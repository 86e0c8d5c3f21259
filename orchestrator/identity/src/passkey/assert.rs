//! Checking one use of a passkey against what is on file, and keeping what it says of itself.

use purser_crypto::webauthn::{Expected, verify};
use purser_db::{Tx, params};
use purser_values::id::PersonId;

use super::answer::AssertionAnswer;
use super::{Passkey, PasskeyError, read};
use crate::realm::Realm;

/// The passkey that made this answer; with `of`, only one of that person's.
pub(crate) fn assert(
    tx: &mut Tx<'_>,
    realm: &Realm,
    of: Option<&PersonId>,
    challenge: &[u8],
    answer: &AssertionAnswer,
) -> Result<Passkey, PasskeyError> {
    let row = tx.query_opt("select * from passkey where credential = $1", params![answer.credential])?.ok_or(PasskeyError::Unknown)?;
    let passkey = read(&row)?;
    if of.is_some_and(|person| passkey.person != *person) {
        return Err(PasskeyError::Unknown);
    }
    if answer.user_handle.as_ref().is_some_and(|handle| handle != passkey.person.as_str().as_bytes()) {
        return Err(PasskeyError::Unknown);
    }
    let expected = Expected { challenge, origin: realm.origin(), rp_id: realm.host() };
    let state = verify(expected, &passkey.key, &answer.assertion)?;
    // An authenticator that counts never counts backwards (Web Authentication, 6.1.1); two at once are told apart by the store.
    let update = "update passkey set sign_count = $2, backed_up = $3, last_used_at = $4
                  where id = $1 and ((sign_count = 0 and $2 = 0) or sign_count < $2)";
    let values = params![passkey.id, i64::from(state.sign_count), i64::from(state.backed_up), realm.env.now()];
    if tx.execute(update, values)? != 1 {
        tracing::warn!(passkey = %passkey.id, person = %passkey.person, "a passkey counts backwards: there may be a copy of it");
        return Err(PasskeyError::Copied);
    }
    Ok(passkey)
}
