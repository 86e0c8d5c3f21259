//! Codes for somebody who is signed in: to prove once more that it is they, or that a mailbox is theirs.
//!
//! A code belongs to one session and one purpose; its HMAC covers both and the address. Five tries, then a new one, and only so
//! many in a window: a guesser with a stolen session has one chance in ten thousand a day.

use purser_crypto::constant_time_eq;
use purser_db::jobs::NewJob;
use purser_db::{Tx, params};
use purser_values::limits::{SIGN_IN_CODE_LIFE_S, SIGN_IN_CODE_TRIES};
use purser_values::name::Email;

use crate::limits::{PRESENCE_CODES, PRESENCE_CODES_DAY, SIGN_IN_DIGITS, SIGN_IN_WINDOW_S};
use crate::realm::Realm;
use crate::session::Session;
use crate::sign_in::{CodeSendError, CodeUseError, code_of, typed};

/// What a code is for. One for one purpose is of no use for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    StepUp,
    /// The mailbox of a new address is the person's.
    EmailChange,
    /// The end of a recovery.
    Recovery,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::StepUp => "step_up",
            Self::EmailChange => "email_change",
            Self::Recovery => "recovery",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::StepUp => "to confirm that it is you",
            Self::EmailChange => "to make this the address of a login",
            Self::Recovery => "to finish the recovery of your login",
        }
    }
}

/// A wrong try is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub(crate) enum Used {
    Right { email: Email },
    Wrong { tries_left: i64 },
}

/// Makes a code and the mail that carries it; codes of the session for the same purpose from before are void.
pub(crate) fn send(tx: &mut Tx<'_>, realm: &Realm, session: &Session, purpose: Purpose, to: &Email) -> Result<NewJob, CodeSendError> {
    let (now, person) = (realm.env.now(), &session.member.person.id);
    let count = "select (select count(*) from presence_code where person = $1 and created_at > $2) as lately,
                        (select count(*) from presence_code where person = $1 and created_at > $3) as in_a_day";
    let row = tx.query_one(count, params![person, now.plus_secs(-SIGN_IN_WINDOW_S), now.plus_secs(-86_400)])?;
    if row.get::<i64>("lately")? >= PRESENCE_CODES || row.get::<i64>("in_a_day")? >= PRESENCE_CODES_DAY {
        return Err(CodeSendError::TooMany);
    }
    let void = "update presence_code set used_at = $3 where session = $1 and purpose = $2 and used_at is null";
    tx.execute(void, params![session.id, purpose.name(), now])?;
    let id = purser_crypto::encoding::b64url(&realm.env.bytes::<16>());
    let code = code_of(&realm.env, SIGN_IN_DIGITS);
    let mac = mac(realm, &id, session, purpose, to, code.expose());
    let insert = "insert into presence_code (id, person, session, purpose, email, code_mac, tries, created_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, 0, $7, $8)";
    tx.execute(insert, params![id, person, session.id, purpose.name(), to, mac, now, now.plus_secs(SIGN_IN_CODE_LIFE_S)])?;
    let text = format!(
        "Your code {words} at {issuer} is\n\n    {code}\n\nIt works for {minutes} minutes, once, in the browser that asked for it.\n\
         If that was not you, somebody is signed in as you: sign in, open {security} and sign the other browsers out.\n",
        words = purpose.words(),
        issuer = realm.issuer,
        code = code.expose(),
        minutes = SIGN_IN_CODE_LIFE_S / 60,
        security = realm.url("/security"),
    );
    Ok(realm.mail(to, "Your code", text)?)
}

/// Checks the newest code of the session and counts the try.
pub(crate) fn take(tx: &mut Tx<'_>, realm: &Realm, session: &Session, purpose: Purpose, code: &str) -> Result<Used, CodeUseError> {
    let (code, now) = (typed(code)?, realm.env.now());
    // Counting and reading in one statement: concurrent guesses cannot share a try.
    let count = "update presence_code set tries = tries + 1
                 where session = $1 and purpose = $2 and used_at is null and expires_at > $3 and tries < $4 returning id, email, code_mac, tries";
    let row = tx.query_opt(count, params![session.id, purpose.name(), now, SIGN_IN_CODE_TRIES])?.ok_or(CodeUseError::NoAttempt)?;
    let (id, email, expected): (String, Email, Vec<u8>) = (row.get("id")?, row.parse("email")?, row.get("code_mac")?);
    if !constant_time_eq(&mac(realm, &id, session, purpose, &email, &code), &expected) {
        return Ok(Used::Wrong { tries_left: SIGN_IN_CODE_TRIES - row.get::<i64>("tries")? });
    }
    tx.execute("update presence_code set used_at = $2 where id = $1", params![id, now])?;
    Ok(Used::Right { email })
}

fn mac(realm: &Realm, id: &str, session: &Session, purpose: Purpose, email: &Email, code: &str) -> Vec<u8> {
    realm.keys.mac("presence-code", &[id, session.id.as_str(), purpose.name(), email.as_str(), code]).to_vec()
}
