//! The whole service over a database, with the real workerd.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use purser_crypto::seal::Keyring;
use purser_db::{Db, Migrations};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Secret};
use slipway_workers::view::{Author, OwnedHost, Upload, UploadedModule};
use slipway_workers::{Seams, Workers, WorkersConfig};

pub const MIGRATIONS: &[Migrations] = &[slipway_workers::store::MIGRATIONS];

pub struct Service {
    pub workers: Workers,
    pub env: Env,
    pub account: CloudAccountId,
}

pub fn author() -> Author {
    Author { source: "wrangler".into(), id: "tok_1".into(), email: None }
}

fn keyring() -> Keyring {
    Keyring::from_bytes(&Secret::new([7; 32])).unwrap()
}

impl Service {
    pub async fn open(db: &Db, folder: &Path, workerd: &Path) -> Self {
        let env = Env::system();
        Self { workers: open(db, folder, workerd, &env).await, account: CloudAccountId::mint(&env), env }
    }

    /// With these around it; `unconfined` where workerd is a program of the test's own.
    pub async fn open_within(db: &Db, folder: &Path, workerd: &Path, seams: Seams, unconfined: bool) -> Self {
        let env = Env::system();
        let config = WorkersConfig { unconfined, ..config(folder, workerd) };
        let workers = Workers::open(config, seams, db.clone(), keyring(), env.clone()).await.unwrap();
        Self { workers, account: CloudAccountId::mint(&env), env }
    }

    pub async fn deploy(&self, script: &str, code: &str) -> Result<slipway_workers::view::Deployed, slipway_workers::WorkersError> {
        self.workers.script_upload(&self.account, &script.parse().unwrap(), module(code, "[]"), &author()).await
    }

    /// Connects `{script}.test`.
    pub async fn connect(&self, script: &str) -> String {
        let host = format!("{script}.test");
        self.workers.domain_put(&self.account, &script.parse().unwrap(), &[owned(&host)], false, false).await.unwrap();
        host
    }

    pub async fn get(&self, host: &str, path: &str) -> Result<(u16, String), String> {
        super::visit(self.workers.runtime(), host, path).await
    }
}

fn config(folder: &Path, workerd: &Path) -> WorkersConfig {
    WorkersConfig {
        data: folder.to_owned(),
        workerd: workerd.to_owned(),
        unconfined: false,
        jail: super::jail_program(),
        domain: Some("workers.test".parse().unwrap()),
        idle: slipway_workers::limits::IDLE,
    }
}

pub async fn open(db: &Db, folder: &Path, workerd: &Path, env: &Env) -> Workers {
    Workers::open(config(folder, workerd), Seams::default(), db.clone(), keyring(), env.clone()).await.unwrap()
}

pub fn owned(host: &str) -> OwnedHost {
    OwnedHost { hostname: host.parse().unwrap(), zone_id: "zone".into(), zone_name: "test".into() }
}

pub fn module(code: &str, bindings: &str) -> Upload {
    let metadata =
        format!(r#"{{"main_module":"index.js","compatibility_date":"2026-11-01","keep_bindings":["secret_text"],"bindings":{bindings}}}"#);
    upload(&metadata, &[("index.js", "application/javascript+module", code.as_bytes())])
}

pub fn upload(metadata: &str, modules: &[(&str, &str, &[u8])]) -> Upload {
    let module = |(name, content_type, bytes): &(&str, &str, &[u8])| UploadedModule {
        name: (*name).to_owned(),
        content_type: (*content_type).to_owned(),
        bytes: Bytes::copy_from_slice(bytes),
    };
    Upload { metadata: Bytes::copy_from_slice(metadata.as_bytes()), modules: modules.iter().map(module).collect() }
}

pub fn none() -> BTreeMap<String, String> {
    BTreeMap::new()
}
