//! Writes workerd's configuration (text form of `workerd.capnp`) from a [`Plan`].
//!
//! INVARIANT (typed-config): nothing that a tenant chose reaches the text except through [`quoted`], and no service, binding or
//! option exists in it that this file does not name: no `network`, no `disk` but the account's Durable Objects, no `fromEnvironment`, `unsafeEval`, `extensions` and no
//! flags of V8. The only ways out of the process are its two sockets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use purser_values::Secret;

use crate::jail::spec::{CONFIG, OBJECTS};
use crate::name::{BindingName, ScriptName};
use crate::plan::{Bound, Module, ModuleKind, ObjectClass, Plan, Source};
use crate::runtime::backend::Resource;

/// The header by which the host's socket tells the purpose of a request. workerd adds it; code cannot set or see it.
pub const PURPOSE: &str = "slipway-purpose";
/// Which scheme a visitor used, and what the edge knows of the connection, as the edge tells workerd. workerd takes the latter away
/// before code sees a request.
const SCHEME: &str = "x-forwarded-proto";
const CF: &str = "x-slipway-cf";
/// A health question: answered by the host, through the process's event loop, without any tenant code.
pub const HEALTH: &str = "health";
/// `cache/VERSION`: the Cache API of this version.
pub const CACHE: &str = "cache";
/// `assets/VERSION`: a static asset of this version.
pub const ASSETS: &str = "assets";
/// `bound/VERSION/NAME`: what the binding of this name of this version points at.
pub const BOUND: &str = "bound";
/// `tail/VERSION`: what this version did.
pub const TAIL: &str = "tail";
/// The purpose "a Worker that is not there".
pub const MISSING: &str = "missing";
/// The socket on which events are handed in, and the Worker of ours behind it.
pub const EVENTS: &str = "events";

/// The compatibility date of Workers of ours, beside the tenants'.
const OUR_DATE: &str = "2026-11-01";

/// The two sockets as workerd addresses them.
pub struct Addresses {
    pub host: String,
    pub egress: String,
}

/// The files of a process: the configuration first, then what it embeds.
pub fn files(plan: &Plan, addresses: &Addresses, objects: &Path) -> Vec<(String, Secret<Vec<u8>>)> {
    let index: BTreeMap<&ScriptName, usize> = plan.units.iter().enumerate().map(|(i, u)| (&u.script, i)).collect();
    let mut files = vec![(CONFIG.to_owned(), Secret::new(Vec::new()))];
    let mut text = String::from("using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (\n  services = [\n");
    for i in 0..plan.units.len() {
        worker(&mut text, &mut files, i, plan, &index, &addresses.host);
    }
    if plan.keeps_objects() {
        let _ = writeln!(text, "    (name = \"{OBJECTS}\", disk = (path = {}, writable = true)),", quoted(&objects.to_string_lossy()));
    }
    if plan.events {
        events(&mut text, plan.units.len());
    }
    external(&mut text, "internet", &addresses.egress, "proxy", None);
    external(&mut text, HEALTH, &addresses.host, "host", Some(HEALTH));
    external(&mut text, MISSING, &addresses.host, "host", Some(MISSING));
    text.push_str("  ],\n  sockets = [\n");
    for i in 0..plan.units.len() {
        let _ = writeln!(
            text,
            "    (name = \"s{i}\", http = (forwardedProtoHeader = \"{SCHEME}\", cfBlobHeader = \"{CF}\"), service = \"w{i}\"),"
        );
    }
    if plan.events {
        let _ = writeln!(text, "    (name = \"{EVENTS}\", http = (), service = \"{EVENTS}\"),");
    }
    let _ = writeln!(text, "    (name = \"{HEALTH}\", http = (), service = \"{HEALTH}\")\n  ]\n);");
    files[0].1 = Secret::new(text.into_bytes());
    files
}

/// The name of the socket of the unit at `index`.
pub fn socket(index: usize) -> String {
    format!("s{index}")
}

fn worker(
    text: &mut String,
    files: &mut Vec<(String, Secret<Vec<u8>>)>,
    i: usize,
    plan: &Plan,
    index: &BTreeMap<&ScriptName, usize>,
    host: &str,
) {
    let unit = &plan.units[i];
    let _ = write!(text, "    (name = \"w{i}\", worker = (");
    match &unit.source {
        Source::Modules(modules) => {
            text.push_str("modules = [");
            for module in modules {
                embed_module(text, files, module);
            }
            text.push_str("], ");
        }
        Source::ServiceWorker(bytes) => {
            let file = embed(files, bytes);
            let _ = write!(text, "serviceWorkerScript = embed \"{file}\", ");
        }
    }
    let _ = write!(text, "compatibilityDate = {}, compatibilityFlags = [", quoted(&unit.compatibility_date));
    for flag in &unit.compatibility_flags {
        let _ = write!(text, "{}, ", quoted(flag));
    }
    text.push_str("], bindings = [");
    let mut assets = false;
    let mut behind: Vec<(String, &BindingName, bool)> = Vec::new();
    for (name, bound) in &unit.bindings {
        let _ = write!(text, "(name = {}, ", quoted(name.as_str()));
        let _ = match bound {
            Bound::Data(bytes) => write!(text, "data = embed \"{}\"", embed(files, bytes)),
            Bound::Wasm(bytes) => write!(text, "wasmModule = embed \"{}\"", embed(files, bytes)),
            Bound::Text(value) => write!(text, "text = {}", quoted(value.expose())),
            Bound::Json(value) => write!(text, "json = {}", quoted(value)),
            Bound::Assets => {
                assets = true;
                write!(text, "service = \"a{i}\"")
            }
            Bound::Service { script, entrypoint } => match (index.get(script), entrypoint) {
                (Some(target), Some(entry)) => write!(text, "service = (name = \"w{target}\", entrypoint = {})", quoted(entry)),
                (Some(target), None) => write!(text, "service = \"w{target}\""),
                (None, _) => write!(text, "service = \"{MISSING}\""),
            },
            Bound::Objects { class, script } => match index.get(script.as_ref().unwrap_or(&unit.script)) {
                Some(target) => {
                    write!(text, "durableObjectNamespace = (className = {}, serviceName = \"w{target}\")", quoted(class))
                }
                None => write!(text, "json = \"null\""),
            },
            Bound::Backend(resource) => {
                let service = format!("b{i}-{}", behind.len());
                let written = backend(text, resource, &service);
                behind.push((service, name, matches!(resource, Resource::RateLimit { .. })));
                written
            }
        };
        text.push_str("), ");
    }
    text.push_str("], ");
    // Of two versions of one Worker, the objects live in the one that answers most.
    if !unit.objects.is_empty() && index.get(&unit.script) == Some(&i) {
        text.push_str("durableObjectNamespaces = [");
        for ObjectClass { class, key } in &unit.objects {
            let _ = write!(text, "(className = {}, uniqueKey = {}, enableSql = true), ", quoted(class), quoted(key));
        }
        let storage = if plan.rehearsal { "(inMemory = void)".to_owned() } else { format!("(localDisk = \"{OBJECTS}\")") };
        let _ = write!(text, "], durableObjectStorage = {storage}, ");
    }
    if plan.tails.contains(&unit.script) {
        let _ = write!(text, "tails = [\"t{i}\"], ");
    }
    let _ = writeln!(text, "globalOutbound = \"internet\", cacheApiOutbound = \"c{i}\")),");
    external(text, &format!("c{i}"), host, "proxy", Some(&format!("{CACHE}/{}", unit.version)));
    if plan.tails.contains(&unit.script) {
        external(text, &format!("t{i}-host"), host, "host", Some(&format!("{TAIL}/{}", unit.version)));
        let _ = writeln!(
            text,
            "    (name = \"t{i}\", worker = (modules = [(name = \"tail.js\", esModule = {})], compatibilityDate = \"{OUR_DATE}\", \
             globalOutbound = \"{MISSING}\", bindings = [(name = \"HOST\", service = \"t{i}-host\")])),",
            quoted(include_str!("js/tail.js"))
        );
    }
    if assets {
        external(text, &format!("a{i}"), host, "host", Some(&format!("{ASSETS}/{}", unit.version)));
    }
    for (service, name, limits) in behind {
        external(text, &service, host, "host", Some(&format!("{BOUND}/{}/{name}", unit.version)));
        if limits {
            let _ = writeln!(
                text,
                "    (name = \"{service}-limit\", worker = (modules = [(name = \"limit.js\", esModule = {})], compatibilityDate = \"{OUR_DATE}\", \
                 bindings = [(name = \"HOST\", service = \"{service}\")], globalOutbound = \"{MISSING}\")),",
                quoted(include_str!("js/limit.js"))
            );
        }
    }
}

/// A Worker of ours that hands events to the others: they are calls between Workers, not requests.
fn events(text: &mut String, units: usize) {
    let _ = write!(
        text,
        "    (name = \"{EVENTS}\", worker = (modules = [(name = \"events.js\", esModule = {})], compatibilityDate = \"{OUR_DATE}\", \
         compatibilityFlags = [\"service_binding_extra_handlers\"], globalOutbound = \"{MISSING}\", bindings = [",
        quoted(include_str!("js/events.js"))
    );
    for i in 0..units {
        let _ = write!(text, "(name = \"w{i}\", service = \"w{i}\"), ");
    }
    text.push_str("])),\n");
}

/// How code sees what stands behind a service of the bindings socket.
fn backend(text: &mut String, resource: &Resource, service: &str) -> std::fmt::Result {
    match resource {
        Resource::Kv(_) => write!(text, "kvNamespace = \"{service}\""),
        Resource::R2(_) => write!(text, "r2Bucket = \"{service}\""),
        Resource::Queue { .. } => write!(text, "queue = \"{service}\""),
        Resource::D1(_) => {
            let inner = format!("(name = \"fetcher\", service = \"{service}\")");
            write!(text, "wrapped = (moduleName = \"cloudflare-internal:d1-api\", innerBindings = [{inner}])")
        }
        Resource::RateLimit { .. } => write!(text, "service = \"{service}-limit\""),
        Resource::Cache => write!(text, "service = \"{service}\""),
    }
}

fn external(text: &mut String, name: &str, address: &str, style: &str, purpose: Option<&str>) {
    let _ = write!(text, "    (name = {}, external = (address = {}, http = (style = {style}", quoted(name), quoted(address));
    if let Some(purpose) = purpose {
        let _ = write!(text, ", injectRequestHeaders = [(name = \"{PURPOSE}\", value = {})]", quoted(purpose));
    }
    text.push_str("))),\n");
}

fn embed_module(text: &mut String, files: &mut Vec<(String, Secret<Vec<u8>>)>, module: &Module) {
    let kind = match module.kind {
        ModuleKind::EsModule => "esModule",
        ModuleKind::CommonJs => "commonJsModule",
        ModuleKind::Text => "text",
        ModuleKind::Data => "data",
        ModuleKind::Wasm => "wasm",
        ModuleKind::Json => "json",
    };
    let file = embed(files, &module.bytes);
    let _ = write!(text, "(name = {}, {kind} = embed \"{file}\"), ", quoted(&module.name));
}

fn embed(files: &mut Vec<(String, Secret<Vec<u8>>)>, bytes: &[u8]) -> String {
    let name = format!("m{}", files.len());
    files.push((name.clone(), Secret::new(bytes.to_vec())));
    name
}

/// A string literal of Cap'n Proto's text form: everything but plain printable ASCII is escaped byte by byte.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' | b'\'' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(quoted("a\"), x = (\"\\\n\u{e9}\0"), r#""a\"), x = (\"\\\x0a\xc3\xa9\x00""#);
    }
}
