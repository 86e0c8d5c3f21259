//! From a version to what its process runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use purser_values::{Secret, Sha256Digest, Timestamp};
use serde_json::json;

use crate::binding::Binding;
use crate::name::{BindingName, ScriptName, VersionId};
use crate::plan::{Bound, Module, ModuleKind, ObjectClass, Source, Unit};
use crate::store::version::Form;
use crate::view::ModuleInfo;

/// How a content type is loaded: `None` when it is not known, `Some(None)` when it is stored and not loaded.
pub fn kind(content_type: &str, main: bool) -> Option<Option<ModuleKind>> {
    Some(match content_type {
        "application/javascript+module" | "text/javascript+module" => Some(ModuleKind::EsModule),
        "application/javascript" | "text/javascript" | "application/x-javascript" if main => Some(ModuleKind::EsModule),
        "application/javascript" | "text/javascript" | "application/x-javascript" => Some(ModuleKind::CommonJs),
        "text/plain" => Some(ModuleKind::Text),
        "application/octet-stream" => Some(ModuleKind::Data),
        "application/wasm" => Some(ModuleKind::Wasm),
        "application/json" => Some(ModuleKind::Json),
        "application/source-map" => None,
        _ => return None,
    })
}

pub const fn is_text(kind: ModuleKind) -> bool {
    matches!(kind, ModuleKind::EsModule | ModuleKind::CommonJs | ModuleKind::Text | ModuleKind::Json)
}

/// What a unit is made of, from a draft or from the store.
pub struct Parts<'a> {
    pub script: &'a ScriptName,
    pub version: &'a VersionId,
    pub created_at: Timestamp,
    pub annotations: &'a BTreeMap<String, String>,
    pub compatibility_date: &'a str,
    pub compatibility_flags: &'a [String],
    pub form: Form,
    pub main_part: Option<&'a str>,
    pub modules: &'a [ModuleInfo],
    pub bindings: &'a [Binding],
    pub secrets: &'a BTreeMap<BindingName, Secret<String>>,
    pub objects: &'a [ObjectClass],
}

/// The unit of a version, or nothing when it has no code.
pub fn unit(parts: &Parts<'_>, code: &BTreeMap<Sha256Digest, Bytes>) -> Option<Arc<Unit>> {
    let bytes = |m: &ModuleInfo| code.get(&m.sha256).map(|b| Arc::<[u8]>::from(&b[..]));
    let is_main = |m: &ModuleInfo| parts.main_part == Some(m.name.as_str());
    let source = match parts.form {
        Form::AssetsOnly => return None,
        Form::ServiceWorker => Source::ServiceWorker(bytes(parts.modules.iter().find(|m| is_main(m))?)?),
        Form::Modules => {
            let mut modules = Vec::new();
            for info in parts.modules {
                let Some(kind) = kind(&info.content_type, is_main(info)).flatten() else { continue };
                let module = Module { name: info.name.clone(), kind, bytes: bytes(info)? };
                // workerd takes the first module for the main one.
                if is_main(info) { modules.insert(0, module) } else { modules.push(module) }
            }
            Source::Modules(modules)
        }
    };
    let bindings = parts.bindings.iter().filter_map(|b| Some((b.name().clone(), bound(b, parts, code)?))).collect();
    Some(Arc::new(Unit {
        script: parts.script.clone(),
        version: parts.version.clone(),
        compatibility_date: parts.compatibility_date.to_owned(),
        compatibility_flags: parts.compatibility_flags.to_vec(),
        source,
        bindings,
        objects: parts.objects.to_vec(),
    }))
}

fn bound(binding: &Binding, parts: &Parts<'_>, code: &BTreeMap<Sha256Digest, Bytes>) -> Option<Bound> {
    let bytes = |part: &str| {
        let info = parts.modules.iter().find(|m| m.name == part)?;
        code.get(&info.sha256)
    };
    Some(match binding {
        Binding::WasmModule { part, .. } => Bound::Wasm(Arc::from(&bytes(part)?[..])),
        Binding::DataBlob { part, .. } => Bound::Data(Arc::from(&bytes(part)?[..])),
        Binding::TextBlob { part, .. } => Bound::Text(Secret::new(std::str::from_utf8(bytes(part)?).ok()?.to_owned())),
        Binding::PlainText { text, .. } => Bound::Text(Secret::new(text.clone())),
        Binding::SecretText { name } => Bound::Text(parts.secrets.get(name)?.clone()),
        Binding::Json { json, .. } => Bound::Json(json.to_string()),
        Binding::Assets { .. } => Bound::Assets,
        Binding::VersionMetadata { .. } => {
            let tag = parts.annotations.get("workers/tag").cloned().unwrap_or_default();
            Bound::Json(json!({ "id": parts.version.as_str(), "tag": tag, "timestamp": parts.created_at.to_string() }).to_string())
        }
        Binding::Service { service, entrypoint, .. } => Bound::Service { script: service.clone(), entrypoint: entrypoint.clone() },
        Binding::DurableObjectNamespace { class_name, script_name, .. } => {
            let script = script_name.clone().filter(|script| script != parts.script);
            Bound::Objects { class: class_name.clone(), script }
        }
        Binding::KvNamespace { .. } | Binding::D1 { .. } | Binding::R2Bucket { .. } | Binding::Queue { .. } | Binding::RateLimit { .. } => {
            Bound::Backend(binding.resource()?)
        }
    })
}
