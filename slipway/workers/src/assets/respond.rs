//! Answers a request from an asset set.

use std::io;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};

use super::redirects::{Moved, moved};
use super::resolve::Found;
use super::{AssetSet, rules};
use crate::blobs::Blobs;

/// The body of a static file.
pub type AssetBody = UnsyncBoxBody<Bytes, io::Error>;

/// Files up to this size are sent from memory in one piece.
const WHOLE_BYTES: u64 = 64 * 1024;

impl AssetSet {
    /// The answer of a rule, a file, a redirect or (with `fallback`) of the not-found handling; nothing when no file is meant.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn respond(
        &self,
        blobs: &Blobs,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        fallback: bool,
    ) -> io::Result<Option<Response<AssetBody>>> {
        let host = host(uri, headers);
        let path = match moved(&self.config.redirects, &host, uri.path(), uri.query()) {
            Some(Moved::To { status, location }) => return Ok(Some(moved_to(status, location))),
            Some(Moved::Rewritten(path)) => path.split(['?', '#']).next().unwrap_or_default().to_owned(),
            None => uri.path().to_owned(),
        };
        let mut answer = self.serve(blobs, method, &path, uri.query(), headers, fallback).await?;
        if let Some(answer) = &mut answer {
            rules::apply(&self.config.headers, &host, uri.path(), answer.headers_mut());
        }
        Ok(answer)
    }

    async fn serve(
        &self,
        blobs: &Blobs,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        fallback: bool,
    ) -> io::Result<Option<Response<AssetBody>>> {
        let reading = matches!(*method, Method::GET | Method::HEAD);
        let Some(path) = decoded(path) else { return Ok(None) };
        let base = &self.config.base_path;
        let Some(path) = path.strip_prefix(base.as_str()).filter(|rest| rest.starts_with('/')).map(str::to_owned) else { return Ok(None) };
        let (name, status) = match self.find(&path) {
            Found::File(name) => (name, 200),
            Found::Redirect(to) if reading => return Ok(Some(redirect(&format!("{base}{to}"), query))),
            Found::Redirect(to) => match self.find(&to) {
                Found::File(name) => (name, 200),
                _ => return Ok(None),
            },
            Found::Nothing => match self.fallback(&path).filter(|_| fallback && reading) {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        if !reading {
            return Ok(fallback.then(not_allowed));
        }
        self.file(blobs, name, status, method, headers).await.map(Some)
    }

    async fn file(&self, blobs: &Blobs, name: &str, status: u16, method: &Method, headers: &HeaderMap) -> io::Result<Response<AssetBody>> {
        let Some(asset) = self.files.get(name) else { return Err(io::ErrorKind::NotFound.into()) };
        let etag = format!("\"{}\"", asset.sha256);
        let mut response = Response::new(nothing());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
        if let Ok(value) = HeaderValue::try_from(&etag) {
            response.headers_mut().insert(ETAG, value);
        }
        if status == 200 && matches_any(headers, &etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        if let Some(value) = asset.content_type.as_deref().and_then(|t| HeaderValue::try_from(t).ok()) {
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(asset.bytes));
        if *method == Method::HEAD {
            return Ok(response);
        }
        *response.body_mut() = if asset.bytes <= WHOLE_BYTES {
            Full::new(blobs.get(&asset.sha256).await?).map_err(|never| match never {}).boxed_unsync()
        } else {
            let chunks = tokio_util::io::ReaderStream::with_capacity(blobs.open_file(&asset.sha256).await?, 64 * 1024);
            StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync()
        };
        Ok(response)
    }
}

/// The answer where neither a file nor a Worker is.
#[must_use]
pub fn not_found() -> Response<AssetBody> {
    let mut response = Response::new(nothing());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// The answer to a method that files do not have.
#[must_use]
pub fn not_allowed() -> Response<AssetBody> {
    let mut response = not_found();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

pub(crate) fn nothing() -> AssetBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn redirect(to: &str, query: Option<&str>) -> Response<AssetBody> {
    let mut location = encoded(to);
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    moved_to(StatusCode::TEMPORARY_REDIRECT.as_u16(), location)
}

/// The name that the client asked for, without its port.
fn host(uri: &Uri, headers: &HeaderMap) -> String {
    let said = uri.host().or_else(|| headers.get(HOST).and_then(|v| v.to_str().ok())).unwrap_or_default();
    said.rsplit_once(':').map_or(said, |(name, _)| name).to_ascii_lowercase()
}

fn moved_to(status: u16, location: String) -> Response<AssetBody> {
    let mut response = not_found();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    if let Ok(value) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

fn matches_any(headers: &HeaderMap, etag: &str) -> bool {
    let listed = headers.get_all(IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    listed.flat_map(|v| v.split(',')).map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn decoded(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn encoded(path: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&b);
    path.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Asset, AssetConfig, NotFoundHandling};
    use super::*;
    use purser_values::{Env, Sha256Digest};

    async fn world(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Blobs, AssetSet) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let mut set = AssetSet::default();
        for (name, bytes) in files {
            let sha256 = Sha256Digest::of(bytes);
            blobs.put_all(&Env::system(), vec![(sha256, Bytes::copy_from_slice(bytes))]).await.unwrap();
            let asset = Asset { sha256, bytes: bytes.len() as u64, content_type: Some("text/html; charset=utf-8".into()) };
            set.files.insert((*name).to_owned(), asset);
        }
        (folder, blobs, set)
    }

    async fn get(set: &AssetSet, blobs: &Blobs, uri: &str, headers: HeaderMap) -> Option<(u16, HeaderMap, Bytes)> {
        let answer = set.respond(blobs, &Method::GET, &uri.parse().unwrap(), &headers, true).await.unwrap()?;
        let (parts, body) = answer.into_parts();
        Some((parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes()))
    }

    #[tokio::test]
    async fn a_file_is_sent_once_and_then_only_confirmed() {
        let big = vec![7_u8; 300_000];
        let (_folder, blobs, set) = world(&[("/index.html", b"hello"), ("/big.bin", &big)]).await;
        let (status, headers, body) = get(&set, &blobs, "/", HeaderMap::new()).await.unwrap();
        assert_eq!((status, &body[..], headers[CONTENT_TYPE].as_bytes()), (200, &b"hello"[..], &b"text/html; charset=utf-8"[..]));
        let again = HeaderMap::from_iter([(IF_NONE_MATCH, headers[ETAG].clone())]);
        assert_eq!(get(&set, &blobs, "/", again).await.unwrap().0, 304);
        assert_eq!(get(&set, &blobs, "/big.bin", HeaderMap::new()).await.unwrap().2.len(), 300_000);
    }

    #[tokio::test]
    async fn names_are_decoded_and_redirects_encoded() {
        let (_folder, blobs, set) = world(&[("/ä b.html", b"x")]).await;
        assert_eq!(get(&set, &blobs, "/%C3%A4%20b", HeaderMap::new()).await.unwrap().0, 200);
        let (status, headers, _) = get(&set, &blobs, "/%C3%A4%20b.html?q=1", HeaderMap::new()).await.unwrap();
        assert_eq!((status, headers[LOCATION].as_bytes()), (307, &b"/%C3%A4%20b?q=1"[..]));
        assert!(get(&set, &blobs, "/%zz", HeaderMap::new()).await.is_none());
    }

    #[tokio::test]
    async fn the_not_found_page_answers_with_404_and_other_methods_with_405() {
        let (_folder, blobs, mut set) = world(&[("/404.html", b"gone"), ("/a.txt", b"a")]).await;
        set.config = AssetConfig { not_found_handling: NotFoundHandling::NotFoundPage, ..AssetConfig::default() };
        let (status, _, body) = get(&set, &blobs, "/nope", HeaderMap::new()).await.unwrap();
        assert_eq!((status, &body[..]), (404, &b"gone"[..]));
        let posted = set.respond(&blobs, &Method::POST, &"/a.txt".parse().unwrap(), &HeaderMap::new(), true).await.unwrap();
        assert_eq!(posted.unwrap().status(), 405);
    }
}
