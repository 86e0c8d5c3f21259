//! The edge with real peers: curl over TLS and plain HTTP, and Workers' sockets behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "edge/curl.rs"]
mod curl;
#[path = "edge/workerd.rs"]
mod workerd;
#[path = "edge/world.rs"]
mod world;

use std::path::Path;
use std::time::Duration;

use curl::Reply;
use slipway_edge::edge::{Certificates, EdgeError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_site_answers_over_tls_with_both_protocols_and_the_worker_learns_the_facts() {
    let w = World::start().await;
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let got = w.https("shop.test", &[flag, "-A", "peer", "https://shop.test:PORT/a/b?c=d"]).await;
        assert_eq!((got.status, got.version.as_str()), (200, version));
        let seen = got.json();
        assert_eq!(seen["target"], "/a/b?c=d");
        assert_eq!(seen["headers"]["host"], format!("shop.test:{}", w.edge.https_addr.port()));
        assert_eq!(seen["headers"]["x-forwarded-proto"], "https");
        assert_eq!(seen["headers"]["cf-connecting-ip"], "127.0.0.1");
        assert_eq!(seen["headers"]["user-agent"], "peer");
        assert_eq!(seen["headers"]["cf-ray"], got.header("cf-ray").unwrap());
        assert_eq!(got.header("server").unwrap(), "slipway");
        assert!(got.header("x-hop").is_none() && got.header("x-end").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tls_versions_are_spoken_and_nothing_older() {
    let w = World::start().await;
    for flags in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let args = [&flags[..], &["https://shop.test:PORT/"]].concat();
        assert_eq!(w.https("shop.test", &args).await.status, 200);
    }
    let old = w.https("shop.test", &["--tlsv1.0", "--tls-max", "1.1", "https://shop.test:PORT/"]).await;
    assert_ne!(old.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_browser_opens_the_site_below_localhost_and_other_names_are_sent_to_tls() {
    let w = World::start().await;
    let port = w.edge.http_addr.port();
    let got = w.http(&[&format!("http://shop.test.localhost:{port}/x")]).await;
    assert_eq!((got.status, got.json()["headers"]["x-forwarded-proto"].as_str()), (200, Some("http")));
    assert_eq!(got.json()["headers"]["host"], format!("shop.test.localhost:{port}"));
    let got = w.http(&["-H", "Host: shop.test", &format!("http://127.0.0.1:{port}/x?y=1")]).await;
    assert_eq!(got.status, 308);
    assert_eq!(got.header("location").unwrap(), format!("https://shop.test:{}/x?y=1", w.edge.https_addr.port()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_route_gets_no_certificate_and_an_honest_page() {
    let w = World::start().await;
    let got = w.https("gone.test", &["https://gone.test:PORT/"]).await;
    assert_eq!((got.exit, got.status), (35, 0), "a TLS error was expected");
    let got = w.http(&[&format!("http://gone.test.localhost:{}/", w.edge.http_addr.port())]).await;
    assert_eq!(got.status, 404);
    assert!(got.body.contains("Nothing is deployed here") && !got.body.contains("<script"));
    let got = w.https("closed.test", &["https://closed.test:PORT/"]).await;
    assert_eq!(got.status, 403);
    assert!(got.body.contains("suspended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_visitor_says_of_itself_does_not_reach_the_worker() {
    let w = World::start().await;
    let forged =
        ["cf-connecting-ip: 1.1.1.1", "x-forwarded-for: 1.1.1.1", "x-slipway-account: other", "cf-worker: x", "connection: x-secret"];
    let mut args: Vec<&str> = forged.iter().flat_map(|h| ["-H", h]).collect();
    args.extend(["--http1.1", "https://shop.test:PORT/"]);
    let seen = w.https("shop.test", &args).await.json();
    assert_eq!(seen["headers"]["cf-connecting-ip"], "127.0.0.1");
    assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
    assert!(seen["headers"].get("x-slipway-account").is_none() && seen["headers"].get("cf-worker").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_own_certificate_is_served_and_a_wrong_key_is_refused_on_start() {
    let write = |folder: &Path, key_of: usize| {
        let made: Vec<_> = (0..2).map(|_| rcgen::generate_simple_self_signed(vec!["shop.test".to_owned()]).unwrap()).collect();
        std::fs::write(folder.join("ca.pem"), made[0].cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made[key_of].signing_key.serialize_pem()).unwrap();
        Certificates::Files { chain: folder.join("ca.pem"), key: folder.join("key.pem") }
    };
    let w = World::with(|folder| write(folder, 0)).await.unwrap();
    assert_eq!(w.https("shop.test", &["https://shop.test:PORT/"]).await.status, 200);
    assert!(matches!(World::with(|folder| write(folder, 1)).await, Err(EdgeError::Certificate { .. })));
    let absent = World::with(|folder| Certificates::Files { chain: folder.join("none"), key: folder.join("none") });
    assert!(matches!(absent.await, Err(EdgeError::Certificate { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_certificate_does_not_open_this_site() {
    let w = World::start().await;
    let got = w.https("other.test", &["-H", "Host: shop.test", "https://other.test:PORT/"]).await;
    assert_eq!(got.status, 421);
    let got = w.https("other.test", &["--http1.1", "-H", "Host: shop.test", "https://other.test:PORT/"]).await;
    assert_eq!(got.status, 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn static_answers_and_worker_failures_are_told_apart() {
    let w = World::start().await;
    assert_eq!(w.https("static.test", &["https://static.test:PORT/"]).await.body, "a file");
    for (host, status, words) in [("absent.test", 502, "1101"), ("broken.test", 502, "1101"), ("heavy.test", 503, "1102")] {
        let got = w.https(host, &[&format!("https://{host}:PORT/")]).await;
        assert_eq!(got.status, status, "{host}");
        assert!(got.body.contains(words), "{host}: {}", got.body);
    }
    // The Worker reads the request and hangs up without an answer.
    let got = w.https("shop.test", &["https://shop.test:PORT/hang-up"]).await;
    assert_eq!(got.status, 502);
    assert_eq!(w.https("shop.test", &["https://shop.test:PORT/"]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_go_through_whole_in_both_directions() {
    let w = World::start().await;
    let file = w.folder.path().join("upload");
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    for flag in ["--http1.1", "--http2"] {
        let back = w.folder.path().join("download");
        let (data, out) = (format!("@{}", file.display()), back.display().to_string());
        let args = [flag, "-H", "Expect: 100-continue", "--data-binary", &data, "-o", &out, "https://shop.test:PORT/echo"];
        assert_eq!(w.https("shop.test", &args).await.exit, 0);
        assert!(std::fs::read(&back).unwrap() == bytes, "the body changed on its way with {flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_declared_or_not() {
    let w = World::start().await;
    let file = w.folder.path().join("huge");
    std::fs::File::create(&file).unwrap().set_len(100 * 1024 * 1024 + 1).unwrap();
    let path = file.display().to_string();
    let declared = w.https("shop.test", &["--http1.1", "-T", &path, "https://shop.test:PORT/drain"]).await;
    assert_eq!(declared.status, 413);
    let chunked = ["--http1.1", "-H", "Transfer-Encoding: chunked", "-T", &path, "https://shop.test:PORT/drain"];
    assert_eq!(w.https("shop.test", &chunked).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_after_a_deployment_sees_the_new_code() {
    let w = World::start().await;
    let ask = async || w.https("shop.test", &["https://shop.test:PORT/"]).await.json()["worker"].clone();
    assert_eq!(ask().await, "one");
    // The old process keeps its connections; the new one has taken the socket over.
    w.deploy("two").await;
    assert_eq!(ask().await, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_worker_are_kept_and_used_again() {
    let w = World::start().await;
    let url = "https://shop.test:PORT/";
    let got = w.https("shop.test", &[url, "-o", "/dev/null", url, "-o", "/dev/null", url]).await;
    assert_eq!(got.exit, 0);
    assert_eq!(w.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_arrives_in_parts_as_the_worker_sends_it() {
    let w = World::start().await;
    let mut stream = TcpStream::connect(w.edge.http_addr).await.unwrap();
    stream.write_all(b"GET /drip HTTP/1.1\r\nhost: shop.test.localhost\r\n\r\n").await.unwrap();
    let mut got = String::new();
    while !got.contains("first") {
        let mut buffer = [0; 1024];
        let size = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(size, 0, "{got}");
        got.push_str(&String::from_utf8_lossy(&buffer[..size]));
    }
    assert!(!got.contains("last"));
    w.drip_on();
    while !got.contains("last") {
        let mut buffer = [0; 1024];
        let size = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(size, 0, "{got}");
        got.push_str(&String::from_utf8_lossy(&buffer[..size]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_passed_through() {
    let w = World::start().await;
    let mut stream = TcpStream::connect(w.edge.http_addr).await.unwrap();
    let request = "GET /socket HTTP/1.1\r\nhost: shop.test.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.to_lowercase().contains("upgrade: websocket"), "{head}");
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"ping");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_ambiguous_requests_are_refused() {
    let w = World::start().await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n", "400"),
        ("GET http://shop.test.localhost/ HTTP/1.1\r\nhost: other.test.localhost\r\n\r\n", "400"),
        ("OPTIONS * HTTP/1.1\r\nhost: shop.test.localhost\r\n\r\n", "400"),
        ("TRACE / HTTP/1.1\r\nhost: shop.test.localhost\r\n\r\n", "405"),
        ("CONNECT shop.test:443 HTTP/1.1\r\nhost: shop.test:443\r\n\r\n", "405"),
        ("POST / HTTP/1.1\r\nhost: shop.test.localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: shop.test.localhost\r\ntransfer-encoding: chunked, gzip\r\n\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(w.edge.http_addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} got {head}");
    }
    // Length and chunks at once: the chunks count, and the length must not travel on (RFC 9112 section 6.3).
    let mut stream = TcpStream::connect(w.edge.http_addr).await.unwrap();
    let both = "POST /echo HTTP/1.1\r\nhost: shop.test.localhost\r\ncontent-length: 40\r\ntransfer-encoding: chunked\r\n\r\n\
                3\r\nabc\r\n0\r\n\r\n";
    stream.write_all(both.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_the_requests_under_way_finish() {
    let w = World::start().await;
    let mut stream = TcpStream::connect(w.edge.http_addr).await.unwrap();
    stream.write_all(b"GET /drip HTTP/1.1\r\nhost: shop.test.localhost\r\n\r\n").await.unwrap();
    read_head(&mut stream).await;
    let (addr, drip) = (w.edge.http_addr, w.drip.clone());
    let stopping = tokio::spawn(w.stop());
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
    drip.notify_one();
    let mut rest = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.contains("last"), "{rest}");
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sites_traffic_is_counted() {
    let w = World::start().await;
    for path in ["", "hang-up"] {
        w.https("shop.test", &[&format!("https://shop.test:PORT/{path}")]).await;
    }
    // A visit is counted when its last byte has left, which curl may see a moment earlier.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let count = loop {
        let count = w.edge.counts().into_iter().find(|c| &*c.script == "shop").unwrap();
        if count.failures == 1 || tokio::time::Instant::now() > deadline {
            break count;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((count.requests, count.failures), (2, 1));
    assert!(count.bytes_out > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_faster_than_the_plan_serves_is_told_when_to_come_back() {
    let w = World::start().await;
    w.edge.traffic().follow_rates(std::sync::Arc::new(|_| 1));
    let urls = ["https://shop.test:PORT/"; 20];
    let got = w.https("shop.test", &[&["-i"], &urls[..]].concat()).await;
    let head = got.body.to_lowercase();
    let (served, refused) = (head.matches("http/2 200").count(), head.matches("http/2 429").count());
    assert!(served >= 10 && refused >= 3 && served + refused == 20, "{head}");
    assert_eq!(head.matches("retry-after: 1\r").count(), refused, "{head}");
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(5), stream.read_u8()).await.expect("an answer within five seconds");
        match byte {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

impl Reply {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}
