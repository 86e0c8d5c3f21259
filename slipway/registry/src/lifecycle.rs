//! What the clock does: ends transfers that nobody answered, deletes names that nobody renewed, frees names that nobody wants back.

use purser_db::{DbError, Tx};
use purser_values::{Env, Timestamp};

use crate::domain::{Domain, Phase, due, erase, save, transfer};
use crate::limits::{LATE_S, REPORT_S, ROUND};
use crate::poll::tell;
use crate::store::forget_answers;

/// One round over everything that is due. Every command begins with it, so no answer is given of a state that is over.
pub(crate) fn round(tx: &mut Tx<'_>, env: &Env, now: Timestamp) -> Result<(), DbError> {
    for mut domain in due(tx, now, ROUND)? {
        step(tx, env, &mut domain, now)?;
    }
    forget_answers(tx, now).map(drop)
}

fn step(tx: &mut Tx<'_>, env: &Env, domain: &mut Domain, now: Timestamp) -> Result<(), DbError> {
    if let Some(mut pending) = domain.pending_transfer().filter(|it| it.acted_at <= now).cloned() {
        pending.status = "serverApproved".to_owned();
        let at = pending.acted_at;
        return transfer::finish(tx, env, domain, pending, at);
    }
    match domain.phase(now) {
        Phase::Live if domain.expires_at.plus_secs(LATE_S) <= now => {
            domain.deleted_at = Some(domain.expires_at.plus_secs(LATE_S));
            tell(tx, env, &domain.client, now, &format!("{} was not renewed and is deleted.", domain.name), None)?;
        }
        // Without a report the name is where it was before: its time to be had back begins with the request that was not kept.
        Phase::PendingRestore if domain.restored_at.is_some_and(|asked| asked.plus_secs(REPORT_S) <= now) => domain.restored_at = None,
        Phase::PendingDelete if domain.due() <= now => return erase(tx, &domain.name),
        // The index knew less than the row: names of the older table.
        _ => {}
    }
    save(tx, domain)
}
