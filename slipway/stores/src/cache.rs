//! What Workers cache: responses under their URL, in memory, an account's own. A cache may forget, and this one does at every start.
//!
//! An entry is found by account, environment, cache and the whole URL, so nobody finds what another tenant put, nor what was put for
//! another host. Nothing of it is ever served to a visitor but by the Worker that asks for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, SET_COOKIE, TRANSFER_ENCODING, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use purser_values::{Env, Timestamp};

use crate::body::{Body, Incoming, full};
use crate::limits;

const STATUS: &str = "cf-cache-status";
const NAMESPACE: &str = "cf-cache-namespace";

/// The cache of this process.
#[derive(Default)]
pub struct Cache(Mutex<Held>);

#[derive(Default)]
struct Held {
    entries: HashMap<Key, Entry>,
    /// By when they were last wanted; the first goes first.
    order: BTreeMap<u64, Key>,
    clock: u64,
    tenants: HashMap<String, Own>,
    all: usize,
}

/// What one tenant has in here: who puts much looks through its own and nobody else's.
#[derive(Default)]
struct Own {
    order: BTreeMap<u64, Key>,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    cache: String,
    url: String,
}

#[derive(Clone)]
struct Entry {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    stored_at: Timestamp,
    fresh_until: Timestamp,
    /// What the request had in the headers that the answer varies by; it is an answer to no other (RFC 9111, 4.1).
    varies: Vec<(HeaderName, Vec<HeaderValue>)>,
    wanted: u64,
    weight: usize,
}

impl Cache {
    /// Answers one request of a tenant's Worker, as a proxy's cache would.
    pub async fn answer(&self, env: &Env, tenant: &str, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let cache = parts.headers.get(NAMESPACE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let key = Key { tenant: tenant.to_owned(), cache: cache.to_owned(), url: parts.uri.to_string() };
        match parts.method.as_str() {
            "GET" | "HEAD" => self.get(&key, env.now(), &parts.headers, parts.method == Method::HEAD),
            "PUT" => match Incoming::from_body(body).whole(limits::CACHE_ENTRY_BYTES).await {
                Ok(bytes) => {
                    if let Some(entry) = parsed(&bytes, &parts.headers, env.now()) {
                        self.put(key, entry);
                    }
                    status(StatusCode::NO_CONTENT)
                }
                Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
            },
            "PURGE" => status(if self.remove(&key) { StatusCode::OK } else { StatusCode::NOT_FOUND }),
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn get(&self, key: &Key, now: Timestamp, asked: &HeaderMap, head: bool) -> Response<Body> {
        let found = {
            let mut held = self.held();
            match held.entries.get(key).map(|entry| (entry.fresh_until > now, entry.answers(asked))) {
                Some((true, true)) => held.touch(key),
                // whoever asks differently puts its own in the place
                Some((true, false)) => None,
                Some((false, _)) => {
                    held.remove(key);
                    None
                }
                None => None,
            }
        };
        let Some(entry) = found else {
            let mut miss = status(StatusCode::GATEWAY_TIMEOUT);
            miss.headers_mut().insert(STATUS, HeaderValue::from_static("MISS"));
            return miss;
        };
        let known = entry.headers.get(ETAG).zip(asked.get(IF_NONE_MATCH)).is_some_and(|(tag, wanted)| tag == wanted);
        let empty = head || known;
        let mut response = Response::new(full(if empty { Bytes::new() } else { entry.body.clone() }));
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { entry.status };
        *response.headers_mut() = entry.headers;
        let headers = response.headers_mut();
        headers.insert(STATUS, HeaderValue::from_static("HIT"));
        headers.insert(AGE, (now.micros_since(entry.stored_at) / 1_000_000).max(0).into());
        if !empty {
            headers.insert(CONTENT_LENGTH, entry.body.len().into());
        }
        response
    }

    fn put(&self, key: Key, mut entry: Entry) {
        let mut held = self.held();
        held.remove(&key);
        entry.weight =
            entry.body.len() + key.url.len() + entry.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 64).sum::<usize>() + 256;
        if entry.weight > limits::CACHE_TENANT_BYTES {
            return;
        }
        while let Some(own) = held.tenants.get(&key.tenant).filter(|own| own.bytes + entry.weight > limits::CACHE_TENANT_BYTES) {
            let Some(oldest) = own.order.values().next().cloned() else { break };
            held.remove(&oldest);
        }
        while held.all + entry.weight > limits::CACHE_BYTES {
            let Some(oldest) = held.order.values().next().cloned() else { break };
            held.remove(&oldest);
        }
        held.clock += 1;
        entry.wanted = held.clock;
        held.all += entry.weight;
        let own = held.tenants.entry(key.tenant.clone()).or_default();
        own.bytes += entry.weight;
        own.order.insert(entry.wanted, key.clone());
        held.order.insert(entry.wanted, key.clone());
        held.entries.insert(key, entry);
    }

    fn remove(&self, key: &Key) -> bool {
        self.held().remove(key)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn touch(&mut self, key: &Key) -> Option<Entry> {
        self.clock += 1;
        let (clock, entry) = (self.clock, self.entries.get_mut(key)?);
        let before = std::mem::replace(&mut entry.wanted, clock);
        let entry = entry.clone();
        self.order.remove(&before);
        self.order.insert(clock, key.clone());
        if let Some(own) = self.tenants.get_mut(&key.tenant) {
            own.order.remove(&before);
            own.order.insert(clock, key.clone());
        }
        Some(entry)
    }

    fn remove(&mut self, key: &Key) -> bool {
        let Some(entry) = self.entries.remove(key) else { return false };
        self.order.remove(&entry.wanted);
        self.all = self.all.saturating_sub(entry.weight);
        if let Some(own) = self.tenants.get_mut(&key.tenant) {
            own.bytes = own.bytes.saturating_sub(entry.weight);
            own.order.remove(&entry.wanted);
            if own.order.is_empty() {
                self.tenants.remove(&key.tenant);
            }
        }
        true
    }
}

impl Entry {
    fn answers(&self, asked: &HeaderMap) -> bool {
        self.varies.iter().all(|(name, values)| asked.get_all(name).iter().eq(values))
    }
}

/// A response to a request with these headers, as the runtime writes it down, when it may be kept.
fn parsed(bytes: &Bytes, asked: &HeaderMap, now: Timestamp) -> Option<Entry> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse::<StatusCode>().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    let named: String = headers.get_all(VARY).iter().filter_map(|v| v.to_str().ok()).collect::<Vec<_>>().join(",");
    let named = named.split(',').map(str::trim).filter(|name| !name.is_empty());
    // what varies by everything answers no second request; nor does what varies by no header's name
    let names: Option<Vec<HeaderName>> = named.map(|name| if name == "*" { None } else { name.parse().ok() }).collect();
    let names = names?;
    let varies = names.into_iter().map(|name| (name.clone(), asked.get_all(&name).iter().cloned().collect())).collect();
    let keepable = status != StatusCode::PARTIAL_CONTENT && !headers.contains_key(SET_COOKIE);
    let body =
        if headers.get(TRANSFER_ENCODING).is_some_and(|v| v == "chunked") { unchunked(&bytes[end + 4..])? } else { bytes.slice(end + 4..) };
    let life_s = if keepable { life(status, &headers)? } else { return None };
    headers.remove(TRANSFER_ENCODING);
    Some(Entry { status, headers, body, stored_at: now, fresh_until: now.plus_secs(life_s), varies, wanted: 0, weight: 0 })
}

/// How long a response stays fresh, in seconds; nothing when it may not be kept (RFC 9111, 5.2.2).
fn life(status: StatusCode, headers: &HeaderMap) -> Option<i64> {
    let said: String =
        headers.get_all(CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok()).collect::<Vec<_>>().join(",").to_ascii_lowercase();
    let words = said.split(',').map(str::trim);
    if words.clone().any(|word| matches!(word, "no-store" | "private" | "no-cache") || word.starts_with("private=")) {
        return None;
    }
    let age = |name: &str| words.clone().find_map(|word| word.strip_prefix(name)?.trim_matches('"').parse::<i64>().ok());
    let named = age("s-maxage=").or_else(|| age("max-age="));
    let life = match (named, headers.contains_key(EXPIRES)) {
        (Some(age), _) => age,
        // dates are the sender's clock; a minute is better than a guess
        (None, true) => 60,
        (None, false) => match status.as_u16() {
            200 | 301 => 7_200,
            302 | 303 => 1_200,
            404 | 410 => 180,
            _ => return None,
        },
    };
    (life > 0).then(|| life.min(limits::CACHE_LIFE_S))
}

fn unchunked(mut rest: &[u8]) -> Option<Bytes> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body.into());
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use purser_db::testing::START;

    use super::*;

    async fn ask(cache: &Cache, env: &Env, tenant: &str, method: &str, url: &str, body: &str) -> (u16, String) {
        let body: Body = Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
        let request = Request::builder().method(method).uri(url).body(body).unwrap();
        let answer = cache.answer(env, tenant, request).await;
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_is_put_is_found_by_its_own_tenant_under_its_own_url_while_it_is_fresh() {
        let (cache, (env, clock)) = (Cache::default(), Env::test(START, 1));
        let response = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\n\r\nhello";
        assert_eq!(ask(&cache, &env, "one", "PUT", "http://a.test/x", response).await.0, 204);
        assert_eq!(ask(&cache, &env, "one", "GET", "http://a.test/x", "").await, (200, "hello".to_owned()));
        for (tenant, url) in [("two", "http://a.test/x"), ("one", "http://b.test/x"), ("one", "http://a.test/y")] {
            assert_eq!(ask(&cache, &env, tenant, "GET", url, "").await.0, 504, "{tenant} {url}");
        }
        clock.advance_secs(61);
        assert_eq!(ask(&cache, &env, "one", "GET", "http://a.test/x", "").await.0, 504);
        ask(&cache, &env, "one", "PUT", "http://a.test/x", response).await;
        assert_eq!(ask(&cache, &env, "one", "PURGE", "http://a.test/x", "").await.0, 200);
        assert_eq!(ask(&cache, &env, "one", "PURGE", "http://a.test/x", "").await.0, 404);
    }

    #[tokio::test]
    async fn what_may_not_be_kept_is_not_and_one_tenant_takes_only_its_own_room() {
        let (cache, (env, _)) = (Cache::default(), Env::test(START, 1));
        for bad in
            ["Cache-Control: no-store", "Cache-Control: private, max-age=9", "Set-Cookie: a=b", "Vary: *", "Cache-Control: max-age=0"]
        {
            ask(&cache, &env, "one", "PUT", "http://a.test/x", &format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\nx")).await;
            assert_eq!(ask(&cache, &env, "one", "GET", "http://a.test/x", "").await.0, 504, "{bad}");
        }
        ask(&cache, &env, "two", "PUT", "http://b.test/", "HTTP/1.1 200 OK\r\n\r\nstays").await;
        let big = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(4_000_000));
        for n in 0..20 {
            ask(&cache, &env, "one", "PUT", &format!("http://a.test/{n}"), &big).await;
        }
        assert_eq!(ask(&cache, &env, "one", "GET", "http://a.test/0", "").await.0, 504, "the oldest went");
        assert_eq!(ask(&cache, &env, "one", "GET", "http://a.test/19", "").await.0, 200);
        assert_eq!(ask(&cache, &env, "two", "GET", "http://b.test/", "").await.1, "stays");
        assert!(cache.held().tenants["one"].bytes <= limits::CACHE_TENANT_BYTES);
        let held = cache.held();
        let own: usize = held.tenants.values().map(|own| own.order.len()).sum();
        assert_eq!((own, held.order.len()), (held.entries.len(), held.entries.len()));
    }

    #[tokio::test]
    async fn what_varies_answers_only_who_asks_as_the_first_did() {
        let (cache, (env, _)) = (Cache::default(), Env::test(START, 1));
        let request = |method: &str, language: Option<&str>, body: &'static str| {
            let body: Body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
            let request = Request::builder().method(method).uri("http://a.test/x");
            language.into_iter().fold(request, |request, said| request.header("accept-language", said)).body(body).unwrap()
        };
        let german = "HTTP/1.1 200 OK\r\nVary: Accept-Language, Origin\r\n\r\nhallo";
        cache.answer(&env, "one", request("PUT", Some("de"), german)).await;
        for (language, expected) in [(Some("de"), 200), (Some("en"), 504), (None, 504), (Some("de"), 200)] {
            assert_eq!(cache.answer(&env, "one", request("GET", language, "")).await.status().as_u16(), expected, "{language:?}");
        }
    }
}
