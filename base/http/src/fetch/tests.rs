//! The list of attacks, and what a fetch does with a peer that lies.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every connection with the same bytes and then holds it open.
async fn peer(answer: Vec<u8>) -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0_u8; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.read(&mut buffer).await;
            });
        }
    });
    format!("127.0.0.1:{port}").parse().unwrap()
}

async fn fetch(origin: &Origin, limits: FetchLimits) -> Result<Fetched, FetchError> {
    let fetcher = Fetcher::new(vec![origin.clone()]).unwrap();
    let url = Url::parse(&format!("http://{origin}/")).unwrap();
    fetcher.send(Method::GET, &url, HeaderMap::new(), Bytes::new(), limits).await
}

#[tokio::test]
async fn every_way_inside_is_refused() {
    let fetcher = Fetcher::new(vec!["127.0.0.1:9".parse().unwrap()]).unwrap();
    for url in [
        "http://example.com/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:70/_x",
        "https://127.0.0.1/",
        "https://127.0.0.1:10/",
        "http://127.0.0.1:10/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://100.100.100.200/",
        "https://192.0.0.192/",
        "https://198.18.0.1/",
        "https://203.0.113.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        "https://[2001:db8::1]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST:8443/",
        "https://x.localhost/",
        "https://user@example.com/",
        "https://user:pass@127.0.0.1:9/",
        "https://127.0.0.1:9@evil.example/",
    ] {
        let error = fetcher.get(&Url::parse(url).unwrap(), HeaderMap::new()).await.unwrap_err();
        assert!(matches!(error, FetchError::Forbidden { .. }), "{url}: {error}");
    }
}

#[test]
fn public_addresses_are_public() {
    for ip in ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn the_machine_itself_is_known_in_every_spelling() {
    for (origin, expected) in [
        ("localhost:80", true),
        ("LOCALHOST.:80", true),
        ("a.localhost:80", true),
        ("127.0.0.1:80", true),
        ("127.1:80", true),
        ("127.255.255.254:80", true),
        ("2130706433:80", true),
        ("0x7f000001:80", true),
        ("0177.0.0.1:80", true),
        ("0:80", true),
        ("0.0.0.0:80", true),
        ("[::1]:80", true),
        ("[::]:80", true),
        ("[::ffff:127.0.0.1]:80", true),
        ("[::ffff:7f00:1]:80", true),
        ("[::127.0.0.1]:80", true),
        ("10.0.0.1:80", false),
        ("[fd00::1]:80", false),
        ("[::ffff:10.0.0.1]:80", false),
        ("provider.internal:443", false),
        ("notlocalhost:80", false),
    ] {
        assert_eq!(origin.parse::<Origin>().unwrap().is_this_machine(), expected, "{origin}");
    }
}

#[tokio::test]
async fn an_allowed_origin_is_fetched_and_its_neighbour_is_not() {
    let origin = peer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    assert_eq!(fetch(&origin, FetchLimits::default()).await.unwrap().body, "ok");
    let fetcher = Fetcher::new(vec!["127.0.0.1:1".parse().unwrap()]).unwrap();
    let url = Url::parse(&format!("http://{origin}/")).unwrap();
    assert!(matches!(fetcher.get(&url, HeaderMap::new()).await, Err(FetchError::Forbidden { .. })));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let origin = peer(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    assert_eq!(fetch(&origin, FetchLimits::default()).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut_off_with_and_without_a_length() {
    let small = FetchLimits { body_bytes: 10, ..FetchLimits::default() };
    let declared = peer(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n12345678901".to_vec()).await;
    assert!(matches!(fetch(&declared, small).await, Err(FetchError::TooLarge { .. })));
    let streamed = peer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n".to_vec()).await;
    assert!(matches!(fetch(&streamed, small).await, Err(FetchError::TooLarge { .. })));
}

#[tokio::test]
async fn a_compressed_body_is_not_inflated_so_that_a_small_one_cannot_become_a_large_one() {
    let small = FetchLimits { body_bytes: 10, ..FetchLimits::default() };
    let packed = peer(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\0".to_vec()).await;
    assert_eq!(fetch(&packed, small).await.unwrap().body.len(), 10);
}

#[tokio::test]
async fn a_peer_that_says_nothing_or_stops_in_the_middle_is_a_timeout() {
    let short = FetchLimits { timeout: Duration::from_millis(100), ..FetchLimits::default() };
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        let origin = peer(answer.to_vec()).await;
        assert!(matches!(fetch(&origin, short).await, Err(FetchError::Timeout { .. })));
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_network_error_without_the_path() {
    let fetcher = Fetcher::new(vec!["127.0.0.1:1".parse().unwrap()]).unwrap();
    let error = fetcher.get(&Url::parse("http://127.0.0.1:1/x?code=hunter2").unwrap(), HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, FetchError::Network { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}
