//! `email_change`: another address for the login, proved by a code that arrives there.
//!
//! Whether an address is somebody's login here is not told before the code was typed, which only its reader can. The old address
//! gets a link that puts everything back.

use purser_authority::action::EmailChange;
use purser_authority::{Denied, Done, Event, Permit};
use purser_crypto::seal::SealError;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::name::Email;

use crate::limits::UNDO_LIFE_S;
use crate::mailed_code::{self, Purpose, Used};
use crate::person;
use crate::realm::Realm;
use crate::security_link::{self, Undoable};
use crate::session::Session;
use crate::sign_in::{CodeSendError, CodeUseError};
use crate::sso::SsoRequired;

#[derive(Debug, thiserror::Error)]
pub enum EmailChangeError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the address is the login of somebody else here")]
    Taken,
    #[error(transparent)]
    Send(#[from] CodeSendError),
    #[error(transparent)]
    Use(#[from] CodeUseError),
    #[error(transparent)]
    Sso(#[from] SsoRequired),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl EmailChangeError {
    const fn public(&self) -> Option<&dyn PublicError> {
        match self {
            Self::Denied(e) => Some(e),
            Self::Send(e) => Some(e),
            Self::Use(e) => Some(e),
            Self::Sso(e) => Some(e),
            Self::Db(e) => Some(e),
            Self::Taken | Self::Seal(_) => None,
        }
    }
}

impl PublicError for EmailChangeError {
    fn code(&self) -> &'static str {
        self.public().map_or(if matches!(self, Self::Taken) { "email_taken" } else { "internal" }, PublicError::code)
    }
    fn kind(&self) -> Kind {
        self.public().map_or(if matches!(self, Self::Taken) { Kind::Conflict } else { Kind::Internal }, PublicError::kind)
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Taken => Some("sign in with it instead, or ask for another address".to_owned()),
            other => other.public().and_then(PublicError::hint),
        }
    }
}

/// A wrong try is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub enum Changed {
    To(Email),
    Wrong { tries_left: i64 },
}

/// Mails a code to the new address.
///
/// # Errors
/// When too many codes were asked for.
pub fn email_change_begin(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<EmailChange>,
    session: &Session,
    new: &Email,
) -> Result<Done<()>, EmailChangeError> {
    own(permit, session)?;
    neither_from_nor_into_a_company(realm, &session.member.person.email, new)?;
    let mail = mailed_code::send(tx, realm, session, Purpose::EmailChange, new)?;
    Ok(Done::quiet(()).and_job(mail))
}

/// Makes the address that the code went to the login's, and tells the old one how to undo it.
///
/// # Errors
/// [`EmailChangeError::Taken`], or there is no code to try.
pub fn email_change_confirm(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<EmailChange>,
    session: &Session,
    code: &str,
) -> Result<Done<Changed>, EmailChangeError> {
    own(&permit, session)?;
    let (now, person) = (realm.env.now(), &session.member.person);
    let new = match mailed_code::take(tx, realm, session, Purpose::EmailChange, code)? {
        Used::Wrong { tries_left } => return Ok(Done::quiet(Changed::Wrong { tries_left })),
        Used::Right { email } => email,
    };
    neither_from_nor_into_a_company(realm, &person.email, &new)?;
    if person::by_email(tx, &new)?.is_some_and(|holder| holder != person.id) {
        return Err(EmailChangeError::Taken);
    }
    tx.execute("update person set email = $2 where id = $1", params![person.id, new])?;
    let what = Undoable::EmailChange { old: person.email.clone(), new: new.clone(), at: now };
    let link = security_link::make(tx, realm, &person.id, &what, now.plus_secs(UNDO_LIFE_S))?;
    let text = format!(
        "Your login at {issuer} is now {new}, and no longer this address.\n\nIf that was not you, put it back here within seven days; that \
         also signs every browser out and removes the passkeys that were added with it:\n\n    {link}\n",
        issuer = realm.issuer,
        link = link.expose(),
    );
    let mail = realm.mail(&person.email, "The address of your login was changed", text)?;
    let event =
        Event::done(permit.verb(), permit.caller(), person.id.as_str()).with(serde_json::json!({ "old": person.email, "new": new }));
    Ok(Done::with_event(Changed::To(new), event).and_job(mail))
}

/// An address that a company signs in is the company's to give: nobody takes one by mail, and nobody leaves the company's sign-in by
/// another address.
fn neither_from_nor_into_a_company(realm: &Realm, old: &Email, new: &Email) -> Result<(), SsoRequired> {
    realm.sso.refuse_others(old)?;
    realm.sso.refuse_others(new)
}

fn own(permit: &Permit<EmailChange>, session: &Session) -> Result<(), Denied> {
    if permit.caller().person() == Some(&session.member.person.id) { Ok(()) } else { Err(Denied::NotFound) }
}
