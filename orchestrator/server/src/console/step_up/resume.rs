//! A form that was refused because its person had to prove first that they are there: kept, so that nothing typed is lost.
//!
//! It is sealed for its person and travels through the pages of the step-up; nothing is stored. Only forms whose token was right
//! are refused in this way, so what is kept came from a page of ours.

use purser_crypto::encoding::{b64url, b64url_decode};
use purser_crypto::seal::SealError;
use purser_identity::session::Session;
use serde::{Deserialize, Serialize};

use crate::front::Front;

/// Largest form that is kept, in bytes.
pub const FORM_BYTES: usize = 8 * 1024;
/// Time for which a kept form can be gone on with, in seconds.
const LIFE_S: i64 = 900;
const PURPOSE: &str = "step-up-resume";

/// A form as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    pub path: String,
    /// Its fields in their order, without the token of the old session.
    pub fields: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    person: String,
    until: i64,
    form: Resume,
}

/// Seals the form for the person of the session.
///
/// # Errors
/// When it cannot be sealed.
pub fn seal(front: &Front, session: &Session, form: Resume) -> Result<String, SealError> {
    let person = session.member.person.id.to_string();
    let kept = Kept { person, until: front.realm.env.now().as_secs() + LIFE_S, form };
    Ok(b64url(&front.realm.keyring.seal(&front.realm.env, PURPOSE, serde_json::json!(kept).to_string().as_bytes())?))
}

/// The form, if it is this person's and not too old.
pub fn open(front: &Front, session: &Session, text: &str) -> Option<Resume> {
    let plain = front.realm.keyring.open(PURPOSE, &b64url_decode(text)?).ok()?;
    let kept: Kept = serde_json::from_slice(plain.expose()).ok()?;
    let own = kept.person == session.member.person.id.as_str() && front.realm.env.now().as_secs() < kept.until;
    own.then_some(kept.form)
}
