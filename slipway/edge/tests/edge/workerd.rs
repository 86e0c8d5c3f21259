//! The edge in front of the real workerd. Found through `PURSER_WORKERD`; without it the test says so and passes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http::request;
use purser_values::Env;
use purser_values::name::HostName;
use slipway_edge::edge::{Certificates, Edge, EdgeConfig, EdgeHandle};
use slipway_edge::route::{Answer, Pending, RouteTarget, Router, Site, SiteLabel, Unavailable, Upstream};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::curl;

const SCRIPT: &str = r#"
export default {
  async fetch(request) {
    const url = new URL(request.url);
    if (request.headers.get("upgrade") === "websocket") {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener("message", (event) => server.send("echo " + event.data));
      return new Response(null, { status: 101, webSocket: client });
    }
    if (url.pathname === "/echo") return new Response(request.body);
    if (url.pathname === "/throw") throw new Error("on purpose");
    return Response.json({ url: request.url, ip: request.headers.get("cf-connecting-ip"), cf: request.cf ?? null });
  }
};
"#;

const CONFIG: &str = r#"
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "main.js", esModule = embed "main.js")], compatibilityDate = "2026-08-01"))],
  sockets = [(name = "http", address = "unix:SOCKET", service = "main", http = (forwardedProtoHeader = "X-Forwarded-Proto"))]
);
"#;

struct World {
    folder: TempDir,
    edge: EdgeHandle,
    _workerd: Reaped,
}

struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct One {
    label: SiteLabel,
    socket: Arc<Path>,
}

struct Table(Arc<One>);

impl Router for Table {
    fn route(&self, host: &HostName) -> RouteTarget {
        if host.as_str() == "shop.test" { RouteTarget::Site(self.0.clone()) } else { RouteTarget::Unknown }
    }
}

impl Site for One {
    fn label(&self) -> &SiteLabel {
        &self.label
    }
    fn answer<'a>(&'a self, _: &'a request::Parts) -> Pending<'a, Result<Answer, Unavailable>> {
        Box::pin(async { Ok(Answer::Forward(Upstream { socket: self.socket.clone(), generation: 1, hold: Default::default() })) })
    }
}

async fn world() -> Option<World> {
    let Ok(binary) = std::env::var("PURSER_WORKERD") else {
        eprintln!("not tested: PURSER_WORKERD does not name a workerd");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("w.sock");
    std::fs::write(folder.path().join("main.js"), SCRIPT).unwrap();
    std::fs::write(folder.path().join("config.capnp"), CONFIG.replace("SOCKET", &socket.display().to_string())).unwrap();
    let child = Command::new(binary)
        .args(["serve", "config.capnp"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("workerd starts");
    let workerd = Reaped(child);
    let up = async {
        while UnixStream::connect(&socket).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), up).await.expect("workerd listens");
    let label = SiteLabel { account: "acct".into(), script: "shop".into(), version: "v1".into() };
    let router = Arc::new(Table(Arc::new(One { label, socket: socket.into() })));
    let config = EdgeConfig {
        listen_https: "127.0.0.1:0".parse().unwrap(),
        listen_http: "127.0.0.1:0".parse().unwrap(),
        certificates: Certificates::LocalCa { keys: folder.path().to_owned(), public: folder.path().join("ca.pem") },
    };
    let edge = Edge::start(config, router, Env::system()).await.unwrap();
    Some(World { folder, edge, _workerd: workerd })
}

impl World {
    async fn https(&self, args: &[&str]) -> curl::Reply {
        let port = self.edge.https_addr.port().to_string();
        let ca = self.folder.path().join("ca.pem").display().to_string();
        let mut all = vec!["--cacert".to_owned(), ca, "--resolve".to_owned(), format!("shop.test:{port}:127.0.0.1")];
        all.extend(args.iter().map(|a| a.replace("PORT", &port)));
        tokio::task::spawn_blocking(move || curl::run(&all)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_workerd_answers_knows_its_url_and_its_visitor() {
    let Some(w) = world().await else { return };
    let got = w.https(&["-H", "cf-connecting-ip: 1.1.1.1", "https://shop.test:PORT/a?b=c"]).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let seen: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(seen["url"], format!("https://shop.test:{}/a?b=c", w.edge.https_addr.port()));
    assert_eq!(seen["ip"], "127.0.0.1");
    assert_eq!(w.https(&["https://shop.test:PORT/throw"]).await.status, 500);
    let echoed = w.https(&["--http2", "-d", "some words", "https://shop.test:PORT/echo"]).await;
    assert_eq!(echoed.body, "some words");
    assert!(echoed.header("transfer-encoding").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_a_pause_longer_than_workerd_keeps_a_connection_all_succeed() {
    let Some(w) = world().await else { return };
    // Time is what is tested here: ours runs out after three seconds, workerd's after five.
    for pause in [0, 2_900, 5_000] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert_eq!(w.https(&["https://shop.test:PORT/"]).await.status, 200, "after {pause} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_reaches_the_worker_and_comes_back() {
    let Some(w) = world().await else { return };
    let mut stream = TcpStream::connect(w.edge.http_addr).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: shop.test.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // A masked text frame "hi" (RFC 6455 section 5.2), with a mask of zeros.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"echo hi") {
        let mut buffer = [0; 1024];
        let size = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(size, 0, "{}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&buffer[..size]);
    }
    let text = String::from_utf8_lossy(&got);
    // The accept value of RFC 6455 section 1.3 for that key.
    assert!(text.starts_with("HTTP/1.1 101 ") && text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
}
