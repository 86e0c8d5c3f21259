//! `sign_in`: use the code.

use purser_crypto::{constant_time_eq, token};
use purser_db::{DbError, Tx, params};
use purser_values::Secret;
use purser_values::limits::SIGN_IN_CODE_TRIES;
use purser_values::name::Email;

use super::code_send::is_admitted;
use super::{ATTEMPT, code_mac, known_browser};
use crate::limits::{SIGN_IN_DIGITS, SIGN_IN_DIGITS_LONG};
use crate::person::Person;
use crate::person::prove::person_prove;
use crate::realm::Realm;
use crate::session;

#[derive(Debug, thiserror::Error)]
pub enum CodeUseError {
    #[error("this sign-in was not begun in this browser, or it is over; ask for a new code")]
    NoAttempt,
    #[error("a code has six or ten digits; type the ones from the mail")]
    NotACode,
    #[error(transparent)]
    Store(#[from] DbError),
}

/// A wrong try is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub enum CodeUse {
    SignedIn(SignedIn),
    Wrong { tries_left: i64 },
}

#[derive(Debug)]
pub struct SignedIn {
    pub person: Person,
    /// The value of the session cookie.
    pub session: Secret<String>,
    /// The value of the cookie by which the browser is known when it asks for the next code.
    pub mark: Secret<String>,
}

/// Checks the code, counts the try, and on success starts a session; the one that the browser had ends.
///
/// # Errors
/// [`CodeUseError::NoAttempt`] when the attempt is unknown, over, used or out of tries.
pub fn sign_in_code_use(
    tx: &mut Tx<'_>,
    realm: &Realm,
    attempt: &Secret<String>,
    code: &str,
    old_session: Option<&str>,
) -> Result<CodeUse, CodeUseError> {
    let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').take(SIGN_IN_DIGITS_LONG + 1).collect();
    if ![SIGN_IN_DIGITS, SIGN_IN_DIGITS_LONG].contains(&code.len()) || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CodeUseError::NotACode);
    }
    if !token::is_well_formed(attempt.expose(), ATTEMPT) {
        return Err(CodeUseError::NoAttempt);
    }
    let (now, digest) = (realm.env.now(), token::hash(attempt.expose()));
    // Counting and reading in one statement: concurrent guesses cannot share a try.
    let count = "update cloud_sign_in set tries = tries + 1 where attempt = $1 and used_at is null and expires_at > $2 and tries < $3
                 returning email, code_mac, tries";
    let row = tx.query_opt(count, params![digest, now, SIGN_IN_CODE_TRIES])?.ok_or(CodeUseError::NoAttempt)?;
    let (email, expected): (Email, Vec<u8>) = (row.parse("email")?, row.get("code_mac")?);
    if !constant_time_eq(&code_mac(&realm.key, &digest, email.as_str(), &code), &expected) {
        return Ok(CodeUse::Wrong { tries_left: SIGN_IN_CODE_TRIES - row.get::<i64>("tries")? });
    }
    tx.execute("update cloud_sign_in set used_at = $2 where attempt = $1", params![digest, now])?;
    if !is_admitted(tx, &email, now)? {
        return Err(CodeUseError::NoAttempt);
    }
    if let Some(old) = old_session {
        session::session_end(tx, now, old)?;
    }
    let person = person_prove(tx, &realm.env, &email)?;
    let session = session::start(tx, &realm.env, &person)?;
    let mark = known_browser::mark(&realm.key, &realm.env, &email);
    Ok(CodeUse::SignedIn(SignedIn { person, session, mark }))
}
