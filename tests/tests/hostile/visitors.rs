//! Visitors who mean harm: what is hostile about them is not the code but the request.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::neighbour::Neighbour;
use crate::support::World;
use crate::{Edge, SECRET};

/// Most of an answer that is read.
const ENOUGH: u64 = 1 << 20;

/// One request; `Err` when the answer breaks off before its head is there, or takes longer than `patience`.
pub async fn get(edge: Edge, host: &str, path: &str, patience: Duration) -> Result<(u16, String), String> {
    let port = edge.port();
    raw(edge, &format!("GET {path} HTTP/1.1\r\nHost: {host}.localhost:{port}\r\nConnection: close\r\n\r\n"), patience).await
}

pub async fn raw(edge: Edge, request: &str, patience: Duration) -> Result<(u16, String), String> {
    let text = said(edge, request, patience).await?;
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no HTTP: `{text}`"))?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if chunked { unchunk(body) } else { body.to_owned() }))
}

/// All that comes back.
async fn said(edge: Edge, request: &str, patience: Duration) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(edge).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let _ = (&mut stream).take(ENOUGH).read_to_end(&mut answer).await;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(patience, exchange).await.map_err(|_| "no end".to_owned())?.map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size + 2 || !rest.is_char_boundary(size) {
            break;
        }
        out.push_str(&rest[..size]);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    out
}

/// Requests that two readers could understand differently, that name two hosts, or that never end. Says which were taken.
pub async fn all(world: &World, neighbour: &Neighbour) -> Vec<String> {
    let edge = world.edge_http;
    let host = format!("{}.localhost:{}", neighbour.host, edge.port());
    let smuggled = [
        ("two lengths", format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")),
        (
            "chunks spelt oddly",
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n0\r\n\r\n"),
        ),
        ("two hosts", format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: other.test\r\nConnection: close\r\n\r\n")),
        ("another host in the target", format!("GET http://other.test/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")),
        ("a space before the colon", format!("GET / HTTP/1.1\r\nHost : {host}\r\nConnection: close\r\n\r\n")),
        ("a folded field", format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-A: a\r\n b\r\nConnection: close\r\n\r\n")),
        ("a bare line feed", format!("GET / HTTP/1.1\r\nHost: {host}\nX: y\r\nTransfer-Encoding\r\n: chunked\r\n\r\n")),
        ("a proxy's method", format!("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")),
    ];
    let mut wrong = Vec::new();
    for (what, request) in smuggled {
        let got = raw(edge, &request, Duration::from_secs(5)).await;
        let text = format!("{got:?}");
        if text.contains(SECRET) || matches!(got, Ok((status, _)) if status < 400) {
            wrong.push(format!("visitor/{what}: {text}"));
        }
    }
    // A length beside chunks is no length (RFC 9112, section 6.1): what follows the last chunk is no request that somebody else asked.
    let both = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
    );
    let got = format!("{:?}", said(edge, &both, Duration::from_secs(5)).await);
    if got.matches("HTTP/1.").count() != 1 || got.contains(SECRET) {
        wrong.push(format!("visitor/length and chunks: {got}"));
    }
    for path in ["/../../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\etc\\passwd", "//etc/passwd"]
    {
        let got = get(edge, &neighbour.host, path, Duration::from_secs(5)).await;
        if format!("{got:?}").contains("root:") {
            wrong.push(format!("visitor/path {path}: {got:?}"));
        }
    }
    // A hundred who begin and never finish.
    let mut slow = Vec::new();
    for _ in 0..100 {
        if let Ok(mut stream) = TcpStream::connect(edge).await {
            let _ = stream.write_all(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\nx").as_bytes()).await;
            slow.push(stream);
        }
    }
    let still = get(edge, &neighbour.host, "/", Duration::from_secs(5)).await;
    if !matches!(still, Ok((200, _))) {
        wrong.push(format!("visitor/slow bodies: the neighbour answers {still:?}"));
    }
    wrong
}
