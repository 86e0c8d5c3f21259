//! `GET provisioning/health` (section 3 of the reference).

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: String,
    #[serde(default, deserialize_with = "crate::plain::or_default")]
    pub supported_versions: Vec<String>,
}

impl Health {
    /// The answer of a provider that works.
    #[must_use]
    pub fn ok() -> Self {
        Self { status: "ok".to_owned(), supported_versions: vec![crate::VERSION.to_owned()] }
    }

    /// Whether the provider works and speaks our version.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.status == "ok" && self.supported_versions.iter().any(|v| v == crate::VERSION)
    }
}
