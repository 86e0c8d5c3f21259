//! `totp_add`: a secret for the app, which counts when the app has shown a code of it.

use purser_authority::action::TotpAdd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Secret;

use super::take::check;
use super::{SECRET_BYTES, TotpError, generator, purpose};
use crate::limits::RECOVERY_CODES;
use crate::realm::Realm;
use crate::session::Session;

/// What the app has to be told, once.
#[derive(Debug)]
pub struct Enrolment {
    /// The `otpauth` URL, for a QR code.
    pub url: Secret<String>,
    /// The secret in base 32, for typing.
    pub text: Secret<String>,
}

/// A wrong code is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub enum Confirm {
    /// The recovery codes, to be shown once.
    Confirmed {
        recovery_codes: Vec<Secret<String>>,
    },
    Wrong {
        tries_left: i64,
    },
}

/// Makes a secret that waits for its first code. One that waited before is void.
///
/// # Errors
/// [`TotpError::OnFile`] when there is an app already.
pub fn totp_add_begin(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<TotpAdd>, session: &Session) -> Result<Done<Enrolment>, TotpError> {
    let person = own(permit, session)?;
    let secret = Secret::new(realm.env.bytes::<SECRET_BYTES>().to_vec());
    let sealed = realm.keyring.seal(&realm.env, &purpose(&person.id), secret.expose())?;
    let upsert = "insert into totp (person, sealed, created_at, last_step) values ($1, $2, $3, 0)
                  on conflict (person) do update set sealed = $2, created_at = $3, last_step = 0 where totp.confirmed_at is null";
    if tx.execute(upsert, params![person.id, sealed, realm.env.now()])? != 1 {
        return Err(TotpError::OnFile);
    }
    let totp = generator(&secret, realm, &person.email)?;
    let url = Secret::new(totp.to_url().map_err(|e| TotpError::Secret(e.to_string()))?);
    let text = Secret::new(totp_rs::Secret::from(secret.expose().clone()).to_base32());
    Ok(Done::quiet(Enrolment { url, text }))
}

/// Checks a first code, and gives the recovery codes.
///
/// # Errors
/// When no secret waits, or too many codes were wrong.
pub fn totp_add_confirm(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TotpAdd>,
    session: &Session,
    code: &str,
) -> Result<Done<Confirm>, TotpError> {
    let person = own(&permit, session)?;
    if super::confirmed_at(tx, &person.id)?.is_some() {
        return Err(TotpError::OnFile);
    }
    if let Err(tries_left) = check(tx, realm, &person.id, code)? {
        return Ok(Done::quiet(Confirm::Wrong { tries_left }));
    }
    tx.execute("update totp set confirmed_at = $2 where person = $1", params![person.id, realm.env.now()])?;
    tx.execute("delete from recovery_code where person = $1", params![person.id])?;
    let mut recovery_codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let code = recovery_code(realm);
        let insert = "insert into recovery_code (person, code_mac) values ($1, $2)";
        tx.execute(insert, params![person.id, super::take::recovery_mac(realm, &person.id, code.expose())])?;
        recovery_codes.push(code);
    }
    let event = Event::done(permit.verb(), permit.caller(), person.id.as_str());
    let mail = realm.notice(&person.email, "An app was added", "An app that shows codes was added to your login.")?;
    Ok(Done::with_event(Confirm::Confirmed { recovery_codes }, event).and_job(mail))
}

fn own<'s>(permit: &Permit<TotpAdd>, session: &'s Session) -> Result<&'s crate::person::Person, Denied> {
    let person = &session.member.person;
    if permit.caller().person() == Some(&person.id) { Ok(person) } else { Err(Denied::NotFound) }
}

/// Ten characters of 32 that cannot be mistaken for each other: 50 bits.
fn recovery_code(realm: &Realm) -> Secret<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let drawn = realm.env.bytes::<10>();
    let code: String = drawn.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    Secret::new(format!("{}-{}", &code[..5], &code[5..]))
}
