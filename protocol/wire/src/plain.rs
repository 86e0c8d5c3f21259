//! The only place where a secret becomes text: the body of a signed message to the party it is for.
//!
//! `Secret` cannot be serialised; a field that must travel says so with `#[serde(serialize_with = "plain::…")]`.

use purser_values::Secret;
use serde::{Deserialize, Deserializer, Serializer};

pub fn secret<S: Serializer>(value: &Secret<String>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(value.expose())
}

pub fn optional<S: Serializer>(value: &Option<Secret<String>>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => s.serialize_some(value.expose()),
        None => s.serialize_none(),
    }
}

/// Reads an explicit `null` as the type's default, for fields that are not `Option`.
pub fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}
