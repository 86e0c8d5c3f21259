//! `sign_in` with a passkey: who it is comes from the passkey, not from an address.

use purser_authority::action::SignIn;
use purser_authority::{Caller, Done, Event, Permit};
use purser_db::Tx;
use serde_json::Value;

use super::answer::AssertionAnswer;
use super::challenge::{self, Purpose, request_options};
use super::{PasskeyError, assert};
use crate::person;
use crate::realm::Realm;
use crate::recovery;
use crate::session::{self, Begin, Place};
use crate::sign_in::{SignedIn, mark};

/// What the sign-in page hands to `navigator.credentials.get`. It names no credential, so that it tells nobody who has one.
#[must_use]
pub fn sign_in_options(realm: &Realm, browser: &str) -> Value {
    request_options(realm, &challenge::mint(realm, Purpose::SignIn { browser }), [])
}

/// Signs the passkey's person in. `browser` is the form cookie of the browser that was asked.
///
/// # Errors
/// See [`PasskeyError`].
pub fn sign_in_passkey(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<SignIn>,
    browser: &str,
    answer: &AssertionAnswer,
    place: Place<'_>,
) -> Result<Done<SignedIn>, PasskeyError> {
    let challenge = challenge::take(tx, realm, Purpose::SignIn { browser }, &answer.assertion.client_data_json)?;
    let passkey = assert(tx, realm, None, &challenge, answer)?;
    let member = person::home(tx, &passkey.person)?.ok_or(PasskeyError::Unknown)?;
    realm.sso.refuse_others(&member.person.email)?;
    recovery::cancel(tx, &member.person.id, realm.env.now(), "passkey")?;
    let (session, id) =
        session::start(tx, &realm.env, &member, Begin { method: "passkey", present_at: Some(realm.env.now()), sso: None, place })?;
    let caller = Caller::Person {
        person: member.person.id.clone(),
        organisation: member.organisation.id.clone(),
        role: member.role,
        present_at: Some(realm.env.now()),
    };
    let event = Event::done(permit.verb(), &caller, member.person.id.as_str())
        .related([id.as_str(), passkey.id.as_str()])
        .with(serde_json::json!({ "email": member.person.email, "fresh": false, "method": "passkey", "present": true }));
    let mark = mark(&realm.keys, &realm.env, &member.person.email);
    Ok(Done::with_event(SignedIn { member, session, mark, fresh: false, by_ticket: false }, event))
}
