//! `recovery_finish`: after the waiting time, with a code by mail.

use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};

use super::{Recovery, cancel, recovery_of};
use crate::mailed_code::{self, Purpose, Used};
use crate::realm::Realm;
use crate::session::{self, Session};
use crate::sign_in::{CodeSendError, CodeUseError};
use crate::step_up::{StepUp, StepUpError, SteppedUp, own};

/// Mails the code that finishes a recovery whose waiting time is over.
///
/// # Errors
/// [`StepUpError::Stronger`] when it is not over, or too many codes.
pub fn recovery_code_send(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<StepUpAction>,
    session: &Session,
) -> Result<Done<()>, StepUpError> {
    own(&permit, session)?;
    ready(tx, realm, session)?;
    let mail = mailed_code::send(tx, realm, session, Purpose::Recovery, &session.member.person.email)?;
    Ok(Done::quiet(()).and_job(mail))
}

/// Removes what was lost, signs the other browsers out, and makes this session anew.
///
/// # Errors
/// [`StepUpError::Stronger`] when the waiting time is not over, or there is no code to try.
pub fn recovery_finish(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<StepUpAction>,
    session: &Session,
    code: &str,
) -> Result<Done<StepUp>, StepUpError> {
    own(&permit, session)?;
    ready(tx, realm, session)?;
    let (now, person) = (realm.env.now(), &session.member.person);
    match mailed_code::take(tx, realm, session, Purpose::Recovery, code)? {
        Used::Wrong { tries_left } => return Ok(Done::quiet(StepUp::Wrong { tries_left })),
        Used::Right { email } if email != person.email => return Err(CodeUseError::NoAttempt.into()),
        Used::Right { .. } => {}
    }
    let passkeys = tx.execute("delete from passkey where person = $1", params![person.id])?;
    let apps = tx.execute("delete from totp where person = $1", params![person.id])?;
    tx.execute("delete from recovery_code where person = $1", params![person.id])?;
    let identities = tx.execute("delete from sso_identity where person = $1", params![person.id])?;
    cancel(tx, &person.id, now, "finished")?;
    let end = "update session set ended_at = $3 where person = $1 and id <> $2 and ended_at is null";
    tx.execute(end, params![person.id, session.id, now])?;
    let (cookie, session) = session::renew(tx, &realm.env, session, now)?.ok_or(Denied::Anonymous)?;
    let mail = realm
        .notice(
            &person.email,
            "Your login was recovered",
            "Your passkeys, your app and your company's sign-in were removed, as you asked a day ago or longer.",
        )
        .map_err(CodeSendError::from)?;
    let event = Event::done("recovery_finish", &session.caller(), person.id.as_str())
        .with(serde_json::json!({ "passkeys_removed": passkeys, "apps_removed": apps, "identities_removed": identities }));
    Ok(Done::with_event(StepUp::Done(SteppedUp { session, cookie }), event).and_job(mail))
}

fn ready(tx: &mut Tx<'_>, realm: &Realm, session: &Session) -> Result<(), StepUpError> {
    realm.sso.refuse_others(&session.member.person.email)?;
    match recovery_of(tx, &session.member.person.id, realm.env.now())? {
        Recovery::Ready { .. } => Ok(()),
        Recovery::None | Recovery::Waiting { .. } => Err(StepUpError::Stronger),
    }
}
