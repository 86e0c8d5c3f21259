//! The `aud` of a token that somebody else signed (RFC 7519, 4.1.3).

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// As the only audience: whoever is named beside us could have asked for the token and hand it on to us.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => matches!(many.as_slice(), [one] if one == wanted),
        }
    }
}
