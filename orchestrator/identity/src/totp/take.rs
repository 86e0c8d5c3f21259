//! Checking one code, once, with few tries.

use purser_crypto::encoding::b64url;
use purser_db::{DbError, Tx, params};
use purser_values::Secret;
use purser_values::id::PersonId;
use purser_values::name::Email;

use super::{TotpError, generator, purpose};
use crate::limits::{SIGN_IN_WINDOW_S, TOTP_TRIES, TOTP_TRIES_DAY};
use crate::realm::Realm;

#[derive(Debug)]
pub(crate) enum Taken {
    Code,
    RecoveryCode { left: i64 },
    Wrong { tries_left: i64 },
}

/// Takes a code of the person's confirmed app, or one of its recovery codes.
pub(crate) fn take(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId, typed: &str) -> Result<Taken, TotpError> {
    if super::confirmed_at(tx, person)?.is_none() {
        return Err(TotpError::None);
    }
    if typed.bytes().any(|b| b.is_ascii_alphabetic()) {
        return recovery(tx, realm, person, typed);
    }
    Ok(match check(tx, realm, person, typed)? {
        Ok(()) => Taken::Code,
        Err(tries_left) => Taken::Wrong { tries_left },
    })
}

/// Takes a code of the person's app, confirmed or waiting; answers the tries that are left when it is wrong or was used.
pub(super) fn check(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId, typed: &str) -> Result<Result<(), i64>, TotpError> {
    let code: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TotpError::NotACode(code.chars().take(16).collect()));
    }
    let left = tries_left(tx, realm, person)?;
    let select = "select t.sealed, p.email from totp t join person p on p.id = t.person where t.person = $1";
    let row = tx.query_opt(select, params![person])?.ok_or(TotpError::None)?;
    let (sealed, email): (Vec<u8>, Email) = (row.get("sealed")?, row.parse("email")?);
    let secret: Secret<Vec<u8>> = realm.keyring.open(&purpose(person), &sealed)?;
    let now = u64::try_from(realm.env.now().as_secs()).unwrap_or_default();
    let step = generator(&secret, realm, &email)?.check(&code, now).and_then(|step| i64::try_from(step).ok());
    // Later than the last one that was taken, and two at once are told apart by the store.
    let once = "update totp set last_step = $2 where person = $1 and last_step < $2";
    if let Some(step) = step
        && tx.execute(once, params![person, step])? == 1
    {
        return Ok(Ok(()));
    }
    wrong(tx, realm, person)?;
    Ok(Err(left - 1))
}

fn recovery(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId, typed: &str) -> Result<Taken, TotpError> {
    let left = tries_left(tx, realm, person)?;
    let once = "update recovery_code set used_at = $3 where person = $1 and code_mac = $2 and used_at is null";
    if tx.execute(once, params![person, recovery_mac(realm, person, typed), realm.env.now()])? == 1 {
        let count = "select count(*) as n from recovery_code where person = $1 and used_at is null";
        return Ok(Taken::RecoveryCode { left: tx.query_one(count, params![person])?.get("n")? });
    }
    wrong(tx, realm, person)?;
    Ok(Taken::Wrong { tries_left: left - 1 })
}

/// The digest of a recovery code, typed with or without its hyphen and in any case. 50 random bits under a secret key need no
/// slow hash.
pub(super) fn recovery_mac(realm: &Realm, person: &PersonId, typed: &str) -> String {
    let code: String = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    b64url(&realm.keys.mac("recovery-code", &[person.as_str(), &code]))
}

fn tries_left(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId) -> Result<i64, TotpError> {
    let now = realm.env.now();
    let count = "select (select count(*) from totp_try where person = $1 and at > $2) as lately,
                        (select count(*) from totp_try where person = $1 and at > $3) as in_a_day";
    let row = tx.query_one(count, params![person, now.plus_secs(-SIGN_IN_WINDOW_S), now.plus_secs(-86_400)])?;
    let left = (TOTP_TRIES - row.get::<i64>("lately")?).min(TOTP_TRIES_DAY - row.get::<i64>("in_a_day")?);
    if left > 0 { Ok(left) } else { Err(TotpError::TooMany) }
}

fn wrong(tx: &mut Tx<'_>, realm: &Realm, person: &PersonId) -> Result<(), DbError> {
    let id = b64url(&realm.env.bytes::<16>());
    tx.execute("insert into totp_try (id, person, at) values ($1, $2, $3)", params![id, person, realm.env.now()]).map(drop)
}
