//! The parameters of a request to an OAuth endpoint, read strictly.
//!
//! RFC 6749, 3.1 and 3.2: one that is repeated is refused, one without a value counts as left out, one that is not known is ignored.
//! Refusing repeats matters: two parsers that each take another one of them can be made to disagree.

use std::collections::BTreeMap;

use purser_values::Secret;
use purser_values::error::{Kind, PublicError};
use serde::de::DeserializeOwned;

/// Most parameters in one request.
const MOST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    #[error("the parameter `{0}` is there more than once")]
    Repeated(String),
    #[error("the parameters are not `application/x-www-form-urlencoded` text in UTF-8")]
    Encoding,
    #[error("there are more than {MOST} parameters")]
    TooMany,
    #[error("the parameter `{0}` is not what is expected")]
    Form(&'static str),
}

impl PublicError for ParametersError {
    fn code(&self) -> &'static str {
        "invalid_request"
    }
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// Parameters by name. `Debug` shows names only: a value may be a secret.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Parameters {
    /// Reads a query or a form body.
    ///
    /// # Errors
    /// See [`ParametersError`].
    pub fn parse(text: &[u8]) -> Result<Self, ParametersError> {
        let mut found = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            // what does not decode comes as the replacement character; no store can keep a zero byte
            if [&name, &value].iter().any(|text| text.contains(['\u{fffd}', '\0'])) {
                return Err(ParametersError::Encoding);
            }
            if found.len() == MOST {
                return Err(ParametersError::TooMany);
            }
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            if found.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(ParametersError::Repeated(shown));
            }
        }
        found.retain(|_, value| !value.is_empty());
        Ok(Self(found))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A parameter that must not be seen.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.0.get(name).map(|value| Secret::new(value.clone()))
    }

    /// A parameter that holds JSON.
    ///
    /// # Errors
    /// When it is there and is not JSON of that shape.
    pub fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, ParametersError> {
        self.get(name).map(|text| serde_json::from_str(text).map_err(|_| ParametersError::Form(name))).transpose()
    }

    /// A parameter that parses from text.
    ///
    /// # Errors
    /// When it is there and does not parse.
    pub fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, ParametersError> {
        self.get(name).map(|text| text.parse().map_err(|_| ParametersError::Form(name))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_refused_and_what_is_empty_or_unknown_is_not_there() {
        let parameters = Parameters::parse(b"client_id=a&scope=&state=x+y%26&whatever=1").unwrap();
        assert_eq!((parameters.get("client_id"), parameters.get("scope"), parameters.get("state")), (Some("a"), None, Some("x y&")));
        assert_eq!(Parameters::parse(b"a=1&a=1").unwrap_err(), ParametersError::Repeated("a".to_owned()));
        assert_eq!(Parameters::parse(b"a=1&a=").unwrap_err(), ParametersError::Repeated("a".to_owned()));
        assert_eq!(Parameters::parse(b"a=1&%61=2").unwrap_err(), ParametersError::Repeated("a".to_owned()));
        for bad in [&b"a=%ff"[..], b"a=%00", b"\xff=1"] {
            assert_eq!(Parameters::parse(bad).unwrap_err(), ParametersError::Encoding);
        }
        let many: String = (0..65).map(|n| format!("p{n}=1&")).collect();
        assert_eq!(Parameters::parse(many.as_bytes()).unwrap_err(), ParametersError::TooMany);
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", Parameters::parse(b"client_secret=hunter2").unwrap());
        assert!(shown.contains("client_secret") && !shown.contains("hunter2"), "{shown}");
    }
}
