//! How long from the deploy call to the first 200, over the real store (SQLite, durable commits), blobs and jail.
//!
//! `PURSER_WORKERD=… cargo run --release -p slipway-workers --example deploy_latency [runs]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use purser_crypto::seal::Keyring;
use purser_db::{Db, DbConfig};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Secret};
use slipway_workers::runtime::process::JailProgram;
use slipway_workers::runtime::site::{Answer, Target};
use slipway_workers::view::{Author, OwnedHost, Upload, UploadedModule};
use slipway_workers::{Workers, WorkersConfig, jail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn main() -> std::process::ExitCode {
    if let Some(code) = jail::enter() {
        return code;
    }
    let runs = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(20);
    tokio::runtime::Runtime::new().unwrap().block_on(measure(runs));
    std::process::ExitCode::SUCCESS
}

async fn measure(runs: usize) {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::system();
    let db = Db::open(&DbConfig::Sqlite { path: folder.path().join("slipway.db") }).await.unwrap();
    db.migrate(&env, &[slipway_workers::store::MIGRATIONS]).await.unwrap();
    let config = WorkersConfig {
        data: folder.path().to_owned(),
        workerd: std::env::var_os("PURSER_WORKERD").expect("PURSER_WORKERD names a workerd binary").into(),
        unconfined: false,
        jail: JailProgram::default(),
        domain: None,
        idle: slipway_workers::limits::IDLE,
    };
    let keyring = Keyring::from_bytes(&Secret::new([7; 32])).unwrap();
    let begun = Instant::now();
    let workers = Workers::open(config, slipway_workers::Seams::default(), db, keyring, env.clone()).await.unwrap();
    println!("opened in {} ms; workers run {:?}", begun.elapsed().as_millis(), workers.confinement());
    let author = Author { source: "bench".into(), id: "bench".into(), email: None };
    let script = "hello".parse().unwrap();
    let mut last = None;
    let (mut uploads, mut firsts, mut redeploys, mut startups) = (vec![], vec![], vec![], vec![]);
    for run in 0..runs {
        let account = CloudAccountId::mint(&env);
        let host = format!("h{run}.test");
        let owned = OwnedHost { hostname: host.parse().unwrap(), zone_id: "z".into(), zone_name: host.clone() };
        let begun = Instant::now();
        let deployed = workers.script_upload(&account, &script, hello("one"), &author).await.unwrap();
        uploads.push(begun.elapsed());
        workers.domain_put(&account, &script, &[owned], false, false).await.unwrap();
        get(&workers, &host, "one").await;
        firsts.push(begun.elapsed());
        startups.push(Duration::from_millis(deployed.version.startup_time_ms.unwrap_or(0).unsigned_abs()));
        let begun = Instant::now();
        let version = workers.version_create(&account, &script, hello("two"), &author).await.unwrap();
        let all = [(version.id, 100.0)];
        workers.deployment_create(&account, &script, &all, Default::default(), &author).await.unwrap();
        get(&workers, &host, "two").await;
        redeploys.push(begun.elapsed());
        workers.script_delete(&account, &script, true).await.unwrap();
        last = Some(account);
    }
    drop(last);
    print("process start (spawn to listening, in the jail)", startups);
    print("script_upload", uploads);
    print("first deploy: call to first 200 on a custom domain", firsts);
    print("redeploy: version + deployment to first 200", redeploys);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    println!("{what:55} p50 {:6.1} ms   max {:6.1} ms   n {}", ms(times[times.len() / 2]), ms(times[times.len() - 1]), times.len());
}

fn hello(text: &str) -> Upload {
    let code = format!("export default {{ fetch() {{ return new Response('{text}') }} }}");
    let module = UploadedModule { name: "index.js".into(), content_type: "application/javascript+module".into(), bytes: Bytes::from(code) };
    let metadata = Bytes::from_static(br#"{"main_module":"index.js","compatibility_date":"2026-11-01"}"#);
    Upload { metadata, modules: vec![module] }
}

async fn get(workers: &Workers, host: &str, expected: &str) {
    let Target::Site(site) = workers.route(&host.parse().unwrap()) else { panic!("no site") };
    let request = http::Request::get("/").body(()).unwrap().into_parts().0;
    let Answer::Forward { socket, .. } = site.answer(&request).await.unwrap() else { panic!("no worker") };
    let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with(expected), "{text}");
}
