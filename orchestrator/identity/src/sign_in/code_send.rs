//! `sign_in`: ask for a code.

use purser_authority::action::SignIn;
use purser_authority::{Done, Permit};
use purser_crypto::seal::SealError;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::limits::SIGN_IN_CODE_LIFE_S;
use purser_values::name::Email;
use purser_values::{Env, Secret, Timestamp};

use super::{ATTEMPT, code_mac, known_browser};
use crate::limits::{
    SIGN_IN_CODES_PER_ADDRESS, SIGN_IN_CODES_PER_ADDRESS_DAY, SIGN_IN_CODES_PER_BROWSER, SIGN_IN_CODES_PER_BROWSER_DAY,
    SIGN_IN_CODES_PER_PEER, SIGN_IN_CODES_PER_PEER_AND_ADDRESS, SIGN_IN_DIGITS, SIGN_IN_DIGITS_LONG, SIGN_IN_RARE_S, SIGN_IN_WINDOW_S,
};
use crate::realm::Realm;
use crate::sign_up::{self, Ticket};
use crate::sso::SsoRequired;

#[derive(Debug, thiserror::Error)]
pub enum CodeSendError {
    #[error("too many sign-in codes were asked for")]
    TooMany,
    #[error(transparent)]
    Sso(#[from] SsoRequired),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for CodeSendError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_codes",
            Self::Sso(e) => e.code(),
            Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::RateLimited,
            Self::Sso(e) => e.kind(),
            Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooMany => Some("use the newest code in your mailbox, or wait a quarter of an hour".to_owned()),
            Self::Sso(e) => e.hint(),
            Self::Seal(_) | Self::Db(_) => None,
        }
    }
}

/// What the browser keeps until the code is typed in.
#[derive(Debug)]
pub struct CodeSent {
    pub attempt: Secret<String>,
    pub expires_at: Timestamp,
}

/// Where a request for a code comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub peer: &'a str,
    /// What the browser shows as its mark of an earlier sign-in.
    pub mark: Option<&'a str>,
    /// What lets somebody in whom the installation's rule does not.
    pub ticket: Option<&'a Ticket>,
}

/// Makes a code and mails it. An address that is not admitted gets the same answer and no mail, so that nobody can find out
/// who has a login here.
///
/// INVARIANT (nobody-locked-out): what others ask for in an address's name refuses them and not its person. A browser that signed
/// in with the address before is counted alone. Any other gets the same answer however much the address is asked for, but then a
/// mail goes out once a minute only, with a longer code, and an attempt without a mail has no code that could be guessed.
///
/// # Errors
/// [`CodeSendError::TooMany`], or a failure of the store.
pub fn sign_in_code_send(
    tx: &mut Tx<'_>,
    realm: &Realm,
    _permit: Permit<SignIn>,
    email: &Email,
    origin: Origin<'_>,
) -> Result<Done<CodeSent>, CodeSendError> {
    realm.sso.refuse_others(email)?;
    let now = realm.env.now();
    let browser = origin.mark.and_then(|mark| known_browser::number(&realm.keys, now, email, mark));
    let posture = match browser {
        Some(browser) => known(tx, browser, now)?,
        None => unknown(tx, email, origin.peer, now)?,
    };
    let admitted = sign_up::admission(tx, realm, email, origin.ticket)?.is_some();
    let (attempt, digest) = token::mint(&realm.env, ATTEMPT);
    let expires_at = now.plus_secs(SIGN_IN_CODE_LIFE_S);
    let code = match posture {
        Posture::Usual => Some(code_of(&realm.env, SIGN_IN_DIGITS)),
        Posture::Rare => Some(code_of(&realm.env, SIGN_IN_DIGITS_LONG)),
        Posture::Silent => None,
    };
    let code = code.filter(|_| admitted);
    // Without a mail no code is right: the MAC is of nothing that could be typed.
    let mac = code_mac(&realm.keys, &digest, email.as_str(), code.as_ref().map_or("", |code| code.expose()));
    let insert = "insert into sign_in_code (attempt, email, peer, code_mac, tries, created_at, expires_at, browser, mailed_at)
                  values ($1, $2, $3, $4, 0, $5, $6, $7, $8)";
    let mailed_at = code.is_some().then_some(now);
    tx.execute(insert, params![digest, email, origin.peer, mac, now, expires_at, browser, mailed_at])?;
    let done = Done::quiet(CodeSent { attempt, expires_at });
    let Some(code) = code else { return Ok(done) };
    let text = format!(
        "Your sign-in code for {issuer} is\n\n    {code}\n\nIt works for {minutes} minutes, once, in the browser that asked for it.\n\
         If that was not you, ignore this mail and give the code to nobody.\n",
        issuer = realm.issuer,
        code = code.expose(),
        minutes = SIGN_IN_CODE_LIFE_S / 60,
    );
    Ok(done.and_job(realm.mail(email, "Your sign-in code", text)?))
}

/// What a request for a code leads to.
enum Posture {
    Usual,
    /// The address is asked for too often: a long code.
    Rare,
    /// The same within a minute of the last mail: nothing.
    Silent,
}

/// Used codes do not count, here and below: whoever signs in is not guessing.
fn known(tx: &mut Tx<'_>, browser: &str, now: Timestamp) -> Result<Posture, CodeSendError> {
    let count = "select
        (select count(*) from sign_in_code where browser = $1 and created_at > $2 and used_at is null) as lately,
        (select count(*) from sign_in_code where browser = $1 and created_at > $3 and used_at is null) as in_a_day";
    let row = tx.query_one(count, params![browser, now.plus_secs(-SIGN_IN_WINDOW_S), now.plus_secs(-86_400)])?;
    let over = row.get::<i64>("lately")? >= SIGN_IN_CODES_PER_BROWSER || row.get::<i64>("in_a_day")? >= SIGN_IN_CODES_PER_BROWSER_DAY;
    if over { Err(CodeSendError::TooMany) } else { Ok(Posture::Usual) }
}

fn unknown(tx: &mut Tx<'_>, email: &Email, peer: &str, now: Timestamp) -> Result<Posture, CodeSendError> {
    let count = "select
        (select count(*) from sign_in_code where peer = $2 and created_at > $3 and used_at is null) as by_peer,
        (select count(*) from sign_in_code where peer = $2 and email = $1 and created_at > $3 and used_at is null) as by_both,
        (select count(*) from sign_in_code where email = $1 and created_at > $3 and used_at is null) as by_address,
        (select count(*) from sign_in_code where email = $1 and created_at > $4 and used_at is null) as by_address_day,
        (select count(*) from sign_in_code where email = $1 and mailed_at > $5) as mailed";
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
pub(crate) fn code_of(env: &Env, digits: usize) -> Secret<String> {
    let mut code = String::with_capacity(digits);
    while code.len() < digits {
        let [drawn] = env.bytes::<1>();
        if drawn < 250 {
            code.push(char::from(b'0' + drawn % 10));
        }
    }
    Secret::new(code)
}
