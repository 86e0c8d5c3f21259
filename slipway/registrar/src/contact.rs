//! Whom an account's names are registered for: asked of a person once, sealed, and used for every later registration.
//!
//! INVARIANT (no-plaintext): a contact is in the database sealed for its account alone, in no log and in no answer but to its own people.
//! It is erased when they want it; what registries hold of registered names stays there, as their rules demand.

use purser_crypto::seal::Keyring;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::CloudAccountId;
use purser_values::name::Email;
use purser_values::{Env, Timestamp};
use serde_json::{Map, Value, json};

use crate::registry::Holder;

/// Longest text of a contact (RFC 5733, postalLineType), postal code and phone number.
const LINE_CHARS: usize = 255;
const POSTAL_CODE_CHARS: usize = 16;
const PHONE_CHARS: usize = 17;

/// The table of contacts; [`crate::store`] makes it.
pub(crate) const TABLE: &str = "create table registrant (
        account {text} primary key,
        sealed {blob} not null,
        since {int} not null
    ){strict}";

#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is {1}")]
    Unfit(&'static str, &'static str),
    #[error("there is no `{0}` in a contact")]
    Unknown(String),
    #[error("a name is being registered for this contact")]
    InUse,
    #[error("a contact cannot be opened: {0}")]
    Sealed(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for ContactError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::Unfit(..) | Self::Unknown(_) => "contact_invalid",
            Self::InUse => "contact_in_use",
            Self::Sealed(_) => "internal",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Missing(_) | Self::Unfit(..) | Self::Unknown(_) => Kind::Invalid,
            Self::InUse => Kind::Conflict,
            Self::Sealed(_) => Kind::Internal,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InUse => Some("try again in a moment, when its registration is finished".to_owned()),
            Self::Missing(_) | Self::Unfit(..) | Self::Unknown(_) | Self::Sealed(_) => None,
            Self::Store(e) => e.hint(),
        }
    }
}

/// What is asked of a person, as the schema of an answer `needs_information`. `said` is what was wrong with the last answer.
#[must_use]
pub fn schema(said: Option<&str>) -> Value {
    let text = |description: &str| json!({"type": "string", "minLength": 1, "maxLength": LINE_CHARS, "description": description});
    json!({
        "type": "object",
        "description": said.unwrap_or("whom names are registered for; kept sealed, given to the registry, never published"),
        "properties": {
            "name": text("the full name of the person who holds the domain"),
            "organization": text("the organisation, if one holds it"),
            "email": text("where the holder can be reached"),
            "phone": {"type": "string", "maxLength": PHONE_CHARS, "description": "country code, a dot, the number: +1.5551234567"},
            "street": text("street and number"),
            "city": text("city"),
            "state": text("state or province, where addresses have one"),
            "postal_code": {"type": "string", "minLength": 1, "maxLength": POSTAL_CODE_CHARS, "description": "postal code"},
            "country": {"type": "string", "minLength": 2, "maxLength": 2, "description": "two letters, such as US or NO"},
        },
        "required": ["name", "email", "phone", "street", "city", "postal_code", "country"],
        "additionalProperties": false,
    })
}

/// Reads what a person answered. Members that no contact has are refused, so that nothing is kept that nobody asked for.
///
/// # Errors
/// When something is missing, too long, or not what its name says.
pub fn read(said: &Map<String, Value>) -> Result<Holder, ContactError> {
    const MEMBERS: [&str; 9] = ["name", "organization", "email", "phone", "street", "city", "state", "postal_code", "country"];
    if let Some(unknown) = said.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(ContactError::Unknown(unknown.chars().take(40).collect()));
    }
    let optional = |member: &'static str| -> Result<Option<String>, ContactError> {
        let Some(value) = said.get(member).filter(|value| !value.is_null()) else { return Ok(None) };
        let text = value.as_str().ok_or(ContactError::Unfit(member, "no text"))?.trim();
        if text.chars().count() > LINE_CHARS || text.chars().any(char::is_control) {
            return Err(ContactError::Unfit(member, "too long, or not on one line"));
        }
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    };
    let needed = |member: &'static str| optional(member)?.ok_or(ContactError::Missing(member));
    let holder = Holder {
        name: needed("name")?,
        organization: optional("organization")?,
        email: needed("email")?,
        phone: needed("phone")?,
        street: needed("street")?,
        city: needed("city")?,
        state: optional("state")?,
        postal_code: needed("postal_code")?,
        country: needed("country")?.to_ascii_uppercase(),
    };
    if holder.email.parse::<Email>().is_err() {
        return Err(ContactError::Unfit("email", "no address of a mailbox"));
    }
    if !is_phone(&holder.phone) {
        return Err(ContactError::Unfit("phone", "no number like `+1.5551234567`"));
    }
    if holder.postal_code.chars().count() > POSTAL_CODE_CHARS {
        return Err(ContactError::Unfit("postal_code", "too long"));
    }
    if holder.country.len() != 2 || !holder.country.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(ContactError::Unfit("country", "not two letters, such as `NO`"));
    }
    Ok(holder)
}

/// e164StringType of RFC 5733: `+`, one to three digits, a dot, one to fourteen digits.
fn is_phone(text: &str) -> bool {
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.strip_prefix('+').and_then(|rest| rest.split_once('.')).is_some_and(|(country, rest)| digits(country, 3) && digits(rest, 14))
}

fn aad(account: &CloudAccountId) -> String {
    format!("registrant/{account}")
}

/// Keeps a contact, in the place of the one before.
///
/// # Errors
/// When the store fails.
pub fn contact_put(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, account: &CloudAccountId, holder: &Holder) -> Result<(), DbError> {
    let text = serde_json::to_vec(holder).map_err(|e| DbError::Other(e.to_string()))?;
    let sealed = keyring.seal(env, &aad(account), &text).map_err(|e| DbError::Other(e.to_string()))?;
    let upsert = "insert into registrant (account, sealed, since) values ($1, $2, $3)
                  on conflict (account) do update set sealed = excluded.sealed, since = excluded.since";
    tx.execute(upsert, params![account, sealed, env.now()]).map(drop)
}

/// Since when the account has a contact.
///
/// # Errors
/// When the store fails.
pub fn contact_since(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Option<Timestamp>, DbError> {
    tx.query_opt("select since from registrant where account = $1", params![account])?.map(|row| row.get("since")).transpose()
}

/// The contact itself, for its own people and for the registry.
///
/// # Errors
/// When it was sealed under another key, or the store fails.
pub fn contact_open(tx: &mut Tx<'_>, keyring: &Keyring, account: &CloudAccountId) -> Result<Option<Holder>, ContactError> {
    let Some(row) = tx.query_opt("select sealed from registrant where account = $1", params![account])? else { return Ok(None) };
    let sealed: Vec<u8> = row.get("sealed")?;
    let text = keyring.open_text(&aad(account), &sealed).map_err(|e| ContactError::Sealed(e.to_string()))?;
    serde_json::from_str(text.expose()).map(Some).map_err(|e| ContactError::Sealed(e.to_string()))
}

/// Forgets the contact; false when there was none.
///
/// # Errors
/// While a name is being registered for it: the registry may have to be asked again with the same words.
pub fn contact_erase(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<bool, ContactError> {
    if tx.query_opt("select id from domain where account = $1 and state = 'pending' limit 1", params![account])?.is_some() {
        return Err(ContactError::InUse);
    }
    Ok(tx.execute("delete from registrant where account = $1", params![account])? == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Map<String, Value> {
        let said = json!({"name": "Ada L", "email": "ada@example.test", "phone": "+47.22334455", "street": "Storgata 1", "city": "Oslo",
            "postal_code": "0155", "country": "no", "organization": " "});
        said.as_object().unwrap().clone()
    }

    #[test]
    fn a_contact_is_what_a_registry_takes_and_nothing_more() {
        let holder = read(&ada()).unwrap();
        assert_eq!((holder.country.as_str(), holder.organization), ("NO", None));
        for (member, wrong) in [
            ("name", json!("")),
            ("name", json!(7)),
            ("name", json!("x".repeat(256))),
            ("street", json!("a\nb")),
            ("email", json!("nobody")),
            ("phone", json!("22334455")),
            ("phone", json!("+1.123456789012345")),
            ("postal_code", json!("12345678901234567")),
            ("country", json!("NOR")),
            ("passport", json!("N123")),
        ] {
            let mut said = ada();
            said.insert(member.to_owned(), wrong.clone());
            assert!(read(&said).is_err(), "`{member}` = {wrong} was taken");
        }
        for needed in schema(None)["required"].as_array().unwrap() {
            let mut said = ada();
            said.remove(needed.as_str().unwrap());
            assert!(matches!(read(&said), Err(ContactError::Missing(_))), "{needed} was not asked for");
        }
    }
}
