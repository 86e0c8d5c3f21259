//! The kinds of bindings that the runtime has, as they are stored and shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{BindingName, ScriptName};

/// A binding of a version. The value of a secret is kept apart, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Binding {
    PlainText {
        name: BindingName,
        text: String,
    },
    Json {
        name: BindingName,
        json: Value,
    },
    SecretText {
        name: BindingName,
    },
    Assets {
        name: BindingName,
    },
    VersionMetadata {
        name: BindingName,
    },
    Service {
        name: BindingName,
        service: ScriptName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entrypoint: Option<String>,
    },
}

impl Binding {
    #[must_use]
    pub const fn name(&self) -> &BindingName {
        match self {
            Self::PlainText { name, .. }
            | Self::Json { name, .. }
            | Self::SecretText { name }
            | Self::Assets { name }
            | Self::VersionMetadata { name }
            | Self::Service { name, .. } => name,
        }
    }

    /// The same binding under another name.
    #[must_use]
    pub fn renamed(&self, to: BindingName) -> Self {
        let mut renamed = self.clone();
        match &mut renamed {
            Self::PlainText { name, .. }
            | Self::Json { name, .. }
            | Self::SecretText { name }
            | Self::Assets { name }
            | Self::VersionMetadata { name }
            | Self::Service { name, .. } => *name = to,
        }
        renamed
    }

    /// The kind as clients write it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PlainText { .. } => "plain_text",
            Self::Json { .. } => "json",
            Self::SecretText { .. } => "secret_text",
            Self::Assets { .. } => "assets",
            Self::VersionMetadata { .. } => "version_metadata",
            Self::Service { .. } => "service",
        }
    }
}
