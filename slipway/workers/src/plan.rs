//! What one tenant's process is to run: the deployed version of each of its Workers, loaded and opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use purser_values::{Secret, Sha256Digest};

use crate::name::{BindingName, ScriptName, VersionId};
use crate::runtime::backend::Resource;
use crate::tenant::Tenant;

/// One tenant's process.
#[derive(Clone)]
pub struct Plan {
    pub tenant: Tenant,
    /// Counts the tenants of this host; decides the uid.
    pub number: u32,
    pub units: Vec<Arc<Unit>>,
    /// Only to see whether it starts: Durable Objects keep nothing then, and touch nothing that is kept.
    pub rehearsal: bool,
    /// Events other than requests can be handed in: cron triggers and queues.
    pub events: bool,
    /// Workers that somebody looks at.
    pub tails: BTreeSet<ScriptName>,
}

/// One Worker with code in it. Workers of static assets only need no process and are not here.
pub struct Unit {
    pub script: ScriptName,
    pub version: VersionId,
    pub compatibility_date: String,
    pub compatibility_flags: Vec<String>,
    pub source: Source,
    pub bindings: Vec<(BindingName, Bound)>,
    /// Its own classes of Durable Objects.
    pub objects: Vec<ObjectClass>,
}

/// A class of Durable Objects of one Worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectClass {
    pub class: String,
    /// Names its folder and never changes, whatever the class is called or whose it becomes. Hexadecimal digits.
    pub key: String,
}

/// The code of a Worker.
pub enum Source {
    /// The first module is the main one.
    Modules(Vec<Module>),
    /// The older form without modules.
    ServiceWorker(Arc<[u8]>),
}

pub struct Module {
    pub name: String,
    pub kind: ModuleKind,
    pub bytes: Arc<[u8]>,
}

/// How a module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    EsModule,
    CommonJs,
    Text,
    Data,
    Wasm,
    Json,
}

/// What a binding gives to the code.
pub enum Bound {
    Data(Arc<[u8]>),
    /// WebAssembly, to be compiled.
    Wasm(Arc<[u8]>),
    Text(Secret<String>),
    /// Valid JSON text.
    Json(String),
    /// The static assets of this version.
    Assets,
    /// Another Worker of the same account and environment.
    Service {
        script: ScriptName,
        entrypoint: Option<String>,
    },
    /// A class of Durable Objects, of this Worker unless another is named.
    Objects {
        class: String,
        script: Option<ScriptName>,
    },
    /// What a [`crate::runtime::backend::Backend`] answers for.
    Backend(Resource),
}

impl Plan {
    /// The same plan without a Worker.
    #[must_use]
    pub fn without(&self, script: &ScriptName) -> Self {
        let units = self.units.iter().filter(|u| u.script != *script).cloned().collect();
        Self { units, ..self.clone() }
    }

    /// Whether something of it writes to the folder of Durable Objects.
    #[must_use]
    pub fn keeps_objects(&self) -> bool {
        !self.rehearsal && self.units.iter().any(|unit| !unit.objects.is_empty())
    }

    /// Equal for plans that run the same versions: versions are immutable.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Digest {
        let mut ids: Vec<&str> = self.units.iter().map(|u| u.version.as_str()).collect();
        ids.sort_unstable();
        // Where two versions of one Worker run, it matters which comes last.
        let mut how = format!("{}{}{:?}", self.rehearsal, self.events, self.tails);
        for (i, unit) in self.units.iter().enumerate() {
            if self.units[..i].iter().any(|other| other.script == unit.script) {
                how.push_str(unit.version.as_str());
            }
        }
        ids.push(&how);
        Sha256Digest::of(ids.join("\n").as_bytes())
    }
}
