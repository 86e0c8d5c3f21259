//! The way back for somebody who has lost their passkeys and their app, and still reads their mail.
//!
//! A mailbox alone must not be worth as much as a passkey, or a thief of the mailbox would never need one. So a recovery takes a
//! day: it is told by mail with a link that ends it, every page of the person says that it runs, and any proof with a passkey or the
//! app ends it. After the day a code by mail finishes it: passkeys and app are removed, and the other browsers signed out.

mod finish;
mod start;

pub use finish::{recovery_code_send, recovery_finish};
pub use start::recovery_start;

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::PersonId;

use crate::limits::RECOVERY_OPEN_S;

/// Where a recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    None,
    Waiting {
        ready_at: Timestamp,
    },
    /// A code by mail finishes it.
    Ready {
        until: Timestamp,
    },
}

/// # Errors
/// When the store fails.
pub fn recovery_of(tx: &mut Tx<'_>, person: &PersonId, now: Timestamp) -> Result<Recovery, DbError> {
    let select = "select ready_at from recovery where person = $1 and ended_at is null";
    let Some(row) = tx.query_opt(select, params![person])? else { return Ok(Recovery::None) };
    let ready_at: Timestamp = row.get("ready_at")?;
    let until = ready_at.plus_secs(RECOVERY_OPEN_S);
    Ok(if now < ready_at {
        Recovery::Waiting { ready_at }
    } else if now < until {
        Recovery::Ready { until }
    } else {
        Recovery::None
    })
}

/// Ends a recovery that runs.
pub(crate) fn cancel(tx: &mut Tx<'_>, person: &PersonId, now: Timestamp, how: &str) -> Result<(), DbError> {
    let end = "update recovery set ended_at = $2, ended_how = $3 where person = $1 and ended_at is null";
    tx.execute(end, params![person, now, how]).map(drop)
}
