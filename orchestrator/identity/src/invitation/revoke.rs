//! `invitation_revoke`: take an offer back.

use purser_authority::action::InvitationRevoke;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Timestamp;
use purser_values::id::InvitationId;

use super::InvitationError;

/// Takes back the offer that the permit is for. One of another organisation does not exist; taking back twice changes nothing.
///
/// # Errors
/// [`Denied::NotFound`].
pub fn invitation_revoke(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<InvitationRevoke>) -> Result<Done<()>, InvitationError> {
    let id: InvitationId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let update = "update invitation set revoked_at = coalesce(revoked_at, $3) where id = $1 and organisation = $2 and accepted_at is null";
    if tx.execute(update, params![id, permit.caller().organisation(), now])? != 1 {
        return Err(Denied::NotFound.into());
    }
    Ok(Done::with_event((), Event::done(permit.verb(), permit.caller(), id.as_str())))
}
