//! The kinds of bindings that the runtime has, as they are stored and shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{BindingName, ResourceId, ScriptName};
use crate::runtime::backend::Resource;

/// A binding of a version. The value of a secret is kept apart, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Binding {
    /// A part of the upload, compiled: what a service worker has instead of a module.
    WasmModule {
        name: BindingName,
        part: String,
    },
    TextBlob {
        name: BindingName,
        part: String,
    },
    DataBlob {
        name: BindingName,
        part: String,
    },
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
    KvNamespace {
        name: BindingName,
        namespace_id: ResourceId,
    },
    D1 {
        name: BindingName,
        id: ResourceId,
    },
    R2Bucket {
        name: BindingName,
        bucket_name: ResourceId,
    },
    Queue {
        name: BindingName,
        queue_name: ResourceId,
        /// Seconds that each message waits before it is delivered, unless its sender says otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivery_delay: Option<u32>,
    },
    DurableObjectNamespace {
        name: BindingName,
        class_name: String,
        /// Another Worker of the account, whose class it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script_name: Option<ScriptName>,
    },
    #[serde(rename = "ratelimit")]
    RateLimit {
        name: BindingName,
        namespace_id: ResourceId,
        simple: RateLimit,
    },
}

/// How often a key may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RateLimit {
    pub limit: u32,
    /// Seconds: 10 or 60.
    pub period: u32,
}

impl Binding {
    #[must_use]
    pub const fn name(&self) -> &BindingName {
        match self {
            Self::WasmModule { name, .. }
            | Self::TextBlob { name, .. }
            | Self::DataBlob { name, .. }
            | Self::PlainText { name, .. }
            | Self::Json { name, .. }
            | Self::SecretText { name }
            | Self::Assets { name }
            | Self::VersionMetadata { name }
            | Self::Service { name, .. }
            | Self::KvNamespace { name, .. }
            | Self::D1 { name, .. }
            | Self::R2Bucket { name, .. }
            | Self::Queue { name, .. }
            | Self::DurableObjectNamespace { name, .. }
            | Self::RateLimit { name, .. } => name,
        }
    }

    /// The same binding under another name.
    #[must_use]
    pub fn renamed(&self, to: BindingName) -> Self {
        let mut renamed = self.clone();
        match &mut renamed {
            Self::WasmModule { name, .. }
            | Self::TextBlob { name, .. }
            | Self::DataBlob { name, .. }
            | Self::PlainText { name, .. }
            | Self::Json { name, .. }
            | Self::SecretText { name }
            | Self::Assets { name }
            | Self::VersionMetadata { name }
            | Self::Service { name, .. }
            | Self::KvNamespace { name, .. }
            | Self::D1 { name, .. }
            | Self::R2Bucket { name, .. }
            | Self::Queue { name, .. }
            | Self::DurableObjectNamespace { name, .. }
            | Self::RateLimit { name, .. } => *name = to,
        }
        renamed
    }

    /// The part of the upload that it stands for.
    #[must_use]
    pub fn part(&self) -> Option<&str> {
        match self {
            Self::WasmModule { part, .. } | Self::TextBlob { part, .. } | Self::DataBlob { part, .. } => Some(part),
            _ => None,
        }
    }

    /// The kind as clients write it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::WasmModule { .. } => "wasm_module",
            Self::TextBlob { .. } => "text_blob",
            Self::DataBlob { .. } => "data_blob",
            Self::PlainText { .. } => "plain_text",
            Self::Json { .. } => "json",
            Self::SecretText { .. } => "secret_text",
            Self::Assets { .. } => "assets",
            Self::VersionMetadata { .. } => "version_metadata",
            Self::Service { .. } => "service",
            Self::KvNamespace { .. } => "kv_namespace",
            Self::D1 { .. } => "d1",
            Self::R2Bucket { .. } => "r2_bucket",
            Self::Queue { .. } => "queue",
            Self::DurableObjectNamespace { .. } => "durable_object_namespace",
            Self::RateLimit { .. } => "ratelimit",
        }
    }

    /// What stands behind the bindings socket for it, if anything does.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        Some(match self {
            Self::KvNamespace { namespace_id, .. } => Resource::Kv(namespace_id.clone()),
            Self::D1 { id, .. } => Resource::D1(id.clone()),
            Self::R2Bucket { bucket_name, .. } => Resource::R2(bucket_name.clone()),
            Self::Queue { queue_name, delivery_delay, .. } => Resource::Queue { name: queue_name.clone(), delay_s: *delivery_delay },
            Self::RateLimit { namespace_id, simple, .. } => Resource::RateLimit { namespace: namespace_id.clone(), limit: *simple },
            Self::WasmModule { .. }
            | Self::TextBlob { .. }
            | Self::DataBlob { .. }
            | Self::PlainText { .. }
            | Self::Json { .. }
            | Self::SecretText { .. }
            | Self::Assets { .. }
            | Self::VersionMetadata { .. }
            | Self::DurableObjectNamespace { .. }
            | Self::Service { .. } => return None,
        })
    }
}
