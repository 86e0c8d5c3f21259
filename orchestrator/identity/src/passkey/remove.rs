//! `passkey_remove`. It locks nobody out: a code by mail is always a way in.

use purser_authority::action::PasskeyRemove;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use serde_json::json;

use super::PasskeyError;
use crate::realm::Realm;
use crate::session::Session;

/// Removes the passkey that the permit is for, and tells its person by mail.
///
/// # Errors
/// [`Denied::NotFound`] when it is none of the caller's.
pub fn passkey_remove(tx: &mut Tx<'_>, realm: &Realm, permit: Permit<PasskeyRemove>, session: &Session) -> Result<Done<()>, PasskeyError> {
    let person = &session.member.person;
    if permit.caller().person() != Some(&person.id) {
        return Err(Denied::NotFound.into());
    }
    let delete = "delete from passkey where id = $1 and person = $2 returning name";
    let row = tx.query_opt(delete, params![permit.subject(), person.id])?.ok_or(Denied::NotFound)?;
    let name: String = row.get("name")?;
    let event = Event::done(permit.verb(), permit.caller(), permit.subject()).related([person.id.as_str()]).with(json!({ "name": name }));
    let mail = realm.notice(&person.email, "A passkey was removed", &format!("The passkey \"{name}\" was removed from your login."))?;
    Ok(Done::with_event((), event).and_job(mail))
}
