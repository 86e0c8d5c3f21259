//! `step_up` with a code by mail.

use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx};
use purser_values::Secret;
use purser_values::error::{Kind, PublicError};

use super::methods;
use crate::mailed_code::{self, Purpose, Used};
use crate::passkey::PasskeyError;
use crate::realm::Realm;
use crate::recovery;
use crate::session::{self, Session};
use crate::sign_in::{CodeSendError, CodeUseError};
use crate::sso::SsoRequired;
use crate::totp::TotpError;

#[derive(Debug, thiserror::Error)]
pub enum StepUpError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("a code by mail is not enough where there is a passkey, an app or a company's sign-in")]
    Stronger,
    #[error(transparent)]
    Send(#[from] CodeSendError),
    #[error(transparent)]
    Use(#[from] CodeUseError),
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    #[error(transparent)]
    Totp(#[from] TotpError),
    #[error(transparent)]
    Sso(#[from] SsoRequired),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl StepUpError {
    const fn public(&self) -> Option<&dyn PublicError> {
        match self {
            Self::Denied(e) => Some(e),
            Self::Send(e) => Some(e),
            Self::Use(e) => Some(e),
            Self::Passkey(e) => Some(e),
            Self::Totp(e) => Some(e),
            Self::Sso(e) => Some(e),
            Self::Db(e) => Some(e),
            Self::Stronger => None,
        }
    }
}

impl PublicError for StepUpError {
    fn code(&self) -> &'static str {
        self.public().map_or("stronger_proof_needed", PublicError::code)
    }
    fn kind(&self) -> Kind {
        self.public().map_or(Kind::Forbidden, PublicError::kind)
    }
    fn hint(&self) -> Option<String> {
        self.public().map_or_else(
            || Some("use the passkey, the app or the company's sign-in; if all are lost, begin a recovery".to_owned()),
            PublicError::hint,
        )
    }
}

/// A wrong try is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub enum StepUp {
    Done(SteppedUp),
    Wrong { tries_left: i64 },
}

/// The session that takes the place of the one that stepped up.
#[derive(Debug)]
pub struct SteppedUp {
    pub session: Session,
    /// The value of its cookie.
    pub cookie: Secret<String>,
}

/// Mails a code to the person's address.
///
/// # Errors
/// [`StepUpError::Stronger`] when a mailbox is not enough, or too many codes.
pub fn step_up_code_send(tx: &mut Tx<'_>, realm: &Realm, permit: Permit<StepUpAction>, session: &Session) -> Result<Done<()>, StepUpError> {
    own(&permit, session)?;
    if methods(tx, realm, &session.member.person.id)?.is_strong() {
        return Err(StepUpError::Stronger);
    }
    let mail = mailed_code::send(tx, realm, session, Purpose::StepUp, &session.member.person.email)?;
    Ok(Done::quiet(()).and_job(mail))
}

/// Checks the code and makes the session anew.
///
/// # Errors
/// [`StepUpError::Stronger`] when a mailbox is no longer enough, or there is no code to try.
pub fn step_up_code_use(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<StepUpAction>,
    session: &Session,
    code: &str,
) -> Result<Done<StepUp>, StepUpError> {
    own(&permit, session)?;
    if methods(tx, realm, &session.member.person.id)?.is_strong() {
        return Err(StepUpError::Stronger);
    }
    match mailed_code::take(tx, realm, session, Purpose::StepUp, code)? {
        Used::Wrong { tries_left } => Ok(Done::quiet(StepUp::Wrong { tries_left })),
        // A code that went to an address which is the person's no longer proves nothing.
        Used::Right { email } if email != session.member.person.email => Err(CodeUseError::NoAttempt.into()),
        Used::Right { .. } => Ok(finish(tx, realm, &permit, session, "email_code")?.map(StepUp::Done)),
    }
}

/// Makes the session anew, with now as the time at which its person was there.
pub(crate) fn finish(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<StepUpAction>,
    old: &Session,
    method: &str,
) -> Result<Done<SteppedUp>, StepUpError> {
    // Whoever can prove it does not need the recovery that somebody began in their name.
    if method != "email_code" {
        recovery::cancel(tx, &old.member.person.id, realm.env.now(), method)?;
    }
    let (cookie, session) = session::renew(tx, &realm.env, old, realm.env.now())?.ok_or(Denied::Anonymous)?;
    let event = Event::done(permit.verb(), &session.caller(), session.member.person.id.as_str())
        .related([old.id.as_str(), session.id.as_str()])
        .with(serde_json::json!({ "method": method }));
    Ok(Done::with_event(SteppedUp { session, cookie }, event))
}

/// A permit is for the person of the session and nobody else.
pub(crate) fn own(permit: &Permit<StepUpAction>, session: &Session) -> Result<(), Denied> {
    if permit.caller().person() == Some(&session.member.person.id) { Ok(()) } else { Err(Denied::NotFound) }
}
