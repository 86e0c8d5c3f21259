//! Listing trusts, and taking them back. What workloads got by one runs out within minutes; revoking the grant above ends it at once.

use purser_authority::action::{WorkloadTrustRead, WorkloadTrustRemove};
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::WorkloadTrustId;

use super::{Trust, TrustError, find, read};

/// The trusts of the caller's organisation, newest first.
///
/// # Errors
/// When the store fails.
pub fn workload_trusts(tx: &mut Tx<'_>, permit: &Permit<WorkloadTrustRead>) -> Result<Vec<Trust>, DbError> {
    let select = "select * from workload_trust where organisation = $1 and removed_at is null order by created_at desc, id";
    tx.query(select, params![permit.caller().organisation()])?.iter().map(read).collect()
}

/// Removes the trust that the permit is for.
///
/// # Errors
/// When it is not the organisation's, or the store fails.
pub fn workload_trust_remove(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<WorkloadTrustRemove>) -> Result<Done<()>, TrustError> {
    let id: WorkloadTrustId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let trust = find(tx, &id)?.filter(|trust| Some(&trust.organisation) == permit.caller().organisation()).ok_or(Denied::NotFound)?;
    tx.execute("update workload_trust set removed_at = $2 where id = $1 and removed_at is null", params![id, now])?;
    Ok(Done::with_event((), Event::done(permit.verb(), permit.caller(), id.as_str()).related([trust.grant.as_str()])))
}
