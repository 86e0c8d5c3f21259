//! `recovery_start`.

use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Timestamp;

use super::{Recovery, recovery_of};
use crate::limits::{RECOVERY_OPEN_S, RECOVERY_WAIT_S};
use crate::realm::Realm;
use crate::security_link::{self, Undoable};
use crate::session::Session;
use crate::sign_in::CodeSendError;
use crate::step_up::{StepUpError, own};

/// Begins the waiting time, and tells the person by mail how to end it. One that runs goes on as it is.
///
/// # Errors
/// When the permit is not the session's person's, or the store fails.
pub fn recovery_start(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<StepUpAction>,
    session: &Session,
) -> Result<Done<Timestamp>, StepUpError> {
    own(&permit, session)?;
    realm.sso.refuse_others(&session.member.person.email)?;
    let (now, person) = (realm.env.now(), &session.member.person);
    match recovery_of(tx, &person.id, now)? {
        Recovery::Waiting { ready_at } => return Ok(Done::quiet(ready_at)),
        Recovery::Ready { .. } => return Ok(Done::quiet(now)),
        Recovery::None => {}
    }
    let ready_at = now.plus_secs(RECOVERY_WAIT_S);
    let upsert = "insert into recovery (person, started_at, ready_at) values ($1, $2, $3)
                  on conflict (person) do update set started_at = $2, ready_at = $3, ended_at = null, ended_how = null";
    tx.execute(upsert, params![person.id, now, ready_at])?;
    let link = security_link::make(tx, realm, &person.id, &Undoable::Recovery, ready_at.plus_secs(RECOVERY_OPEN_S))?;
    let text = format!(
        "Somebody who is signed in as you at {issuer} says that your passkeys and your app are lost.\n\nFrom {ready_at} on, a code by \
         mail will do instead, and they will be removed.\n\nIf that was not you, end it here, which also signs every browser out:\n\n    {link}\n\n\
         It also ends as soon as you use a passkey or the app.\n",
        issuer = realm.issuer,
        link = link.expose(),
    );
    let mail = realm.mail(&person.email, "Somebody is recovering your login", text).map_err(CodeSendError::from)?;
    let event = Event::done("recovery_start", permit.caller(), person.id.as_str()).with(serde_json::json!({ "ready_at": ready_at }));
    Ok(Done::with_event(ready_at, event).and_job(mail))
}
