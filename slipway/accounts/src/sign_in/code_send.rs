//! `sign_in`: ask for a code.

use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::limits::SIGN_IN_CODE_LIFE_S;
use purser_values::name::Email;
use purser_values::{Env, Secret, Timestamp};

use super::{ATTEMPT, code_mac, known_browser};
use crate::limits::{
    SIGN_IN_CODES_PER_ADDRESS, SIGN_IN_CODES_PER_ADDRESS_DAY, SIGN_IN_CODES_PER_BROWSER, SIGN_IN_CODES_PER_PEER,
    SIGN_IN_CODES_PER_PEER_AND_ADDRESS, SIGN_IN_DIGITS, SIGN_IN_DIGITS_LONG, SIGN_IN_RARE_S, SIGN_IN_WINDOW_S,
};
use crate::person::find::person_find;
use crate::realm::{MailError, Realm};

#[derive(Debug, thiserror::Error)]
pub enum CodeSendError {
    #[error("too many sign-in codes were asked for; use the newest one in your mailbox, or wait a quarter of an hour")]
    TooMany,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Where a request for a code comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub peer: &'a str,
    /// What the browser shows as its mark of an earlier sign-in.
    pub mark: Option<&'a str>,
}

/// What a request for a code leads to.
enum Posture {
    Usual,
    /// The address is asked for too often: a long code.
    Rare,
    /// The same within a minute of the last mail: nothing.
    Silent,
}

/// Makes a code, mails it, and gives what the browser keeps until the code is typed in. An address of nobody gets the same answer and
/// no mail.
///
/// INVARIANT (nobody-locked-out): what others ask for in an address's name refuses them and not its person.
///
/// # Errors
/// [`CodeSendError::TooMany`], or a failure of the store.
pub fn sign_in_code_send(tx: &mut Tx<'_>, realm: &Realm, email: &Email, origin: Origin<'_>) -> Result<Secret<String>, CodeSendError> {
    let now = realm.env.now();
    let browser = origin.mark.and_then(|mark| known_browser::number(&realm.key, now, email, mark));
    let posture = match browser {
        Some(browser) => known(tx, browser, now)?,
        None => unknown(tx, email, origin.peer, now)?,
    };
    let digits = match posture {
        Posture::Usual => Some(SIGN_IN_DIGITS),
        Posture::Rare => Some(SIGN_IN_DIGITS_LONG),
        Posture::Silent => None,
    };
    let code = if is_admitted(tx, email, now)? { digits.map(|digits| code_of(&realm.env, digits)) } else { None };
    let (attempt, digest) = token::mint(&realm.env, ATTEMPT);
    // Without a mail no code is right: the MAC is of nothing that could be typed.
    let mac = code_mac(&realm.key, &digest, email.as_str(), code.as_ref().map_or("", |code| code.expose()));
    let insert = "insert into cloud_sign_in (attempt, email, peer, code_mac, tries, created_at, expires_at, browser, mailed_at)
                  values ($1, $2, $3, $4, 0, $5, $6, $7, $8)";
    let mailed_at = code.is_some().then_some(now);
    tx.execute(insert, params![digest, email, origin.peer, mac, now, now.plus_secs(SIGN_IN_CODE_LIFE_S), browser, mailed_at])?;
    if let Some(code) = code {
        realm.mail(tx, email, "Your slipway sign-in code", text(realm, &code))?;
    }
    Ok(attempt)
}

fn text(realm: &Realm, code: &Secret<String>) -> String {
    format!(
        "Your sign-in code for slipway ({issuer}) is\n\n    {code}\n\nIt works for {minutes} minutes, once, in the browser that asked for it.\n\
         If that was not you, ignore this mail and give the code to nobody.\n",
        issuer = realm.public_url,
        code = code.expose(),
        minutes = SIGN_IN_CODE_LIFE_S / 60,
    )
}

/// Whether there is anything to sign in for.
pub(super) fn is_admitted(tx: &mut Tx<'_>, email: &Email, now: Timestamp) -> Result<bool, DbError> {
    let asked = "select 1 as one from cloud_link_request where email = $1 and outcome is null and expires_at > $2 limit 1";
    Ok(person_find(tx, email)?.is_some() || tx.query_opt(asked, params![email, now])?.is_some())
}

/// Used codes do not count, here and below: whoever signs in is not guessing.
fn known(tx: &mut Tx<'_>, browser: &str, now: Timestamp) -> Result<Posture, CodeSendError> {
    let count = "select count(*) as n from cloud_sign_in where browser = $1 and created_at > $2 and used_at is null";
    let n: i64 = tx.query_one(count, params![browser, now.plus_secs(-SIGN_IN_WINDOW_S)])?.get("n")?;
    if n >= SIGN_IN_CODES_PER_BROWSER { Err(CodeSendError::TooMany) } else { Ok(Posture::Usual) }
}

fn unknown(tx: &mut Tx<'_>, email: &Email, peer: &str, now: Timestamp) -> Result<Posture, CodeSendError> {
    let count = "select
        (select count(*) from cloud_sign_in where peer = $2 and created_at > $3 and used_at is null) as by_peer,
        (select count(*) from cloud_sign_in where peer = $2 and email = $1 and created_at > $3 and used_at is null) as by_both,
        (select count(*) from cloud_sign_in where email = $1 and created_at > $3 and used_at is null) as by_address,
        (select count(*) from cloud_sign_in where email = $1 and created_at > $4 and used_at is null) as by_address_day,
        (select count(*) from cloud_sign_in where email = $1 and mailed_at > $5) as mailed";
    let [window, day, minute] = [SIGN_IN_WINDOW_S, 86_400, SIGN_IN_RARE_S].map(|s| now.plus_secs(-s));
    let row = tx.query_one(count, params![email, peer, window, day, minute])?;
    let at_least = |name: &str, limit: i64| row.get::<i64>(name).map(|n| n >= limit);
    if at_least("by_peer", SIGN_IN_CODES_PER_PEER)? || at_least("by_both", SIGN_IN_CODES_PER_PEER_AND_ADDRESS)? {
        return Err(CodeSendError::TooMany);
    }
    let often = at_least("by_address", SIGN_IN_CODES_PER_ADDRESS)? || at_least("by_address_day", SIGN_IN_CODES_PER_ADDRESS_DAY)?;
    Ok(match (often, at_least("mailed", 1)?) {
        (false, _) => Posture::Usual,
        (true, false) => Posture::Rare,
        (true, true) => Posture::Silent,
    })
}

/// Uniform: bytes above the largest multiple of ten are drawn again.
fn code_of(env: &Env, digits: usize) -> Secret<String> {
    let mut code = String::with_capacity(digits);
    while code.len() < digits {
        let [drawn] = env.bytes::<1>();
        if drawn < 250 {
            code.push(char::from(b'0' + drawn % 10));
        }
    }
    Secret::new(code)
}
