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

use super::{ATTEMPT, code_mac};
use crate::limits::{SIGN_IN_CODES_PER_ADDRESS, SIGN_IN_CODES_PER_ADDRESS_DAY, SIGN_IN_CODES_PER_PEER, SIGN_IN_WINDOW_S};
use crate::person;
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum CodeSendError {
    #[error("too many sign-in codes were asked for")]
    TooMany,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for CodeSendError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_codes",
            Self::Seal(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::RateLimited,
            Self::Seal(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        matches!(self, Self::TooMany).then(|| "use the newest code in your mailbox, or wait a quarter of an hour".to_owned())
    }
}

/// What the browser keeps until the code is typed in.
#[derive(Debug)]
pub struct CodeSent {
    pub attempt: Secret<String>,
    pub expires_at: Timestamp,
}

/// Makes a code and mails it. An address that is not admitted gets the same answer and no mail, so that nobody can find out
/// who has a login here.
///
/// # Errors
/// [`CodeSendError::TooMany`], or a failure of the store.
pub fn sign_in_code_send(
    tx: &mut Tx<'_>,
    realm: &Realm,
    _permit: Permit<SignIn>,
    email: &Email,
    peer: &str,
) -> Result<Done<CodeSent>, CodeSendError> {
    let now = realm.env.now();
    refuse_too_many(tx, email, peer, now)?;
    let (attempt, digest) = token::mint(&realm.env, ATTEMPT);
    let code = six_digits(&realm.env);
    let mac = code_mac(&realm.keys, &digest, email.as_str(), code.expose());
    let expires_at = now.plus_secs(SIGN_IN_CODE_LIFE_S);
    let insert = "insert into sign_in_code (attempt, email, peer, code_mac, tries, created_at, expires_at)
                  values ($1, $2, $3, $4, 0, $5, $6)";
    tx.execute(insert, params![digest, email, peer, mac, now, expires_at])?;
    let done = Done::quiet(CodeSent { attempt, expires_at });
    if !realm.sign_up.admits(email) && !person::exists(tx, email)? {
        return Ok(done);
    }
    let text = format!(
        "Your sign-in code for {issuer} is\n\n    {code}\n\nIt works for {minutes} minutes, once, in the browser that asked for it.\n\
         If that was not you, ignore this mail and give the code to nobody.\n",
        issuer = realm.issuer,
        code = code.expose(),
        minutes = SIGN_IN_CODE_LIFE_S / 60,
    );
    Ok(done.and_job(realm.mail(email, "Your sign-in code", text)?))
}

/// Used codes do not count: whoever signs in is not guessing.
fn refuse_too_many(tx: &mut Tx<'_>, email: &Email, peer: &str, now: Timestamp) -> Result<(), CodeSendError> {
    let count = "select
        (select count(*) from sign_in_code where email = $1 and created_at > $3 and used_at is null) as by_address,
        (select count(*) from sign_in_code where email = $1 and created_at > $4 and used_at is null) as by_address_day,
        (select count(*) from sign_in_code where peer = $2 and created_at > $3 and used_at is null) as by_peer";
    let row = tx.query_one(count, params![email, peer, now.plus_secs(-SIGN_IN_WINDOW_S), now.plus_secs(-86_400)])?;
    let over = row.get::<i64>("by_address")? >= SIGN_IN_CODES_PER_ADDRESS
        || row.get::<i64>("by_address_day")? >= SIGN_IN_CODES_PER_ADDRESS_DAY
        || row.get::<i64>("by_peer")? >= SIGN_IN_CODES_PER_PEER;
    if over { Err(CodeSendError::TooMany) } else { Ok(()) }
}

/// Uniform: numbers above the largest multiple of a million are drawn again.
fn six_digits(env: &Env) -> Secret<String> {
    loop {
        let drawn = u32::from_be_bytes(env.bytes::<4>());
        if drawn < 4_294_000_000 {
            return Secret::new(format!("{:06}", drawn % 1_000_000));
        }
    }
}
