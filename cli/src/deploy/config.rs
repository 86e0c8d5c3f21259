//! Wrangler's configuration, as far as a deployment without a build needs it.
//!
//! What would be lost silently (a binding that we do not carry over) is an error; what only matters to Wrangler is ignored.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{DeployError, jsonc};

/// Largest configuration that is read, in bytes.
const CONFIG_BYTES: usize = 256 * 1024;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Config {
    pub name: Option<String>,
    pub main: Option<String>,
    pub compatibility_date: Option<String>,
    pub compatibility_flags: Option<Vec<String>>,
    pub vars: Option<Map<String, Value>>,
    pub assets: Option<Assets>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Assets {
    pub directory: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Members that give the code something which this deployment would not.
const BINDINGS: &[&str] = &[
    "kv_namespaces",
    "d1_databases",
    "r2_buckets",
    "durable_objects",
    "queues",
    "services",
    "ai",
    "vectorize",
    "hyperdrive",
    "browser",
    "analytics_engine_datasets",
    "dispatch_namespaces",
    "mtls_certificates",
    "send_email",
    "workflows",
    "pipelines",
    "secrets_store_secrets",
    "migrations",
    "triggers",
    "tail_consumers",
    "unsafe",
    "wasm_modules",
    "text_blobs",
    "data_blobs",
    "site",
    "images",
    "containers",
    "version_metadata",
    "routes",
    "route",
];

const NAMES: &[&str] = &["wrangler.jsonc", "wrangler.json", "wrangler.toml"];

/// The folder's configuration, if it has one.
pub(super) fn read(root: &Path) -> Result<Option<Config>, DeployError> {
    let Some(path) = NAMES.iter().map(|name| root.join(name)).find(|path| path.is_file()) else { return Ok(None) };
    let text = fs::read_to_string(&path).map_err(|cause| DeployError::Io { path: path.clone(), cause })?;
    let bad = |why: String| DeployError::Config { path: path.clone(), why };
    if text.len() > CONFIG_BYTES {
        return Err(bad(format!("it is larger than {CONFIG_BYTES} bytes")));
    }
    let config: Config = if path.extension().is_some_and(|e| e == "toml") {
        toml::from_str(&text).map_err(|e| bad(e.message().to_owned()))?
    } else {
        serde_json::from_str(&jsonc::to_json(&text)).map_err(|e| bad(e.to_string()))?
    };
    let filled = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => members.values().any(|member| member.as_array().is_none_or(|items| !items.is_empty())),
        _ => true,
    };
    if let Some(name) = BINDINGS.iter().find(|name| config.rest.get(**name).is_some_and(filled)) {
        return Err(DeployError::Binding((*name).to_owned()));
    }
    if let Some(name) = config.assets.as_ref().and_then(|assets| assets.rest.keys().next()) {
        return Err(DeployError::Binding(format!("assets.{name}")));
    }
    Ok(Some(config))
}

impl Config {
    /// What of it travels with the upload.
    pub fn metadata(&self) -> Map<String, Value> {
        let mut metadata = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
            }
        };
        add("compatibility_date", self.compatibility_date.as_ref().map(|date| json!(date)));
        add("compatibility_flags", self.compatibility_flags.as_ref().filter(|flags| !flags.is_empty()).map(|flags| json!(flags)));
        add("vars", self.vars.as_ref().filter(|vars| !vars.is_empty()).map(|vars| json!(vars)));
        metadata
    }
}
