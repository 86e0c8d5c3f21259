//! Challenges: ours by their HMAC, for one purpose and one holder, for five minutes, once.

use purser_crypto::constant_time_eq;
use purser_crypto::encoding::{b64url, b64url_decode};
use purser_db::{Tx, params};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::PasskeyError;
use crate::limits::PASSKEY_CHALLENGE_LIFE_S;
use crate::realm::Realm;

/// What an answer may be used for, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// The browser that shows the sign-in page, by its form cookie.
    SignIn { browser: &'a str },
    /// The person who adds one.
    Add { person: &'a str },
    /// The session that steps up.
    StepUp { session: &'a str },
}

impl Purpose<'_> {
    const fn parts(&self) -> [&str; 2] {
        match self {
            Self::SignIn { browser } => ["sign_in", browser],
            Self::Add { person } => ["add", person],
            Self::StepUp { session } => ["step_up", session],
        }
    }
}

/// 16 random bytes, 8 of the time, and the HMAC of both with the purpose.
pub(crate) fn mint(realm: &Realm, purpose: Purpose<'_>) -> String {
    let head = [realm.env.bytes::<16>().as_slice(), &realm.env.now().as_secs().to_be_bytes()].concat();
    let mac = mac(realm, &head, purpose);
    b64url(&[head, mac.to_vec()].concat())
}

#[derive(Deserialize)]
struct Answered {
    challenge: String,
}

/// The challenge that the answer names, if it is ours for this purpose; it is used up with the caller's write.
pub(crate) fn take(tx: &mut Tx<'_>, realm: &Realm, purpose: Purpose<'_>, client_data_json: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    let answered: Answered = serde_json::from_slice(client_data_json).map_err(|_| PasskeyError::Over)?;
    let challenge = b64url_decode(&answered.challenge).filter(|c| c.len() == 56).ok_or(PasskeyError::Over)?;
    let (head, given) = challenge.split_at(24);
    let (_, seconds) = head.split_last_chunk::<8>().ok_or(PasskeyError::Over)?;
    let (now, made) = (realm.env.now(), Timestamp::from_secs(i64::from_be_bytes(*seconds)));
    if !constant_time_eq(&mac(realm, head, purpose), given) {
        return Err(PasskeyError::Over);
    }
    let until = made.plus_secs(PASSKEY_CHALLENGE_LIFE_S);
    if now >= until {
        return Err(PasskeyError::Over);
    }
    let insert = "insert into passkey_challenge (digest, expires_at) values ($1, $2) on conflict (digest) do nothing";
    if tx.execute(insert, params![Sha256Digest::of(&challenge), until])? != 1 {
        return Err(PasskeyError::Over);
    }
    Ok(challenge)
}

fn mac(realm: &Realm, head: &[u8], purpose: Purpose<'_>) -> [u8; 32] {
    let [what, whose] = purpose.parts();
    realm.keys.mac("passkey-challenge", &[&b64url(head), what, whose])
}

/// What the page hands to `navigator.credentials.get`; without `credentials` any discoverable passkey for this site will do.
#[must_use]
pub fn request_options<'a>(realm: &Realm, challenge: &str, credentials: impl IntoIterator<Item = &'a str>) -> Value {
    let allowed: Vec<Value> = credentials.into_iter().map(|id| json!({ "type": "public-key", "id": id })).collect();
    let timeout_ms = PASSKEY_CHALLENGE_LIFE_S * 1000;
    let mut options = json!({ "challenge": challenge, "rpId": realm.host(), "userVerification": "required", "timeout": timeout_ms });
    if !allowed.is_empty() {
        options["allowCredentials"] = allowed.into();
    }
    options
}
