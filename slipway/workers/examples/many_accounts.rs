//! What many accounts cost: `cargo run --release --example many_accounts -- 200`. Each has one Worker and all are awake at once; then
//! all sleep, and each is woken by a request. Needs `PURSER_WORKERD`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use purser_values::Env;
use purser_values::id::CloudAccountId;
use slipway_workers::Seams;
use slipway_workers::blobs::Blobs;
use slipway_workers::name::VersionId;
use slipway_workers::plan::{Module, ModuleKind, Source, Unit};
use slipway_workers::runtime::process::JailProgram;
use slipway_workers::runtime::site::{Answer, Target};
use slipway_workers::runtime::{Live, Runtime, RuntimeConfig};
use slipway_workers::tenant::Tenant;
use slipway_workers::view::Share;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CODE: &str = "export default { fetch() { return new Response('hello') } }";
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    if let Some(code) = slipway_workers::jail::enter() {
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
    let count = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    tokio::runtime::Runtime::new().unwrap().block_on(run(count));
}

async fn run(count: u32) {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::system();
    let config = RuntimeConfig {
        workerd: std::env::var_os("PURSER_WORKERD").expect("PURSER_WORKERD names a workerd binary").into(),
        folder: folder.path().join("run"),
        unconfined: false,
        jail: JailProgram::default(),
        objects: folder.path().join("objects"),
        idle: IDLE,
    };
    let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
    let runtime = Runtime::start(config, blobs, &Seams::default(), env.clone()).await.unwrap();
    let tenants: Vec<Tenant> = (0..count).map(|_| Tenant::of(CloudAccountId::mint(&env))).collect();
    let mut cold = Vec::new();
    for (number, tenant) in tenants.iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        let begun = Instant::now();
        runtime.deploy(tenant, number + 1, live(&env)).await.unwrap();
        runtime.set_hosts(&tenant.account, vec![(host(number), "hello".parse().unwrap())]);
        visit(&runtime, number).await;
        cold.push(begun.elapsed());
    }
    told("cold start to first response", cold);
    let mut pids = Vec::new();
    for tenant in &tenants {
        pids.extend(runtime.pid(tenant).await);
    }
    let memory: u64 = pids.iter().map(|pid| pss_kib(*pid)).sum();
    println!("{} processes awake: {} MiB together, {:.1} MiB each", pids.len(), memory / 1024, memory as f64 / 1024.0 / pids.len() as f64);
    let asleep = async || {
        for tenant in &tenants {
            while runtime.pid(tenant).await.is_some() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    asleep().await;
    println!("all sleep");
    let mut wake = Vec::new();
    for number in 0..count {
        let begun = Instant::now();
        visit(&runtime, number).await;
        wake.push(begun.elapsed());
    }
    told("wake to first response", wake);
}

fn live(env: &Env) -> Live {
    let version = VersionId::mint(env);
    let unit = Unit {
        script: "hello".parse().unwrap(),
        version: version.clone(),
        compatibility_date: "2026-11-01".into(),
        compatibility_flags: vec![],
        source: Source::Modules(vec![Module { name: "index.js".into(), kind: ModuleKind::EsModule, bytes: CODE.as_bytes().into() }]),
        bindings: vec![],
        objects: vec![],
    };
    Live { script: "hello".parse().unwrap(), version, share: Share::ALL, unit: Some(Arc::new(unit)), assets: None }
}

fn host(number: u32) -> purser_values::name::HostName {
    format!("h{number}.test").parse().unwrap()
}

async fn visit(runtime: &Runtime, number: u32) {
    let Target::Site(site) = runtime.route(&host(number)) else { panic!("no site") };
    let request = http::Request::get("/").body(()).unwrap().into_parts().0;
    let Ok(Answer::Forward { socket, hold, .. }) = site.answer(&request).await else { panic!("no door") };
    let mut stream = tokio::net::UnixStream::connect(&*socket).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    drop(hold);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// Memory of the keeper and everything below it, with what is shared counted in parts.
fn pss_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let own = rollup.lines().find_map(|l| l.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    own + children.split_whitespace().filter_map(|c| c.parse().ok()).map(pss_kib).sum::<u64>()
}

fn told(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |q: f64| times[((times.len() as f64 - 1.0) * q) as usize].as_millis();
    println!("{what}: p50 {} ms, p90 {} ms, worst {} ms ({} times)", at(0.5), at(0.9), at(1.0), times.len());
}
