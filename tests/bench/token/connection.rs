//! One kept connection that speaks as much HTTP/1.1 as a token endpoint needs, so that the generator costs little of the machine that
//! it shares with the servers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
    host: String,
    path: String,
}

impl Connection {
    /// To the server of an absolute `http` URL on this machine.
    pub async fn open(url: &str) -> Self {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let port: u16 = host.split(':').nth(1).unwrap().parse().unwrap();
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(16_384),
            request: Vec::with_capacity(4_096),
            host: host.to_owned(),
            path: format!("/{path}"),
        }
    }

    /// Posts a form and answers the body.
    pub async fn post(&mut self, headers: &[(&str, &str)], body: &str) -> &[u8] {
        self.form(headers, body);
        self.ask().await
    }

    /// The next request is a form.
    pub fn form(&mut self, headers: &[(&str, &str)], body: &str) {
        self.body("application/x-www-form-urlencoded", headers, body);
    }

    /// The next request has this body.
    pub fn body(&mut self, content_type: &str, headers: &[(&str, &str)], body: &str) {
        use std::io::Write as _;
        self.request.clear();
        write!(self.request, "POST {} HTTP/1.1\r\nhost: {}\r\n", self.path, self.host).unwrap();
        for (name, value) in headers {
            write!(self.request, "{name}: {value}\r\n").unwrap();
        }
        write!(self.request, "content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }

    /// The next request is for what lies at the address.
    pub fn get(&mut self) {
        use std::io::Write as _;
        self.request.clear();
        write!(self.request, "GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", self.path, self.host).unwrap();
    }

    /// Sends the request, which may be the same again, and answers the body; everything but 200 is the end.
    pub async fn ask(&mut self) -> &[u8] {
        self.stream.write_all(&self.request).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed the connection");
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            let until = end + 4 + length.expect("an answer says its length");
            if self.buffer.len() >= until {
                assert!(head.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
                return &self.buffer[end + 4..until];
            }
        }
    }
}
