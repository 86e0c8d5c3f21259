//! One HTTP exchange with the provider under test, with exactly the faults that a check wants, and the memory of what came back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use purser_http::{FetchLimits, Fetcher};
use purser_values::{Secret, Timestamp};
use purser_wire::error::{Envelope, ErrorBody};
use purser_wire::header as names;
use purser_wire::signature::{hmac, v2};
use serde_json::Value;
use url::Url;

use crate::options::Options;

/// How a request is signed.
#[derive(Clone, Debug, Default)]
pub enum Signing {
    #[default]
    Good,
    None,
    WrongSecret,
    OverBody(&'static [u8]),
    SecondsFromNow(i64),
    Header(String),
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub body: Vec<u8>,
    pub form: bool,
    pub signing: Signing,
    pub version: Option<&'static str>,
    pub v2: Option<&'static str>,
    pub bearer: Option<Secret<String>>,
    pub key: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Answer {
    pub fn error_code(&self) -> String {
        ErrorBody::find(&self.json).map(|(_, error)| error.code).unwrap_or_default()
    }

    /// Whether the provider said no, with whatever status.
    pub fn refused(&self) -> bool {
        self.status < 500 && (self.status >= 400 || ErrorBody::find(&self.json).is_some())
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Status and code, for evidence; never a value.
    pub fn brief(&self) -> String {
        match self.error_code() {
            code if code.is_empty() => format!("status {}", self.status),
            code => format!("status {} `{code}`", self.status),
        }
    }
}

pub type Exchange = Result<Answer, String>;

/// What is remembered about all error answers of a run, for the checks that concern all of them.
#[derive(Debug, Default)]
pub struct Memory {
    /// Things that must never be repeated to us in an error.
    pub secrets: Vec<Secret<String>>,
    pub leaks: Vec<String>,
    pub envelopes: Vec<(String, Option<Envelope>)>,
}

#[derive(Debug)]
pub struct Probe {
    pub fetcher: Fetcher,
    pub options: Options,
    pub memory: Memory,
}

impl Probe {
    pub fn request(&self, method: Method, path: &str) -> Request {
        let mut url = self.options.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("provisioning").extend(path.split('/'));
        }
        Request {
            method,
            url,
            body: Vec::new(),
            form: false,
            signing: Signing::Good,
            version: Some(purser_wire::VERSION),
            v2: None,
            bearer: None,
            key: None,
        }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Request {
        Request { body: body.to_string().into_bytes(), ..self.request(Method::POST, path) }
    }

    /// One exchange; a 429 is waited out once, when it asks for no more than our patience.
    pub async fn send(&mut self, request: &Request) -> Exchange {
        let answer = self.exchange(request).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        let wait = answer.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
        match wait {
            Some(seconds) if seconds <= self.options.patience_s => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                self.exchange(request).await
            }
            Some(seconds) => Err(format!("rate limited for {seconds} s")),
            None => Err("rate limited without `Retry-After`".to_owned()),
        }
    }

    /// Two exchanges at the same time.
    pub async fn send_both(&mut self, first: &Request, second: &Request) -> (Exchange, Exchange) {
        let (a, b) = tokio::join!(self.raw(first), self.raw(second));
        (a.inspect(|a| self.memory.note(first, a)), b.inspect(|b| self.memory.note(second, b)))
    }

    async fn exchange(&mut self, request: &Request) -> Exchange {
        let answer = self.raw(request).await?;
        self.memory.note(request, &answer);
        Ok(answer)
    }

    async fn raw(&self, request: &Request) -> Exchange {
        let headers = self.headers(request)?;
        let limits = FetchLimits::default();
        let body = Bytes::from(request.body.clone());
        let fetched = self.fetcher.send(request.method.clone(), &request.url, headers, body, limits).await;
        let fetched = fetched.map_err(|e| e.to_string())?;
        let json = serde_json::from_slice(&fetched.body).unwrap_or_default();
        Ok(Answer { status: fetched.status.as_u16(), headers: fetched.headers, json })
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, String> {
        let now = self.options.env.now();
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).map_err(|_| format!("the header `{name}` cannot be sent"))?;
            headers.insert(HeaderName::from_static(name), value);
            Ok::<_, String>(())
        };
        if let Some(signature) = self.signature(request, now) {
            put(names::SIGNATURE, &signature)?;
        }
        match (request.v2, &self.options.attestor) {
            (Some(garbage), _) => put(names::SIGNATURE_V2, garbage)?,
            (None, Some(attestor)) if !matches!(request.signing, Signing::None) => {
                let signed = v2::Request { method: request.method.as_str(), url: request.url.as_str(), body: &request.body };
                let token = v2::sign(&attestor.key, signed, &self.options.env).map_err(|e| e.to_string())?;
                put(names::SIGNATURE_V2, &token)?;
            }
            _ => {}
        }
        if let Some(version) = request.version {
            put(names::API_VERSION, version)?;
        }
        if request.form {
            put("content-type", "application/x-www-form-urlencoded")?;
        } else if request.method == Method::POST {
            put("content-type", "application/json")?;
        }
        if let Some(bearer) = &request.bearer {
            put("authorization", &format!("Bearer {}", bearer.expose()))?;
        }
        if let Some(key) = &request.key {
            put(names::IDEMPOTENCY_KEY, key)?;
        }
        Ok(headers)
    }

    fn signature(&self, request: &Request, now: Timestamp) -> Option<String> {
        let secret = &self.options.secret;
        match &request.signing {
            Signing::Good => Some(hmac::sign(secret, &request.body, now)),
            Signing::None => None,
            Signing::WrongSecret => Some(hmac::sign(&Secret::new("not-the-secret".to_owned()), &request.body, now)),
            Signing::OverBody(other) => Some(hmac::sign(secret, other, now)),
            Signing::SecondsFromNow(seconds) => Some(hmac::sign(secret, &request.body, now.plus_secs(*seconds))),
            Signing::Header(text) => Some(text.clone()),
        }
    }
}

impl Memory {
    fn note(&mut self, request: &Request, answer: &Answer) {
        let what = format!("{} {}", request.method, request.url.path());
        let found = ErrorBody::find(&answer.json);
        if answer.status < 400 && found.is_none() {
            return;
        }
        if let Some((_, error)) = &found {
            let repeats = |secret: &Secret<String>| secret.expose().len() >= 8 && error.message.contains(secret.expose().as_str());
            if self.secrets.iter().any(repeats) {
                self.leaks.push(what.clone());
            }
        }
        self.envelopes.push((what, found.map(|(envelope, _)| envelope)));
    }
}
