//! The least browser that can play a person on our own pages: plain HTTP on the loopback address, cookies, redirects
//! and forms. It sends what a real one sends with a form, so that the server's checks are met, not circumvented.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::form::Form;
use crate::fail::{Context, Failure, Outcome};

const MAX_REDIRECTS: u32 = 10;
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Browser {
    /// `http://localhost:PORT`, the only place this browser goes to.
    origin: String,
    cookies: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Page {
    pub url: String,
    pub status: u16,
    pub body: String,
}

impl Browser {
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.trim_end_matches('/').to_owned(), cookies: Vec::new() }
    }

    pub fn open(&mut self, url: &str) -> Outcome<Page> {
        self.follow("GET", url, None)
    }

    /// Presses a button of a form that stands on `page`.
    pub fn press(&mut self, page: &Page, form: &Form, button: Option<&(String, String)>) -> Outcome<Page> {
        let action = if form.action.is_empty() { page.url.clone() } else { self.absolute(&form.action) };
        self.follow("POST", &action, Some(&form.body(button)))
    }

    fn follow(&mut self, method: &str, url: &str, body: Option<&str>) -> Outcome<Page> {
        let mut url = self.absolute(url);
        let mut answer = self.exchange(method, &url, body)?;
        for _ in 0..MAX_REDIRECTS {
            let Some(location) = answer.header("location").filter(|_| (300..400).contains(&answer.status)) else {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                return Ok(Page { url, status: answer.status, body });
            };
            url = self.absolute(&location);
            answer = self.exchange("GET", &url, None)?;
        }
        Err(Failure::new(format!("`{url}` redirects without end")))
    }

    fn absolute(&self, target: &str) -> String {
        if target.contains("://") { target.to_owned() } else { format!("{}/{}", self.origin, target.trim_start_matches('/')) }
    }

    fn exchange(&mut self, method: &str, url: &str, body: Option<&str>) -> Outcome<Answer> {
        let path = url
            .strip_prefix(&self.origin)
            .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            .ok_or_else(|| Failure::new(format!("the pages lead to `{url}`, outside `{}`", self.origin)))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let host = self.origin.trim_start_matches("http://");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: text/html\r\n");
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if let Some(body) = body {
            head += &format!("Origin: {}\r\nSec-Fetch-Site: same-origin\r\n", self.origin);
            head += &format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len());
        }
        let doing = || format!("{method} {url}");
        let mut stream = TcpStream::connect(host).context(doing)?;
        stream.set_read_timeout(Some(TIMEOUT)).context(doing)?;
        stream.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes()).context(doing)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).context(doing)?;
        let answer = Answer::parse(&bytes).ok_or_else(|| Failure::new(format!("{}: the answer is not HTTP", doing())))?;
        self.keep_cookies(&answer);
        Ok(answer)
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            self.cookies.retain(|(known, _)| known != name.trim());
            if !line.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: Vec::new() };
        let rest = &bytes[end + 4..];
        answer.body = if answer.header("transfer-encoding").is_some_and(|it| it == "chunked") { joined(rest)? } else { rest.to_vec() };
        Some(answer)
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

/// The body that was sent in chunks.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers each connection with the next of `answers` and gives back what was asked.
    fn serve(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let handle = thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut buffer = [0_u8; 4096];
                while !is_whole(&request) {
                    let read = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..read]);
                }
                asked.push(String::from_utf8(request).unwrap());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (origin, handle)
    }

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |it| it.parse().unwrap());
        body.len() >= length
    }

    #[test]
    fn a_form_is_sent_with_the_cookies_that_the_page_set() {
        let form = "<form action=\"/next\"><input type=hidden name=csrf value=x><button name=decision value=accept></button></form>";
        let (origin, server) = serve(vec![
            "HTTP/1.1 303 See Other\r\nLocation: /page\r\nSet-Cookie: s=1; HttpOnly\r\nContent-Length: 0\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n", form.len()),
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_owned(),
        ]);
        let mut browser = Browser::new(&origin);
        let page = browser.open("/").unwrap();
        assert_eq!((page.status, page.url.as_str()), (200, format!("{origin}/page").as_str()));
        let form = Form::all(&page.body).remove(0);
        assert_eq!(browser.press(&page, &form, form.button("accept")).unwrap().body, "done");
        let asked = server.join().unwrap();
        assert!(asked[2].starts_with("POST /next ") && asked[2].contains("Cookie: s=1\r\n"), "{}", asked[2]);
        assert!(asked[2].contains(&format!("Origin: {origin}\r\n")) && asked[2].ends_with("csrf=x&decision=accept"), "{}", asked[2]);
    }

    #[test]
    fn a_redirect_to_another_place_is_not_followed() {
        let (origin, _server) = serve(vec!["HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\n\r\n".to_owned()]);
        assert!(Browser::new(&origin).open("/").unwrap_err().to_string().contains("outside"));
    }
}
