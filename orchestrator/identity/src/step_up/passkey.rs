//! `step_up` with a passkey.

use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Done, Permit};
use purser_db::{DbError, Tx};
use serde_json::Value;

use super::{StepUpError, SteppedUp, finish, own};
use crate::passkey::{self, AssertionAnswer, Purpose, request_options};
use crate::realm::Realm;
use crate::session::Session;

/// What the page hands to `navigator.credentials.get`.
///
/// # Errors
/// When the store fails.
pub fn step_up_passkey_options(tx: &mut Tx<'_>, realm: &Realm, session: &Session) -> Result<Value, DbError> {
    let passkeys = passkey::of_person(tx, &session.member.person.id)?;
    let challenge = passkey::mint(realm, Purpose::StepUp { session: session.id.as_str() });
    Ok(request_options(realm, &challenge, passkeys.iter().map(|passkey| passkey.credential.as_str())))
}

/// Checks the answer and makes the session anew.
///
/// # Errors
/// When the answer is not of a passkey of the person, or the page is too old.
pub fn step_up_passkey(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<StepUpAction>,
    session: &Session,
    answer: &AssertionAnswer,
) -> Result<Done<SteppedUp>, StepUpError> {
    own(&permit, session)?;
    let purpose = Purpose::StepUp { session: session.id.as_str() };
    let challenge = passkey::take(tx, realm, purpose, &answer.assertion.client_data_json)?;
    passkey::assert(tx, realm, Some(&session.member.person.id), &challenge, answer)?;
    finish(tx, realm, &permit, session, "passkey")
}
