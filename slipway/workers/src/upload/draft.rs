//! A draft: everything of a version but its number, before it was validated.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use purser_values::{Env, Secret, Sha256Digest, Timestamp};

use crate::assets::AssetSet;
use crate::binding::Binding;
use crate::error::WorkersError;
use crate::limits;
use crate::name::{BindingName, ScriptName};
use crate::plan::{ModuleKind, ObjectClass};
use crate::store::version::{Form, VersionRow};
use crate::upload::digest::code_digest;
use crate::upload::metadata::{Metadata, Wanted, invalid};
use crate::upload::migration::{Change, Objects};
use crate::view::{ModuleInfo, UploadedModule};

/// The newest compatibility date that the pinned workerd accepts.
const NEWEST_DATE: &str = "2026-11-24";
/// What a Worker without a date gets.
const OLDEST_DATE: &str = "2021-11-02";

/// A version that is not stored yet.
pub struct Draft {
    pub annotations: BTreeMap<String, String>,
    pub compatibility_date: String,
    pub compatibility_flags: Vec<String>,
    pub form: Form,
    pub main_part: Option<String>,
    pub modules: Vec<ModuleInfo>,
    pub code: Vec<(Sha256Digest, Bytes)>,
    pub bindings: Vec<Binding>,
    pub secrets: BTreeMap<BindingName, Secret<String>>,
    pub assets: Option<(Sha256Digest, Arc<AssetSet>)>,
    pub code_digest: Sha256Digest,
    /// Its classes of Durable Objects once it is live.
    pub objects: Vec<ObjectClass>,
    pub migration: Option<Change>,
}

/// The version before this one, for what is carried over.
#[derive(Default)]
pub struct Previous {
    pub row: Option<VersionRow>,
    pub secrets: BTreeMap<BindingName, Secret<String>>,
    pub objects: Objects,
}

impl Previous {
    /// The classes of a Worker as they are.
    #[must_use]
    pub fn classes(&self, script: &ScriptName) -> Vec<ObjectClass> {
        of(script, &self.objects.all)
    }
}

fn of(script: &ScriptName, all: &[(ScriptName, ObjectClass)]) -> Vec<ObjectClass> {
    all.iter().filter(|(owner, _)| owner == script).map(|(_, class)| class.clone()).collect()
}

impl Draft {
    /// Checks an upload and completes it from the previous version.
    ///
    /// # Errors
    /// What the uploader has to change.
    pub fn new(
        script: &ScriptName,
        metadata: Metadata,
        modules: Vec<UploadedModule>,
        assets: Option<(Sha256Digest, Arc<AssetSet>)>,
        previous: &Previous,
        env: &Env,
    ) -> Result<Self, WorkersError> {
        let (form, main_part) = form(&metadata, &modules, assets.is_some())?;
        let (infos, code) = check_modules(modules, form, main_part.as_deref())?;
        let compatibility_date = metadata.compatibility_date.unwrap_or_else(|| OLDEST_DATE.to_owned());
        check_date(&compatibility_date, env.now())?;
        check_flags(&metadata.compatibility_flags)?;
        let (bindings, secrets) = bindings(metadata.bindings, &metadata.keep_bindings, previous)?;
        if bindings.len() > limits::BINDINGS {
            return Err(invalid(format!("a Worker may have {} bindings", limits::BINDINGS)));
        }
        if form == Form::AssetsOnly && !bindings.is_empty() {
            return Err(invalid("a Worker of static assets only can have no bindings; add a main module"));
        }
        if assets.is_none() && bindings.iter().any(|b| matches!(b, Binding::Assets { .. })) {
            return Err(invalid("there is a binding to assets, and no assets were uploaded"));
        }
        let migration = metadata.migrations.map(|m| m.apply(script, &previous.objects, env)).transpose()?;
        let all = migration.as_ref().map_or(&previous.objects.all, |change| &change.now);
        let objects = of(script, all);
        for binding in &bindings {
            let Binding::DurableObjectNamespace { name, class_name, script_name } = binding else { continue };
            let owner = script_name.as_ref().unwrap_or(script);
            if !all.iter().any(|(o, class)| o == owner && class.class == *class_name) {
                return Err(invalid(format!(
                    "the binding `{name}` names the class `{class_name}`, which `{owner}` does not have; add a migration that makes it"
                )));
            }
        }
        let missing = |b: &&Binding| b.part().is_some_and(|part| !infos.iter().any(|m| m.name == part));
        if let Some(lost) = bindings.iter().find(missing) {
            return Err(invalid(format!("the part of the binding `{}` was not uploaded", lost.name())));
        }
        if form != Form::ServiceWorker && bindings.iter().any(|b| b.part().is_some()) {
            return Err(invalid("parts are bound in service workers only; import the module instead"));
        }
        let code_digest = code_digest(main_part.as_deref(), &infos, assets.as_ref().map(|(_, set)| &**set));
        Ok(Self {
            annotations: metadata.annotations,
            compatibility_date,
            compatibility_flags: metadata.compatibility_flags,
            form,
            main_part,
            modules: infos,
            code,
            bindings,
            secrets,
            assets,
            code_digest,
            objects,
            migration,
        })
    }

    /// Whether a stored version is the same in everything that its author can choose.
    #[must_use]
    pub fn repeats(&self, previous: &Previous) -> bool {
        let Some(row) = &previous.row else { return false };
        self.migration.is_none()
            && row.code_digest == self.code_digest
            && row.form == self.form
            && row.compatibility_date == self.compatibility_date
            && row.compatibility_flags == self.compatibility_flags
            && row.annotations == self.annotations
            && row.bindings == self.bindings
            && row.asset_list == self.assets.as_ref().map(|(list, _)| *list)
            && previous.secrets.len() == self.secrets.len()
            && self.secrets.iter().all(|(name, value)| previous.secrets.get(name).is_some_and(|v| v.expose() == value.expose()))
    }
}

fn form(metadata: &Metadata, modules: &[UploadedModule], assets: bool) -> Result<(Form, Option<String>), WorkersError> {
    let there = |name: &str| modules.iter().any(|m| m.name == name);
    match (&metadata.main_module, &metadata.body_part) {
        (Some(_), Some(_)) => Err(invalid("the metadata has both `main_module` and `body_part`; keep one")),
        (Some(main), None) if there(main) => Ok((Form::Modules, Some(main.clone()))),
        (None, Some(part)) if there(part) => Ok((Form::ServiceWorker, Some(part.clone()))),
        (Some(name), None) | (None, Some(name)) => {
            Err(invalid(format!("the main module `{}` was not uploaded", name.chars().take(128).collect::<String>())))
        }
        (None, None) if modules.is_empty() && assets => Ok((Form::AssetsOnly, None)),
        (None, None) => Err(invalid("the metadata names no `main_module`")),
    }
}

type Checked = (Vec<ModuleInfo>, Vec<(Sha256Digest, Bytes)>);

fn check_modules(modules: Vec<UploadedModule>, form: Form, main: Option<&str>) -> Result<Checked, WorkersError> {
    if modules.len() > limits::MODULES {
        return Err(WorkersError::TooLarge(format!("a Worker may have {} modules", limits::MODULES)));
    }
    let total: usize = modules.iter().map(|m| m.bytes.len()).sum();
    if total > limits::CODE_BYTES {
        return Err(WorkersError::TooLarge(format!("the Worker has {total} bytes of code, {} are allowed", limits::CODE_BYTES)));
    }
    let mut infos: Vec<ModuleInfo> = Vec::new();
    let mut code = Vec::new();
    for module in modules {
        let UploadedModule { name, content_type, bytes } = module;
        if name.is_empty() || name.len() > limits::MODULE_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(invalid("a module's name is empty, too long or holds control characters"));
        }
        if infos.iter().any(|m| m.name == name) {
            return Err(invalid(format!("the module `{name}` was uploaded twice")));
        }
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_main = main == Some(name.as_str());
        let kind = super::load::kind(&content_type, is_main)
            .ok_or_else(|| invalid(format!("modules of type `{content_type}` are not supported on this host (module `{name}`)")))?;
        if kind.is_some_and(super::load::is_text) && std::str::from_utf8(&bytes).is_err() {
            return Err(invalid(format!("the module `{name}` is not UTF-8 text")));
        }
        let is_code = matches!(kind, Some(ModuleKind::EsModule | ModuleKind::CommonJs));
        if form == Form::ServiceWorker && !is_main && is_code {
            return Err(invalid("a service worker is one part of code; upload modules to have more than one"));
        }
        let sha256 = Sha256Digest::of(&bytes);
        infos.push(ModuleInfo { name, content_type, size: bytes.len() as u64, sha256 });
        code.push((sha256, bytes));
    }
    Ok((infos, code))
}

fn check_date(date: &str, today: Timestamp) -> Result<(), WorkersError> {
    let digits = |r: std::ops::Range<usize>| date.get(r).is_some_and(|s| s.bytes().all(|b| b.is_ascii_digit()));
    let well_formed =
        date.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10) && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
    if !well_formed {
        let date: String = date.chars().take(32).collect();
        return Err(invalid(format!("the compatibility date `{date}` is not of the form YYYY-MM-DD")));
    }
    let today = today.to_string();
    let newest = NEWEST_DATE.min(today.get(..10).unwrap_or(NEWEST_DATE));
    if date > newest {
        return Err(invalid(format!("the compatibility date `{date}` lies in the future; the newest is {newest}")));
    }
    Ok(())
}

fn check_flags(flags: &[String]) -> Result<(), WorkersError> {
    if flags.len() > limits::COMPATIBILITY_FLAGS {
        return Err(invalid(format!("a Worker may have {} compatibility flags", limits::COMPATIBILITY_FLAGS)));
    }
    for flag in flags {
        let plain =
            !flag.is_empty() && flag.len() <= 128 && flag.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain || flag == "experimental" {
            let flag: String = flag.chars().take(64).collect();
            return Err(invalid(format!("the compatibility flag `{flag}` is not available on this host")));
        }
    }
    Ok(())
}

type Bindings = (Vec<Binding>, BTreeMap<BindingName, Secret<String>>);

/// New bindings, then those that are kept by kind; a new one of the same name wins.
fn bindings(wanted: Vec<Wanted>, keep: &[String], previous: &Previous) -> Result<Bindings, WorkersError> {
    let before: &[Binding] = previous.row.as_ref().map(|r| r.bindings.as_slice()).unwrap_or_default();
    let mut bindings = Vec::new();
    let mut secrets = BTreeMap::new();
    for wanted in wanted {
        match wanted {
            Wanted::Plain(binding) => bindings.push(binding),
            Wanted::Secret(name, value) => {
                bindings.push(Binding::SecretText { name: name.clone() });
                secrets.insert(name, value);
            }
            Wanted::Inherit { name, from } => {
                let old = before.iter().find(|b| *b.name() == from).ok_or_else(|| WorkersError::Inherit(name.to_string()))?;
                take_over(old, name, previous, &mut bindings, &mut secrets)?;
            }
        }
    }
    for old in before.iter().filter(|b| keep.iter().any(|k| k == b.kind())) {
        if !bindings.iter().any(|b| b.name() == old.name()) {
            take_over(old, old.name().clone(), previous, &mut bindings, &mut secrets)?;
        }
    }
    Ok((bindings, secrets))
}

fn take_over(
    old: &Binding,
    name: BindingName,
    previous: &Previous,
    bindings: &mut Vec<Binding>,
    secrets: &mut BTreeMap<BindingName, Secret<String>>,
) -> Result<(), WorkersError> {
    if matches!(old, Binding::SecretText { .. }) {
        let value = previous.secrets.get(old.name()).ok_or_else(|| WorkersError::Inherit(name.to_string()))?;
        secrets.insert(name.clone(), value.clone());
    }
    bindings.push(old.renamed(name));
    Ok(())
}
