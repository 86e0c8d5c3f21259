//! `sign_in`: use the code.

use purser_authority::action::SignIn;
use purser_authority::{Caller, Done, Event, Outcome, Permit};
use purser_crypto::{constant_time_eq, token};
use purser_db::{DbError, Tx, params};
use purser_values::Secret;
use purser_values::error::{Kind, PublicError};
use purser_values::limits::SIGN_IN_CODE_TRIES;
use purser_values::name::Email;

use super::{ATTEMPT, code_mac, known_browser, typed};
use crate::person::Member;
use crate::realm::Realm;
use crate::session::{self, Begin, Place};
use crate::sign_up::{self, Entered, Ticket};
use crate::sso::SsoRequired;
use crate::step_up;

#[derive(Debug, thiserror::Error)]
pub enum CodeUseError {
    #[error("this sign-in was not begun in this browser, or it is over")]
    NoAttempt,
    #[error("`{0}` is not a code of six or ten digits")]
    NotACode(String),
    #[error(transparent)]
    Sso(#[from] SsoRequired),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for CodeUseError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoAttempt => "sign_in_over",
            Self::NotACode(_) => "not_a_code",
            Self::Sso(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::NoAttempt => Kind::Unauthenticated,
            Self::NotACode(_) => Kind::Invalid,
            Self::Sso(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoAttempt => Some("ask for a new code".to_owned()),
            Self::NotACode(_) => Some("type the digits from the mail".to_owned()),
            Self::Sso(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

/// A wrong try is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub enum CodeUse {
    SignedIn(SignedIn),
    Wrong { tries_left: i64 },
}

#[derive(Debug)]
pub struct SignedIn {
    pub member: Member,
    /// The value of the session cookie.
    pub session: Secret<String>,
    /// The value of the cookie by which the browser is known when it asks for the next code.
    pub mark: Secret<String>,
    /// Whether the person was made by this sign-in.
    pub fresh: bool,
    /// Whether the ticket that came along was used up by it.
    pub by_ticket: bool,
}

/// Checks the code, counts the try, and on success starts a session (and makes the person, with an organisation of their own or in the one that invited them).
///
/// # Errors
/// [`CodeUseError::NoAttempt`] when the attempt is unknown, expired, used or out of tries.
pub fn sign_in_code_use(
    tx: &mut Tx<'_>,
    realm: &Realm,
    _permit: Permit<SignIn>,
    attempt: &Secret<String>,
    code: &str,
    place: Place<'_>,
    ticket: Option<&Ticket>,
) -> Result<Done<CodeUse>, CodeUseError> {
    let code = typed(code)?;
    if !token::is_well_formed(attempt.expose(), ATTEMPT) {
        return Err(CodeUseError::NoAttempt);
    }
    let (now, digest) = (realm.env.now(), token::hash(attempt.expose()));
    // Counting and reading in one statement: concurrent guesses cannot share a try.
    let count = "update sign_in_code set tries = tries + 1 where attempt = $1 and used_at is null and expires_at > $2 and tries < $3
                 returning email, code_mac, tries";
    let row = tx.query_opt(count, params![digest, now, SIGN_IN_CODE_TRIES])?.ok_or(CodeUseError::NoAttempt)?;
    let (email, expected): (Email, Vec<u8>) = (row.parse("email")?, row.get("code_mac")?);
    if !constant_time_eq(&code_mac(&realm.keys, &digest, email.as_str(), &code), &expected) {
        return Ok(Done::quiet(CodeUse::Wrong { tries_left: SIGN_IN_CODE_TRIES - row.get::<i64>("tries")? }));
    }
    tx.execute("update sign_in_code set used_at = $2 where attempt = $1", params![digest, now])?;
    // Between the mail and now the address may have lost its admission, or its company signs it in.
    realm.sso.refuse_others(&email)?;
    let admission = sign_up::admission(tx, realm, &email, ticket)?.ok_or(CodeUseError::NoAttempt)?;
    let mut done = sign_up::enter(tx, &realm.env, &email, &admission)?.ok_or(CodeUseError::NoAttempt)?;
    let Entered { member, fresh, by_ticket } = done.value;
    // Whoever has something stronger than a mailbox is not there before they have shown it.
    let present = !step_up::methods(tx, realm, &member.person.id)?.is_strong();
    let (session, id) =
        session::start(tx, &realm.env, &member, Begin { method: "email_code", present_at: present.then_some(now), sso: None, place })?;
    let caller = Caller::Person {
        person: member.person.id.clone(),
        organisation: member.organisation.id.clone(),
        role: member.role,
        present_at: present.then_some(now),
    };
    let event = Event::new("sign_in", Outcome::Done, &caller, member.person.id.as_str())
        .related([id.as_str()])
        .with(serde_json::json!({ "email": email, "fresh": fresh, "method": "email_code", "present": present }));
    let mark = known_browser::mark(&realm.keys, &realm.env, &email);
    done.events.push(event);
    Ok(Done { value: CodeUse::SignedIn(SignedIn { member, session, mark, fresh, by_ticket }), events: done.events, jobs: done.jobs })
}
