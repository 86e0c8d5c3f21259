//! What the use cases take and answer; the server renders these as Cloudflare's JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use purser_values::name::HostName;
use purser_values::{Sha256Digest, Timestamp};
use serde_json::Value;

pub use crate::store::asset::{Manifest, ManifestEntry};

use crate::name::{BindingName, ScriptName, SubdomainName, Uuid, VersionId};
use crate::pattern::Pattern;
use crate::tenant::Environment;

/// An upload as it came off the wire: the `metadata` part and the file parts.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The JSON text of the part `metadata`.
    pub metadata: Bytes,
    pub modules: Vec<UploadedModule>,
}

/// One file part; its field name is the module's name.
#[derive(Clone, Debug)]
pub struct UploadedModule {
    pub name: String,
    /// The part's content type; it decides how the module is loaded.
    pub content_type: String,
    pub bytes: Bytes,
}

/// Who did it, as versions and deployments show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// `wrangler`, `api`, …
    pub source: String,
    pub id: String,
    pub email: Option<String>,
}

/// A Worker.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: ScriptName,
    /// Where it was made, and runs.
    pub environment: Environment,
    /// 32 hexadecimal digits, constant over the life of the Worker.
    pub tag: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// The newest migration of its Durable Objects that was applied.
    pub migration_tag: Option<String>,
    /// The version that answers requests now.
    pub deployed: Option<VersionId>,
    pub settings: ScriptSettings,
    pub on_subdomain: ScriptSubdomain,
}

/// Settings that belong to the Worker, not to one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptSettings {
    pub tags: Vec<String>,
    pub logpush: bool,
    /// As the client sent it; stored, not acted on.
    pub observability: Value,
    /// As the client sent it; stored, not acted on.
    pub tail_consumers: Value,
}

/// Changes to [`ScriptSettings`]; what is absent stays.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub struct ScriptSettingsPatch {
    pub tags: Option<Vec<String>>,
    pub logpush: Option<bool>,
    pub observability: Option<Value>,
    pub tail_consumers: Option<Value>,
}

/// Whether the Worker answers below the account's subdomain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptSubdomain {
    pub enabled: bool,
    pub previews_enabled: bool,
}

impl ScriptSubdomain {
    /// Whether any name of the Worker answers there.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.enabled || self.previews_enabled
    }
}

/// A version: immutable code, assets and bindings.
#[derive(Clone, Debug)]
pub struct Version {
    pub id: VersionId,
    /// Counts up from 1 within its Worker.
    pub number: i64,
    pub script: ScriptName,
    pub created_at: Timestamp,
    pub author: Author,
    pub annotations: BTreeMap<String, String>,
    pub compatibility_date: String,
    pub compatibility_flags: Vec<String>,
    /// Absent in a Worker of static assets only.
    pub main_module: Option<String>,
    pub modules: Vec<ModuleInfo>,
    /// Bindings as Cloudflare's JSON, secrets without their value.
    pub bindings: Vec<Value>,
    /// SHA-256 over the canonical list of modules and assets; see [`crate::upload::digest`].
    pub code_digest: Sha256Digest,
    pub has_assets: bool,
    /// From exec to listening, when the version was validated.
    pub startup_time_ms: Option<i64>,
}

/// One module of a version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModuleInfo {
    pub name: String,
    pub content_type: String,
    pub size: u64,
    pub sha256: Sha256Digest,
}

/// Which version answers requests since when, or which two share them.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: Uuid,
    pub script: ScriptName,
    /// The one that answers, or the one that answers most.
    pub version: VersionId,
    pub minor: Option<Minor>,
    pub created_at: Timestamp,
    pub author: Author,
    pub annotations: BTreeMap<String, String>,
}

/// The smaller part of a gradual deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minor {
    pub version: VersionId,
    pub share: Share,
}

/// A part of all requests, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    pub const ALL: Self = Self(10_000);

    /// From a percentage; nothing when it is none.
    #[must_use]
    pub fn of_percent(percent: f64) -> Option<Self> {
        let hundredths = (percent * 100.0).round();
        // checked to be in range, and whole
        (0.0..=10_000.0).contains(&hundredths).then_some(Self(hundredths as u32))
    }

    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    #[must_use]
    pub const fn hundredths(self) -> u32 {
        self.0
    }

    /// What is left of all.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(10_000_u32.saturating_sub(self.0))
    }
}

/// What an upload that deploys at once answers.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub script: Script,
    pub version: Version,
    pub deployment: Deployment,
    /// The same upload was already deployed: nothing was changed.
    pub repeated: bool,
}

/// A service as wrangler's `services/{name}` sees it.
#[derive(Clone, Debug)]
pub struct Service {
    pub script: Script,
    /// The deployed version, or the newest when none is deployed.
    pub version: Option<Version>,
}

/// A secret's name; values never come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    pub name: BindingName,
}

/// An account's label below the common domain of Workers.
#[derive(Clone, Debug)]
pub struct Subdomain {
    pub name: SubdomainName,
}

/// A host name that the caller **has proved** to lie in a zone of the account. The runtime never decides who owns a name.
#[derive(Clone, Debug)]
pub struct OwnedHost {
    pub hostname: HostName,
    pub zone_id: String,
    pub zone_name: String,
}

/// A custom domain: a host name connected to a Worker.
#[derive(Clone, Debug)]
pub struct CustomDomain {
    pub id: Uuid,
    pub hostname: HostName,
    pub zone_id: String,
    pub zone_name: String,
    pub script: ScriptName,
}

/// A route by pattern. Without a script, what it covers meets no Worker of a less specific route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRoute {
    pub id: Uuid,
    pub zone_id: String,
    pub zone_name: String,
    pub pattern: Pattern,
    pub script: Option<ScriptName>,
}

/// What a set of custom domains would change.
#[derive(Clone, Debug, Default)]
pub struct DomainChangeset {
    pub added: Vec<HostName>,
    pub removed: Vec<CustomDomain>,
    pub updated: Vec<CustomDomain>,
    /// Names that another Worker of the account holds, or that another account holds (then without its name).
    pub conflicting: Vec<DomainConflict>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainConflict {
    pub hostname: HostName,
    /// The Worker of this account that holds the name; absent when it is not this account's.
    pub script: Option<ScriptName>,
}

/// A cron trigger of a Worker.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub cron: String,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

/// An asset session: which hashes are missing, in buckets, and the token for uploading them.
#[derive(Clone, Debug)]
pub struct AssetsSession {
    /// With no buckets this is already the completion token.
    pub jwt: String,
    pub buckets: Vec<Vec<String>>,
}

/// One file of an asset upload.
#[derive(Clone, Debug)]
pub struct AssetFile {
    /// The hash that the manifest named.
    pub hash: String,
    /// `application/null` means: serve without a content type.
    pub content_type: String,
    /// The decoded bytes.
    pub bytes: Bytes,
}
