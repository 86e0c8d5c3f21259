//! `totp_remove`, with its recovery codes.

use purser_authority::action::TotpRemove;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};

use super::TotpError;
use crate::realm::Realm;
use crate::session::Session;

/// Removes the person's app and its recovery codes, and tells them by mail.
///
/// # Errors
/// [`TotpError::None`] when there is none.
pub fn totp_remove(tx: &mut Tx<'_>, realm: &Realm, permit: Permit<TotpRemove>, session: &Session) -> Result<Done<()>, TotpError> {
    let person = &session.member.person;
    if permit.caller().person() != Some(&person.id) {
        return Err(Denied::NotFound.into());
    }
    if tx.execute("delete from totp where person = $1", params![person.id])? != 1 {
        return Err(TotpError::None);
    }
    tx.execute("delete from recovery_code where person = $1", params![person.id])?;
    let event = Event::done(permit.verb(), permit.caller(), person.id.as_str());
    let mail = realm.notice(&person.email, "An app was removed", "The app that shows codes was removed from your login.")?;
    Ok(Done::with_event((), event).and_job(mail))
}
