//! `passkey_add`.

use purser_authority::action::PasskeyAdd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_crypto::encoding::b64url;
use purser_crypto::webauthn::{Expected, PublicKey, register};
use purser_db::{DbError, Tx, params};
use purser_values::id::PasskeyId;
use serde_json::{Value, json};

use super::answer::AttestationAnswer;
use super::challenge::{self, Purpose};
use super::{PasskeyError, of_person};
use crate::limits::{PASSKEY_CHALLENGE_LIFE_S, PASSKEY_NAME_CHARS, PASSKEYS};
use crate::realm::Realm;
use crate::session::Session;
use crate::visible::visible;

/// What the page hands to `navigator.credentials.create`. An authenticator that holds a passkey of this person is left out.
///
/// # Errors
/// When the store fails.
pub fn creation_options(tx: &mut Tx<'_>, realm: &Realm, _permit: &Permit<PasskeyAdd>, session: &Session) -> Result<Value, DbError> {
    let person = &session.member.person;
    let on_file: Vec<Value> =
        of_person(tx, &person.id)?.iter().map(|passkey| json!({ "type": "public-key", "id": passkey.credential })).collect();
    let algorithms: Vec<Value> = PublicKey::algorithms().iter().map(|alg| json!({ "type": "public-key", "alg": alg })).collect();
    Ok(json!({
        "challenge": challenge::mint(realm, Purpose::Add { person: person.id.as_str() }),
        "rp": { "id": realm.host(), "name": "Purser" },
        "user": { "id": b64url(person.id.as_str().as_bytes()), "name": person.email, "displayName": person.email },
        "pubKeyCredParams": algorithms,
        "excludeCredentials": on_file,
        "authenticatorSelection": { "residentKey": "required", "requireResidentKey": true, "userVerification": "required" },
        "attestation": "none",
        "timeout": PASSKEY_CHALLENGE_LIFE_S * 1000,
    }))
}

/// Puts a passkey on file for the person that the permit is for, and tells them by mail.
///
/// # Errors
/// See [`PasskeyError`].
pub fn passkey_add(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<PasskeyAdd>,
    session: &Session,
    name: &str,
    answer: &AttestationAnswer,
) -> Result<Done<PasskeyId>, PasskeyError> {
    let person = &session.member.person;
    if permit.caller().person() != Some(&person.id) {
        return Err(Denied::NotFound.into());
    }
    let name = visible(name, PASSKEY_NAME_CHARS).ok_or(PasskeyError::Name)?;
    if of_person(tx, &person.id)?.len() >= PASSKEYS {
        return Err(PasskeyError::TooMany);
    }
    let challenge = challenge::take(tx, realm, Purpose::Add { person: person.id.as_str() }, &answer.client_data_json)?;
    let expected = Expected { challenge: &challenge, origin: realm.origin(), rp_id: realm.host() };
    let new = register(expected, &answer.client_data_json, &answer.attestation_object)?;
    let id = PasskeyId::mint(&realm.env);
    let insert = "insert into passkey (id, person, credential, public_key, name, sign_count, backup_eligible, backed_up, created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (credential) do nothing";
    let (counter, eligible, backed) = (i64::from(new.state.sign_count), new.state.backup_eligible, new.state.backed_up);
    let (key, now) = (new.key.cose().to_vec(), realm.env.now());
    let values = params![id, person.id, b64url(&new.id), key, name, counter, i64::from(eligible), i64::from(backed), now];
    if tx.execute(insert, values)? != 1 {
        return Err(PasskeyError::OnFile);
    }
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .related([person.id.as_str()])
        .with(json!({ "name": name, "backup_eligible": eligible, "backed_up": backed }));
    let mail = realm.notice(&person.email, "A passkey was added", &format!("The passkey \"{name}\" was added to your login."))?;
    Ok(Done::with_event(id, event).and_job(mail))
}
