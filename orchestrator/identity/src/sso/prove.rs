//! A first sign-in through a company whose address is a login with a passkey or an app: whoever has those connects the two.
//!
//! A mailbox that changed hands at a company must not open what its last holder left. What the company said waits for the proof,
//! sealed, in the page of the browser that it was said to; nothing is stored.

use purser_authority::action::SignIn;
use purser_authority::{Done, Permit};
use purser_crypto::constant_time_eq;
use purser_crypto::encoding::{b64url, b64url_decode};
use purser_db::{DbError, Tx};
use purser_values::Sha256Digest;
use purser_values::id::PersonId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sign_in::{Arrival, active, connected, enter};
use super::{SsoError, SsoSignIn, Vouched};
use crate::limits::SSO_ATTEMPT_LIFE_S;
use crate::passkey::{self, AssertionAnswer, Purpose, request_options};
use crate::realm::Realm;
use crate::session::Place;
use crate::sign_up::{self, Ticket};
use crate::step_up::{self, Methods};
use crate::totp::{self, Taken};

const PURPOSE: &str = "sso-pending";

/// What a company said of somebody whose login is still to be proved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub person: PersonId,
    pub vouched: Vouched,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    browser: String,
    until: i64,
    pending: Pending,
}

/// For the page of the browser.
///
/// # Errors
/// When it cannot be sealed.
pub fn pending_seal(realm: &Realm, browser: &Sha256Digest, pending: Pending) -> Result<String, SsoError> {
    let kept = Kept { browser: browser.to_string(), until: realm.env.now().as_secs() + SSO_ATTEMPT_LIFE_S, pending };
    Ok(b64url(&realm.keyring.seal(&realm.env, PURPOSE, serde_json::json!(kept).to_string().as_bytes())?))
}

/// What the page of this browser holds.
///
/// # Errors
/// [`SsoError::Over`].
pub fn pending_open(realm: &Realm, browser: &Sha256Digest, text: &str) -> Result<Pending, SsoError> {
    let sealed = b64url_decode(text).ok_or(SsoError::Over)?;
    let plain = realm.keyring.open(PURPOSE, &sealed).map_err(|_| SsoError::Over)?;
    let kept: Kept = serde_json::from_slice(plain.expose()).map_err(|_| SsoError::Over)?;
    let own = constant_time_eq(kept.browser.as_bytes(), browser.to_string().as_bytes());
    if own && realm.env.now().as_secs() < kept.until { Ok(kept.pending) } else { Err(SsoError::Over) }
}

/// How the person can prove it.
///
/// # Errors
/// When the store fails.
pub fn pending_methods(tx: &mut Tx<'_>, realm: &Realm, pending: &Pending) -> Result<Methods, DbError> {
    step_up::methods(tx, realm, &pending.person)
}

/// What the page hands to `navigator.credentials.get`. It names no credential. `form` is the form cookie of the browser.
#[must_use]
pub fn pending_options(realm: &Realm, form: &str) -> Value {
    request_options(realm, &passkey::mint(realm, Purpose::SignIn { browser: form }), [])
}

/// The proof that the login is the person's.
#[derive(Debug)]
pub enum Proof<'a> {
    Passkey {
        /// The form cookie of the browser that was asked.
        form: &'a str,
        answer: &'a AssertionAnswer,
    },
    /// A code of the app, or a recovery code.
    App(&'a str),
}

/// A wrong try is an outcome and not an error: it is counted in the same write.
#[derive(Debug)]
pub enum Proven {
    SignIn(SsoSignIn),
    Wrong { tries_left: i64 },
}

/// Connects the account with the login, and signs in.
///
/// # Errors
/// See [`SsoError`].
pub fn sso_prove(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<SignIn>,
    pending: &Pending,
    proof: &Proof<'_>,
    place: Place<'_>,
    ticket: Option<&Ticket>,
) -> Result<Done<Proven>, SsoError> {
    let connection = realm.sso.find(&pending.vouched.facts.connection).ok_or(SsoError::Unknown)?;
    let person = active(tx, &pending.person)?;
    if person.email != pending.vouched.email {
        return Err(SsoError::Over);
    }
    match proof {
        Proof::Passkey { form, answer } => {
            let challenge = passkey::take(tx, realm, Purpose::SignIn { browser: form }, &answer.assertion.client_data_json)?;
            passkey::assert(tx, realm, Some(&person.id), &challenge, answer)?;
        }
        Proof::App(code) => {
            if let Taken::Wrong { tries_left } = totp::take(tx, realm, &person.id, code)? {
                return Ok(Done::quiet(Proven::Wrong { tries_left }));
            }
        }
    }
    let mut done = Done::quiet(());
    connected(tx, realm, connection, &person, &pending.vouched, &mut done)?;
    let admission = sign_up::admission(tx, realm, &person.email, ticket)?;
    let arrival = Arrival { connection, vouched: &pending.vouched, place, admission, fresh: false };
    Ok(enter(tx, realm, permit, person, arrival, done)?.map(Proven::SignIn))
}
