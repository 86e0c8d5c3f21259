//! A runtime with the real workerd, and a visitor for it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod service;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purser_values::Env;
use purser_values::id::CloudAccountId;
use slipway_workers::blobs::Blobs;
use slipway_workers::name::VersionId;
use slipway_workers::plan::{Bound, Module, ModuleKind, Source, Unit};
use slipway_workers::runtime::backend::Backend;
use slipway_workers::runtime::process::JailProgram;
use slipway_workers::runtime::site::{Answer, Target};
use slipway_workers::runtime::{Live, Runtime, RuntimeConfig};
use slipway_workers::tenant::Tenant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Where workerd is; without it a test says so and ends.
pub fn workerd() -> Option<PathBuf> {
    let found = std::env::var_os("PURSER_WORKERD").map(PathBuf::from);
    if found.is_none() {
        let promised = std::env::var_os("PURSER_PEERS").is_some_and(|value| value == "all");
        assert!(!promised, "PURSER_WORKERD names nothing, though every peer of the tests should be here");
        eprintln!("NOT TESTED: PURSER_WORKERD does not name a workerd binary");
    }
    found
}

pub fn jail_program() -> JailProgram {
    JailProgram { program: env!("CARGO_BIN_EXE_slipway-jail").into(), args: vec![] }
}

pub struct World {
    pub folder: tempfile::TempDir,
    pub runtime: Runtime,
    pub env: Env,
}

impl World {
    pub async fn new() -> Option<Self> {
        Self::with(false).await
    }

    pub async fn with(unconfined: bool) -> Option<Self> {
        Self::on(unconfined, Arc::new(slipway_workers::runtime::backend::Nothing)).await
    }

    pub async fn on(unconfined: bool, backend: Arc<dyn Backend>) -> Option<Self> {
        Self::resting(unconfined, backend, slipway_workers::limits::IDLE).await
    }

    pub async fn resting(unconfined: bool, backend: Arc<dyn Backend>, idle: Duration) -> Option<Self> {
        let workerd = workerd()?;
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let config = RuntimeConfig {
            workerd,
            folder: folder.path().join("run"),
            unconfined,
            jail: jail_program(),
            objects: folder.path().join("objects"),
            idle,
        };
        let runtime =
            Runtime::start(config, blobs, &slipway_workers::Seams { backend, ..Default::default() }, Env::system()).await.unwrap();
        Some(Self { folder, runtime, env: Env::system() })
    }

    pub fn live(&self, script: &str, code: &str) -> Live {
        self.live_with(script, code, vec![])
    }

    pub fn live_with(&self, script: &str, code: &str, bindings: Vec<(&str, Bound)>) -> Live {
        let version = VersionId::mint(&self.env);
        let module = Module { name: "index.js".into(), kind: ModuleKind::EsModule, bytes: code.as_bytes().into() };
        let unit = Unit {
            script: script.parse().unwrap(),
            version: version.clone(),
            compatibility_date: "2026-11-01".into(),
            compatibility_flags: vec![],
            source: Source::Modules(vec![module]),
            bindings: bindings.into_iter().map(|(n, b)| (n.parse().unwrap(), b)).collect(),
            objects: vec![],
        };
        Live {
            script: script.parse().unwrap(),
            version,
            share: slipway_workers::view::Share::ALL,
            unit: Some(Arc::new(unit)),
            assets: None,
        }
    }

    /// A fresh account's first environment.
    pub fn account(&self) -> Tenant {
        Tenant::of(CloudAccountId::mint(&self.env))
    }

    /// Deploys one Worker of a fresh account and returns its host name.
    pub async fn serve(&self, account: &Tenant, number: u32, live: Live) -> String {
        let host = format!("{}.test", live.script);
        let script = live.script.clone();
        self.runtime.deploy(account, number, live).await.unwrap();
        self.runtime.set_hosts(&account.account, vec![(host.parse().unwrap(), script)]);
        host
    }

    pub async fn get(&self, host: &str, path: &str) -> Result<(u16, String), String> {
        visit(&self.runtime, host, path).await
    }
}

/// One request, as the edge would send it.
pub async fn visit(runtime: &Runtime, host: &str, path: &str) -> Result<(u16, String), String> {
    let Target::Site(site) = runtime.route(&host.parse().unwrap()) else { return Err("no such site".into()) };
    let request = http::Request::get(path).header("host", host).body(()).unwrap();
    match site.answer(&request.into_parts().0).await.map_err(|e| e.to_string())? {
        Answer::Respond(response) => {
            use http_body_util::BodyExt as _;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        }
        Answer::Forward { socket, .. } => {
            let answered = tokio::time::timeout(Duration::from_secs(60), exchange(&socket, host, path)).await;
            answered.map_err(|_| "no answer in a minute".to_owned())?.map_err(|e| e.to_string())
        }
    }
}

async fn exchange(socket: &std::path::Path, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = tokio::net::UnixStream::connect(socket).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other(format!("no answer: `{text}`")))?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Ok((status, body))
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    out
}

/// Waits until `check` holds, for at most `seconds`.
pub async fn eventually<F: AsyncFnMut() -> bool>(seconds: u64, what: &str, mut check: F) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !check().await {
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The process in the jail: the keeper's only child.
pub fn inmate(keeper: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    children.split_whitespace().next().expect("the keeper has a child").parse().unwrap()
}

pub fn status(pid: u32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|l| l.starts_with(&format!("{field}:"))).unwrap_or_else(|| panic!("no {field}"));
    line.split_once(':').unwrap().1.trim().to_owned()
}
