//! The `metadata` part of an upload (cloud-api.md 2.4). Unknown keys are ignored; known ones that ask for something the runtime
//! does not have are refused, so that nothing is deployed that would not do what its author thinks.

use std::collections::BTreeMap;

use purser_values::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::assets::{AssetConfig, HtmlHandling, NotFoundHandling, RunWorkerFirst, redirects, rules};
use crate::binding::{Binding, RateLimit};
use crate::error::WorkersError;
use crate::limits;
use crate::name::{BindingName, ResourceId};
use crate::upload::migration::Migrations;
use crate::view::ScriptSettingsPatch;

/// What the metadata says, checked.
#[derive(Debug)]
pub struct Metadata {
    pub main_module: Option<String>,
    pub body_part: Option<String>,
    pub bindings: Vec<Wanted>,
    pub compatibility_date: Option<String>,
    pub compatibility_flags: Vec<String>,
    /// Kinds of bindings that are carried over from the previous version.
    pub keep_bindings: Vec<String>,
    pub annotations: BTreeMap<String, String>,
    pub assets: Option<WantedAssets>,
    pub keep_assets: bool,
    pub settings: ScriptSettingsPatch,
    pub migrations: Option<Migrations>,
}

/// One row of `bindings`.
#[derive(Debug)]
pub enum Wanted {
    Plain(Binding),
    Secret(BindingName, Secret<String>),
    /// The binding of this name of the previous version.
    Inherit {
        name: BindingName,
        from: BindingName,
    },
}

#[derive(Debug, Deserialize)]
pub struct WantedAssets {
    /// The completion token; absent when only the configuration changes.
    pub jwt: Option<String>,
    #[serde(default)]
    pub config: AssetsConfigText,
}

#[derive(Debug, Default, Deserialize)]
pub struct AssetsConfigText {
    #[serde(flatten)]
    config: Handling,
    #[serde(rename = "_redirects")]
    redirects: Option<String>,
    #[serde(rename = "_headers")]
    headers: Option<String>,
    base_path: Option<String>,
}

/// What the client says of files; the rules it sends are text and are parsed here, never taken as we keep them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Handling {
    html_handling: HtmlHandling,
    not_found_handling: NotFoundHandling,
    run_worker_first: RunWorkerFirst,
}

#[derive(Deserialize)]
struct Raw {
    main_module: Option<String>,
    body_part: Option<String>,
    #[serde(default)]
    bindings: Vec<Value>,
    compatibility_date: Option<String>,
    #[serde(default)]
    compatibility_flags: Vec<String>,
    keep_bindings: Option<Vec<String>>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
    assets: Option<WantedAssets>,
    #[serde(default)]
    keep_assets: bool,
    tags: Option<Vec<String>>,
    logpush: Option<bool>,
    observability: Option<Value>,
    tail_consumers: Option<Value>,
    migrations: Option<Value>,
    exports: Option<Value>,
    containers: Option<Value>,
}

impl Metadata {
    /// # Errors
    /// When the text is not such JSON, or asks for what there is not.
    pub fn parse(text: &[u8]) -> Result<Self, WorkersError> {
        if text.len() > limits::METADATA_BYTES {
            return Err(WorkersError::TooLarge(format!("the metadata has more than {} bytes", limits::METADATA_BYTES)));
        }
        let raw: Raw = serde_json::from_slice(text).map_err(|e| invalid(format!("the metadata is not valid: {e}")))?;
        for (what, value) in [("`exports`", &raw.exports), ("containers", &raw.containers)] {
            if value.as_ref().is_some_and(|v| !is_empty(v)) {
                return Err(invalid(format!("{what} are not supported on this host; remove them from the configuration")));
            }
        }
        let migrations = raw.migrations.filter(|m| !is_empty(m)).map(serde_json::from_value::<Migrations>).transpose();
        let migrations = migrations.map_err(|e| invalid(format!("the migrations are not valid: {e}")))?.filter(|m| !m.is_empty());
        if raw.bindings.len() > limits::BINDINGS {
            return Err(invalid(format!("a Worker may have {} bindings", limits::BINDINGS)));
        }
        let mut bindings = Vec::new();
        for row in &raw.bindings {
            let wanted = binding(row)?;
            if bindings.iter().any(|b: &Wanted| b.name() == wanted.name()) {
                return Err(invalid(format!("the binding `{}` is declared twice", wanted.name())));
            }
            bindings.push(wanted);
        }
        if let Some(assets) = &raw.assets {
            assets.config.check()?;
        }
        Ok(Self {
            main_module: raw.main_module,
            body_part: raw.body_part,
            bindings,
            compatibility_date: raw.compatibility_date,
            compatibility_flags: raw.compatibility_flags,
            // The older wrangler says nothing on a redeployment and expects its secrets to stay.
            keep_bindings: raw.keep_bindings.unwrap_or_else(|| vec!["secret_text".to_owned()]),
            annotations: annotations(raw.annotations),
            assets: raw.assets,
            keep_assets: raw.keep_assets,
            settings: ScriptSettingsPatch {
                tags: raw.tags,
                logpush: raw.logpush,
                observability: raw.observability,
                tail_consumers: raw.tail_consumers,
            },
            migrations,
        })
    }
}

impl Wanted {
    pub fn name(&self) -> &BindingName {
        match self {
            Self::Plain(binding) => binding.name(),
            Self::Secret(name, _) | Self::Inherit { name, .. } => name,
        }
    }
}

impl AssetsConfigText {
    fn check(&self) -> Result<(), WorkersError> {
        for (what, text) in [("_redirects", &self.redirects), ("_headers", &self.headers)] {
            if text.as_ref().is_some_and(|text| text.len() > limits::RULES_BYTES) {
                return Err(WorkersError::TooLarge(format!("a `{what}` file may have {} bytes", limits::RULES_BYTES)));
            }
        }
        let base = self.base_path.as_deref().unwrap_or_default();
        let clean = base.is_empty() || (base.starts_with('/') && base.len() <= limits::ASSET_PATH_BYTES && !base.contains("//"));
        if !clean || base.split('/').any(|part| matches!(part, "." | "..")) || base.chars().any(char::is_control) {
            return Err(invalid("the `base_path` of assets is a path like `/docs`"));
        }
        Ok(())
    }

    /// The configuration with its files of rules read.
    pub fn checked(&self) -> AssetConfig {
        let text = |file: &Option<String>| file.clone().unwrap_or_default();
        AssetConfig {
            base_path: text(&self.base_path).trim_end_matches('/').to_owned(),
            redirects: redirects::parse(&text(&self.redirects), self.config.html_handling),
            headers: rules::parse(&text(&self.headers)),
            html_handling: self.config.html_handling,
            not_found_handling: self.config.not_found_handling,
            run_worker_first: self.config.run_worker_first.clone(),
        }
    }
}

/// Only strings, cut to their limit: annotations are shown, never interpreted.
pub fn annotations(raw: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let known = |key: &str| matches!(key, "workers/message" | "workers/tag" | "workers/alias" | "workers/triggered_by");
    let text = |v: Value| v.as_str().map(|s| s.chars().take(limits::ANNOTATION_CHARS).collect());
    raw.into_iter().filter(|(k, _)| known(k)).filter_map(|(k, v)| text(v).map(|t| (k, t))).collect()
}

fn binding(row: &Value) -> Result<Wanted, WorkersError> {
    let field = |key: &str| row.get(key).and_then(Value::as_str);
    let kind = field("type").ok_or_else(|| invalid("a binding has no `type`"))?;
    let name = field("name").ok_or_else(|| invalid(format!("a binding of type `{kind}` has no `name`")))?;
    let name: BindingName = name.parse().map_err(|e: crate::name::ParseNameError| invalid(e.to_string()))?;
    let text = || {
        let text = field("text").ok_or_else(|| invalid(format!("the binding `{name}` has no `text`")))?;
        fits(&name, text.len()).map(|()| text.to_owned())
    };
    Ok(match kind {
        "plain_text" => Wanted::Plain(Binding::PlainText { text: text()?, name }),
        "secret_text" => Wanted::Secret(name.clone(), Secret::new(text()?)),
        "json" => {
            let json = row.get("json").cloned().ok_or_else(|| invalid(format!("the binding `{name}` has no `json`")))?;
            fits(&name, json.to_string().len())?;
            Wanted::Plain(Binding::Json { name, json })
        }
        "wasm_module" | "text_blob" | "data_blob" => {
            let part = field("part").ok_or_else(|| invalid(format!("the binding `{name}` names no part of the upload")))?.to_owned();
            Wanted::Plain(match kind {
                "wasm_module" => Binding::WasmModule { name, part },
                "text_blob" => Binding::TextBlob { name, part },
                _ => Binding::DataBlob { name, part },
            })
        }
        "assets" => Wanted::Plain(Binding::Assets { name }),
        "version_metadata" => Wanted::Plain(Binding::VersionMetadata { name }),
        "inherit" => {
            let from = field("old_name").unwrap_or(name.as_str()).parse().map_err(|_| WorkersError::Inherit(name.to_string()))?;
            Wanted::Inherit { name, from }
        }
        "service" => {
            let service = field("service").and_then(|s| s.parse().ok());
            let service = service.ok_or_else(|| invalid(format!("the binding `{name}` names no Worker")))?;
            if row.get("props").is_some_and(|p| !is_empty(p)) {
                return Err(invalid(format!("`props` of the service binding `{name}` are not supported on this host; remove them")));
            }
            Wanted::Plain(Binding::Service { name, service, entrypoint: field("entrypoint").map(str::to_owned) })
        }
        "kv_namespace" => Wanted::Plain(Binding::KvNamespace { namespace_id: resource(row, &name, &["namespace_id"])?, name }),
        "d1" => Wanted::Plain(Binding::D1 { id: resource(row, &name, &["id", "database_id"])?, name }),
        "r2_bucket" => {
            let elsewhere = field("jurisdiction").is_some_and(|j| !matches!(j, "" | "default"));
            if elsewhere {
                return Err(invalid(format!("there are no jurisdictions on this host; remove `jurisdiction` from the binding `{name}`")));
            }
            Wanted::Plain(Binding::R2Bucket { bucket_name: resource(row, &name, &["bucket_name"])?, name })
        }
        "durable_object_namespace" => {
            let class = field("class_name").filter(|class| !class.is_empty());
            let class_name = class.ok_or_else(|| invalid(format!("the binding `{name}` has no `class_name`")))?.to_owned();
            let script_name = field("script_name").map(str::parse).transpose();
            let script_name = script_name.map_err(|_| invalid(format!("the binding `{name}` names no Worker in `script_name`")))?;
            Wanted::Plain(Binding::DurableObjectNamespace { name, class_name, script_name })
        }
        "queue" => {
            let delivery_delay = number(row, &name, "delivery_delay", limits::DELIVERY_DELAY_S)?;
            Wanted::Plain(Binding::Queue { queue_name: resource(row, &name, &["queue_name"])?, delivery_delay, name })
        }
        "ratelimit" => {
            let simple = row.get("simple").unwrap_or(&Value::Null);
            let limit = number(simple, &name, "limit", u32::MAX)?.filter(|n| *n > 0);
            let period = number(simple, &name, "period", u32::MAX)?.filter(|n| matches!(n, 10 | 60));
            let (Some(limit), Some(period)) = (limit, period) else {
                return Err(invalid(format!("the rate limit `{name}` needs a `limit` above 0 and a `period` of 10 or 60 seconds")));
            };
            Wanted::Plain(Binding::RateLimit {
                namespace_id: resource(row, &name, &["namespace_id"])?,
                simple: RateLimit { limit, period },
                name,
            })
        }
        other => {
            let kind: String = other.chars().take(64).collect();
            return Err(invalid(format!("bindings of type `{kind}` are not supported on this host (binding `{name}`); remove it")));
        }
    })
}

/// The first of these fields that is there.
fn resource(row: &Value, name: &BindingName, keys: &[&str]) -> Result<ResourceId, WorkersError> {
    let text = keys.iter().find_map(|key| row.get(key)?.as_str());
    let text = text.ok_or_else(|| invalid(format!("the binding `{name}` has no `{}`", keys[0])))?;
    text.parse().map_err(|e: crate::name::ParseNameError| invalid(e.to_string()))
}

fn number(row: &Value, name: &BindingName, key: &str, most: u32) -> Result<Option<u32>, WorkersError> {
    match row.get(key).filter(|v| !v.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= most) {
            Some(n) => Ok(Some(n)),
            None => Err(invalid(format!("`{key}` of the binding `{name}` is not a number from 0 to {most}"))),
        },
    }
}

pub fn fits(name: &BindingName, bytes: usize) -> Result<(), WorkersError> {
    if bytes > limits::BINDING_VALUE_BYTES {
        return Err(invalid(format!("the value of `{name}` has {bytes} bytes, {} are allowed", limits::BINDING_VALUE_BYTES)));
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty() || o.get("steps").is_some_and(|s| s.as_array().is_some_and(Vec::is_empty)),
        _ => false,
    }
}

pub fn invalid(text: impl Into<String>) -> WorkersError {
    WorkersError::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> u32 {
        Metadata::parse(text.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn what_wrangler_sends_is_understood() {
        let text = r#"{"main_module":"index.js","bindings":[{"name":"A","type":"plain_text","text":"x"},{"name":"S","type":"secret_text","text":"y"},
            {"name":"J","type":"json","json":{"a":1}},{"name":"V","type":"version_metadata"},{"name":"ASSETS","type":"assets"},{"name":"OLD","type":"inherit"}],
            "compatibility_date":"2026-11-01","compatibility_flags":[],"keep_bindings":["secret_text","secret_key"],"observability":{"enabled":true},
            "annotations":{"workers/message":"hi","x":1},"migrations":{"new_tag":"v1","steps":[]},"unknown":{},
            "assets":{"jwt":"t","config":{"html_handling":"drop-trailing-slash","run_worker_first":["/api/*"]}}}"#;
        let metadata = Metadata::parse(text.as_bytes()).unwrap();
        assert_eq!(metadata.bindings.len(), 6);
        assert_eq!(metadata.annotations.len(), 1);
        assert!(format!("{metadata:?}").contains("Secret(***)"));
    }

    #[test]
    fn what_there_is_not_is_refused_and_not_ignored() {
        for text in [
            "{",
            r#"{"bindings":[{"name":"K","type":"kv_namespace"}]}"#,
            r#"{"bindings":[{"name":"K","type":"kv_namespace","namespace_id":"../x"}]}"#,
            r#"{"bindings":[{"name":"H","type":"hyperdrive","id":"x"}]}"#,
            r#"{"bindings":[{"name":"L","type":"ratelimit","namespace_id":"1","simple":{"limit":5,"period":7}}]}"#,
            r#"{"bindings":[{"name":"a-b","type":"plain_text","text":"x"}]}"#,
            r#"{"bindings":[{"name":"A","type":"plain_text","text":"x"},{"name":"A","type":"plain_text","text":"y"}]}"#,
            r#"{"migrations":{"new_tag":"v1","steps":7}}"#,
            r#"{"assets":{"config":{"base_path":"../up"}}}"#,
            r#"{"assets":{"config":{"html_handling":"guess"}}}"#,
        ] {
            assert_eq!(code(text), 10_021, "{text}");
        }
        let long = format!(r#"{{"bindings":[{{"name":"A","type":"plain_text","text":"{}"}}]}}"#, "x".repeat(6_000));
        assert_eq!(code(&long), 10_021);
    }
}
