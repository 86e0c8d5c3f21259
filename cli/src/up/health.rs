//! Whether a half answers, and what it complains of.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 16 * 1024;
const GOOD: &str = "HTTP/1.1 200";

/// Asks `GET /health` once.
pub(super) async fn answers(port: u16) -> bool {
    let head = async {
        let mut stream = ask(port).await?;
        let mut head = [0_u8; GOOD.len()];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head)
    };
    tokio::time::timeout(PATIENCE, head).await.is_ok_and(|answer| answer.is_ok_and(|head| head == GOOD.as_bytes()))
}

/// What the cloud cannot do on this machine, in words for its owner.
pub(super) async fn complaint(port: u16) -> Option<String> {
    let answer = tokio::time::timeout(PATIENCE, whole(port)).await.ok()?.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with(GOOD))?;
    let facts: Value = serde_json::from_str(body).ok()?;
    match facts.get("workers")?.as_str()? {
        "jailed" => None,
        "unconfined" => Some("Workers run without a jail: run no code that you do not trust".to_owned()),
        _ => Some("Workers do not run on this machine, static sites do; `logs/slipway.log` in the data folder says why".to_owned()),
    }
}

async fn ask(port: u16) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn whole(port: u16) -> std::io::Result<String> {
    let mut answer = String::new();
    ask(port).await?.take(ANSWER_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn complaint_of(answer: &'static str) -> Option<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0_u8; 512];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let complaint = complaint(port).await;
        server.await.unwrap();
        complaint
    }

    #[tokio::test]
    async fn a_cloud_that_cannot_run_code_is_not_passed_over_in_silence() {
        assert_eq!(complaint_of("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"workers\":\"jailed\"}").await, None);
        let bad = complaint_of("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"workers\":\"unavailable\"}").await.unwrap();
        assert!(bad.starts_with("Workers do not run"), "{bad}");
        let open = complaint_of("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"workers\":\"unconfined\"}").await.unwrap();
        assert!(open.contains("without a jail"), "{open}");
        assert_eq!(complaint_of("HTTP/1.1 500 No\r\n\r\n{}").await, None);
    }
}
