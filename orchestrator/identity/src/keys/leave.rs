//! What time alone makes of signing keys: one begins to sign, and one that has left loses its private half. Both are recorded once,
//! by the node that sees it first.

use purser_authority::{Caller, Done, Event};
use purser_db::{DbError, Tx, params};

use super::ring::{self, Rows};
use super::{KeyState, KeysError};
use crate::realm::Realm;

/// One round; answers how many keys changed.
///
/// # Errors
/// When the store fails or a key does not open.
pub fn signing_key_sweep(tx: &mut Tx<'_>, realm: &Realm) -> Result<Done<usize>, DbError> {
    let now = realm.env.now();
    let mut done = Done::quiet(0);
    let begin = "update signing_key set begun_at = $1 where begun_at is null and signs_from <= $1
                 and (retired_at is null or retired_at > signs_from) returning kid";
    for row in tx.query(begin, params![now])? {
        done = done.and_event(Event::done("signing_key_begin", &Caller::System, row.get::<String>("kid")?));
        done.value += 1;
    }
    let due = tx.query_opt("select kid from signing_key where left_at is null and leaves_at <= $1 limit 1", params![now])?;
    if due.is_none() {
        return Ok(done);
    }
    let held = Rows::read(tx, &realm.keyring, None).map_err(stored)?.0;
    for key in held.iter().filter(|held| held.life.state(now) == KeyState::Left) {
        let sealed = ring::seal_left(&realm.env, &realm.keyring, key).map_err(stored)?;
        let leave = "update signing_key set left_at = $2, sealed = $3 where kid = $1 and left_at is null";
        if tx.execute(leave, params![key.kid, now, sealed])? == 1 {
            done = done.and_event(Event::done("signing_key_leave", &Caller::System, key.kid.as_str()));
            done.value += 1;
        }
    }
    Ok(done)
}

fn stored(e: KeysError) -> DbError {
    match e {
        KeysError::Db(e) => e,
        e => DbError::Other(e.to_string()),
    }
}
