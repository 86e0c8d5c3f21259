//! The edge and the runtime together: jailed workerd processes behind TLS, deployed again and again under traffic.
//!
//! This test is its own program, because the runtime enters its jail through the program that runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the other test, which looks at more of an answer")]
#[path = "edge/curl.rs"]
mod curl;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use purser_values::id::CloudAccountId;
use purser_values::{Env, Sha256Digest};
use slipway_edge::edge::{Certificates, Edge, EdgeConfig, EdgeHandle};
use slipway_edge::workers::WorkersRouter;
use slipway_workers::assets::{Asset, AssetConfig, AssetSet};
use slipway_workers::blobs::Blobs;
use slipway_workers::name::{Uuid, VersionId};
use slipway_workers::plan::{Module, ModuleKind, Source, Unit};
use slipway_workers::runtime::confinement::Confinement;
use slipway_workers::runtime::process::JailProgram;
use slipway_workers::runtime::{Live, Runtime, RuntimeConfig};
use slipway_workers::tenant::Tenant;
use slipway_workers::view::ZoneRoute;
use tempfile::TempDir;

const NAME: &str = "a_deployment_is_seen_by_the_first_request_after_it_and_no_request_is_lost";

fn main() -> ExitCode {
    if let Some(code) = slipway_workers::jail::enter() {
        return code;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a == "--list") {
        if !args.iter().any(|a| a == "--ignored") {
            std::io::Write::write_all(&mut std::io::stdout(), format!("{NAME}: test\n").as_bytes()).unwrap();
        }
        return ExitCode::SUCCESS;
    }
    let Some(workerd) = std::env::var_os("PURSER_WORKERD") else {
        let promised = std::env::var_os("PURSER_PEERS").is_some_and(|value| value == "all");
        assert!(!promised, "PURSER_WORKERD names nothing, though every peer of the tests should be here");
        eprintln!("NOT TESTED: PURSER_WORKERD does not name a workerd binary");
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start(workerd.into()).await;
        world.deployments_under_traffic().await;
        world.static_files().await;
        world.what_code_is_told().await;
        world.routes_by_pattern().await;
        world.suspension().await;
        world.edge.stop().await;
    });
    ExitCode::SUCCESS
}

struct World {
    folder: TempDir,
    env: Env,
    blobs: Blobs,
    runtime: Runtime,
    edge: EdgeHandle,
    account: CloudAccountId,
}

impl World {
    fn tenant(&self) -> Tenant {
        Tenant::of(self.account.clone())
    }

    async fn start(workerd: std::path::PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::system();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let config = RuntimeConfig {
            workerd,
            folder: folder.path().join("run"),
            unconfined: false,
            jail: JailProgram::default(),
            objects: folder.path().join("objects"),
            idle: slipway_workers::limits::IDLE,
        };
        let runtime = Runtime::start(config, blobs.clone(), &slipway_workers::Seams::default(), env.clone()).await.unwrap();
        assert_eq!(*runtime.confinement(), Confinement::Jailed);
        let table = runtime.clone();
        let config = EdgeConfig {
            listen_https: "127.0.0.1:0".parse().unwrap(),
            listen_http: "127.0.0.1:0".parse().unwrap(),
            certificates: Certificates::LocalCa { keys: folder.path().to_owned(), public: folder.path().join("ca.pem") },
        };
        let edge = Edge::start(
            config,
            Arc::new(WorkersRouter::new(move |host, path: Option<&str>| {
                path.map_or_else(|| table.route(host), |path| table.find(host, path))
            })),
            env.clone(),
        )
        .await
        .unwrap();
        let account = CloudAccountId::mint(&env);
        Self { folder, env, blobs, runtime, edge, account }
    }

    fn live(&self, script: &str, code: Option<&str>, assets: Option<AssetSet>) -> Live {
        let version = VersionId::mint(&self.env);
        let unit = code.map(|code| {
            Arc::new(Unit {
                script: script.parse().unwrap(),
                version: version.clone(),
                compatibility_date: "2026-11-01".into(),
                compatibility_flags: vec![],
                source: Source::Modules(vec![Module {
                    name: "index.js".into(),
                    kind: ModuleKind::EsModule,
                    bytes: code.as_bytes().into(),
                }]),
                bindings: vec![],
                objects: vec![],
            })
        });
        Live { script: script.parse().unwrap(), version, share: slipway_workers::view::Share::ALL, unit, assets: assets.map(Arc::new) }
    }

    async fn deploy(&self, live: Live) {
        self.runtime.deploy(&self.tenant(), 1, live).await.unwrap();
    }

    /// What a URL answers: host, path, then curl's other arguments.
    async fn get(&self, host: &str, path: &str) -> curl::Reply {
        let args = visit(&self.folder, self.edge.https_addr.port(), host, path);
        tokio::task::spawn_blocking(move || curl::run(&args)).await.unwrap()
    }

    async fn deployments_under_traffic(&self) {
        let code = |n: u32| format!("export default {{ fetch() {{ return new Response('version {n}') }} }}");
        self.runtime.set_hosts(&self.account, vec![("shop.test".parse().unwrap(), "shop".parse().unwrap())]);
        let begun = Instant::now();
        self.deploy(self.live("shop", Some(&code(0)), None)).await;
        let first = self.get("shop.test", "/").await;
        assert_eq!((first.status, first.body.as_str()), (200, "version 0"));
        eprintln!("deploy to first 200 through curl and TLS: {:?}", begun.elapsed());

        let (done, served, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let args = visit(&self.folder, self.edge.https_addr.port(), "shop.test", "/");
        let visitors: Vec<_> = (0..3)
            .map(|_| {
                let (done, served, lost, args) = (done.clone(), served.clone(), lost.clone(), args.clone());
                tokio::task::spawn_blocking(move || {
                    while !done.load(Ordering::SeqCst) {
                        let good = curl::run(&args).status == 200;
                        if good { &served } else { &lost }.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for n in 1..=5 {
            self.deploy(self.live("shop", Some(&code(n)), None)).await;
            assert_eq!(self.get("shop.test", "/").await.body, format!("version {n}"));
        }
        done.store(true, Ordering::SeqCst);
        for visitor in visitors {
            visitor.await.unwrap();
        }
        assert_eq!(lost.load(Ordering::SeqCst), 0);
        assert!(served.load(Ordering::SeqCst) > 10);
    }

    async fn static_files(&self) {
        let page = b"<h1>files</h1>".to_vec();
        let sha256 = Sha256Digest::of(&page);
        self.blobs.put_all(&self.env, vec![(sha256, page.into())]).await.unwrap();
        let file = Asset { sha256, bytes: 14, content_type: Some("text/html; charset=utf-8".into()) };
        let set = AssetSet { files: BTreeMap::from([("/index.html".to_owned(), file)]), config: AssetConfig::default() };
        self.deploy(self.live("files", None, Some(set))).await;
        let hosts = [("shop.test", "shop"), ("files.test", "files")];
        self.runtime.set_hosts(&self.account, hosts.iter().map(|(h, s)| (h.parse().unwrap(), s.parse().unwrap())).collect());
        let got = self.get("files.test", "/").await;
        assert_eq!((got.status, got.body.as_str()), (200, "<h1>files</h1>"));
        assert_eq!(got.header("content-type").unwrap(), "text/html; charset=utf-8");
        assert!(got.header("etag").is_some());
        assert_eq!(self.get("files.test", "/gone").await.status, 404);
        assert_eq!(self.get("shop.test", "/").await.body, "version 5");
    }

    /// Scheme and connection are the edge's word; a visitor cannot speak in its name.
    async fn what_code_is_told(&self) {
        let code = "export default { fetch(r) { return Response.json({ url: r.url, cf: r.cf, raw: r.headers.get('x-slipway-cf') }) } }";
        self.deploy(self.live("told", Some(code), None)).await;
        let hosts = [("shop.test", "shop"), ("told.test", "told")];
        self.runtime.set_hosts(&self.account, hosts.iter().map(|(h, s)| (h.parse().unwrap(), s.parse().unwrap())).collect());
        let mut args = visit(&self.folder, self.edge.https_addr.port(), "told.test", "/x");
        args.extend(["-H".into(), "x-slipway-cf: {\"country\":\"XX\"}".into(), "-H".into(), "x-forwarded-proto: http".into()]);
        let told = tokio::task::spawn_blocking(move || curl::run(&args)).await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        assert!(told["url"].as_str().unwrap().starts_with("https://told.test"), "{told}");
        assert_eq!((&told["cf"]["tlsVersion"], &told["cf"]["colo"]), (&"TLSv1.3".into(), &"SLP".into()), "{told}");
        assert!(told["cf"]["country"].is_null() && told["raw"].is_null(), "{told}");
        assert!(["HTTP/2", "HTTP/1.1"].contains(&told["cf"]["httpProtocol"].as_str().unwrap()), "{told}");
    }

    async fn routes_by_pattern(&self) {
        let route = |pattern: &str, script: Option<&str>| ZoneRoute {
            id: Uuid::mint(&self.env),
            zone_id: "z".into(),
            zone_name: "shop.test".into(),
            pattern: pattern.parse().unwrap(),
            script: script.map(|name| name.parse().unwrap()),
        };
        let routes = vec![route("*.shop.test/*", Some("told")), route("shop.test/api/*", Some("told")), route("shop.test/api/own/*", None)];
        self.runtime.set_routes(&self.account, routes);
        for (host, path, whose) in [("shop.test", "/", "version"), ("shop.test", "/api/x", "url"), ("shop.test", "/api/own/x", "version")] {
            assert!(self.get(host, path).await.body.contains(whose), "{host}{path}");
        }
        assert!(self.get("a.b.shop.test", "/").await.body.contains("url"));
        self.runtime.set_routes(&self.account, Vec::new());
        assert!(self.get("shop.test", "/api/x").await.body.contains("version"));
    }

    async fn suspension(&self) {
        self.runtime.set_suspended(&self.account, true).await.unwrap();
        assert_eq!(self.get("shop.test", "/").await.status, 403);
        self.runtime.set_suspended(&self.account, false).await.unwrap();
        assert_eq!(self.get("shop.test", "/").await.status, 200);
        self.runtime.withdraw(&self.tenant(), 1, &"shop".parse().unwrap()).await.unwrap();
        assert_eq!(self.get("shop.test", "/").await.exit, 35, "a name that does not route has no certificate");
    }
}

fn visit(folder: &TempDir, port: u16, host: &str, path: &str) -> Vec<String> {
    let ca = folder.path().join("ca.pem").display().to_string();
    vec!["--cacert".into(), ca, "--resolve".into(), format!("{host}:{port}:127.0.0.1"), format!("https://{host}:{port}{path}")]
}
