//! The provider's own deployment API, as far as a deployment needs it: Cloudflare's API v4.
//!
//! Every call goes through the guarded fetcher. The address comes from the provider's manifest and the token from the vault.

use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use purser_flow::{Failure, StepError};
use purser_http::{FetchLimits, Fetcher};
use purser_values::limits::UPLOAD_BODY_BYTES;
use purser_values::{Env, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::bundle::{FileEntry, FileKind};

/// Longest answer that is read, and the time one call may take.
const ANSWER_BYTES: usize = 1024 * 1024;
const CALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// One account at a provider that speaks this API.
pub struct Cloudflare<'a> {
    pub fetcher: &'a Fetcher,
    pub env: &'a Env,
    /// Ends in `/client/v4`, without a slash.
    pub base: Url,
    pub account: String,
    pub token: Secret<String>,
}

/// A version that the provider accepted and routes to.
#[derive(Debug, Clone)]
pub struct Uploaded {
    pub version: String,
}

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Vec<ApiError>,
    #[serde(default)]
    result: Value,
}

#[derive(Deserialize)]
struct ApiError {
    code: i64,
    #[serde(default)]
    message: String,
}

impl Cloudflare<'_> {
    /// Sends static files and gives the token that completes them. Files the provider has already are not sent again.
    pub async fn assets(&self, script: &str, files: &[(FileEntry, Bytes)]) -> Result<String, StepError> {
        let manifest: BTreeMap<&str, Value> =
            files.iter().map(|(file, _)| (file.path.as_str(), json!({"hash": asset_hash(file), "size": file.size}))).collect();
        let session =
            self.json(Method::POST, &["workers", "scripts", script, "assets-upload-session"], &json!({"manifest": manifest})).await?;
        let mut jwt = text(&session, "jwt")?;
        let session_token = Secret::new(jwt.clone());
        for bucket in session["buckets"].as_array().into_iter().flatten() {
            let wanted: Vec<&str> = bucket.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let mut form = Form::new(self.env);
            for (file, bytes) in files.iter().filter(|(file, _)| wanted.contains(&asset_hash(file).as_str())) {
                let hash = asset_hash(file);
                form.file(&hash, &hash, &file.content_type, base64::engine::general_purpose::STANDARD.encode(bytes).as_bytes());
            }
            let mut url = self.url(&["workers", "assets", "upload"])?;
            url.set_query(Some("base64=true"));
            let answer = self.send(Method::POST, &url, &session_token, &form.content_type(), form.finish()).await?;
            if let Some(done) = answer["jwt"].as_str() {
                jwt = done.to_owned();
            }
        }
        Ok(jwt)
    }

    /// Uploads the code and routes to it at once. Sending the same again has the same effect.
    pub async fn upload(&self, script: &str, metadata: &Value, modules: &[(FileEntry, Bytes)]) -> Result<Uploaded, StepError> {
        let mut form = Form::new(self.env);
        form.text("metadata", &metadata.to_string());
        for (file, bytes) in modules.iter().filter(|(file, _)| file.kind == FileKind::Module) {
            form.file(&file.path, &file.path, &file.content_type, bytes);
        }
        let mut url = self.url(&["workers", "scripts", script])?;
        url.set_query(Some("excludeScript=true"));
        let answer = self.send(Method::PUT, &url, &self.token, &form.content_type(), form.finish()).await?;
        Ok(Uploaded { version: text(&answer, "deployment_id")? })
    }

    /// Makes the script reachable under the provider's own name and gives that URL, where the provider tells it.
    pub async fn enable_subdomain(&self, script: &str) -> Result<Option<String>, StepError> {
        self.json(Method::POST, &["workers", "scripts", script, "subdomain"], &json!({"enabled": true})).await?;
        let worker = self.send(Method::GET, &self.url(&["workers", "workers", script])?, &self.token, "", Bytes::new()).await?;
        Ok(worker["subdomain"]["url"].as_str().map(str::to_owned))
    }

    /// Points a host name of the account at the script, and leaves its other names alone.
    pub async fn attach_domain(&self, script: &str, host: &str) -> Result<(), StepError> {
        let path = ["workers", "scripts", script, "domains"];
        let changeset = self.json(Method::POST, &[&path[..], &["changeset"]].concat(), &json!([{"hostname": host}])).await?;
        if let Some(conflict) = changeset["conflicting"].as_array().and_then(|all| all.first()) {
            let message = format!("`{host}` already leads to `{}`", conflict["service"].as_str().unwrap_or("another script"));
            return Err(StepError::Permanent(refusal(
                "domain_in_use",
                "conflict",
                message,
                Some("remove the domain from the other script first"),
            )));
        }
        let records = json!({
            "override_scope": true, "override_existing_origin": true, "override_existing_dns_record": true,
            "origins": [{"hostname": host}],
        });
        self.json(Method::PUT, &[&path[..], &["records"]].concat(), &records).await.map(drop)
    }

    async fn json(&self, method: Method, path: &[&str], body: &Value) -> Result<Value, StepError> {
        self.send(method, &self.url(path)?, &self.token, "application/json", Bytes::from(body.to_string())).await
    }

    async fn send(&self, method: Method, url: &Url, token: &Secret<String>, content_type: &str, body: Bytes) -> Result<Value, StepError> {
        if body.len() > UPLOAD_BODY_BYTES {
            let message = format!("the upload is larger than {UPLOAD_BODY_BYTES} bytes");
            return Err(StepError::Permanent(refusal("upload_too_large", "too_large", message, None)));
        }
        let mut headers = HeaderMap::new();
        let bearer = Secret::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::from_str(bearer.expose()).map_err(|_| garbage("the token cannot be sent"))?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        if !content_type.is_empty() {
            headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).map_err(|_| garbage("the content type cannot be sent"))?);
        }
        headers.insert(HeaderName::from_static("accept"), HeaderValue::from_static("application/json"));
        let limits = FetchLimits { timeout: CALL_TIMEOUT, body_bytes: ANSWER_BYTES };
        let fetched = self.fetcher.send(method, url, headers, body, limits).await.map_err(StepError::transient)?;
        if fetched.status.is_server_error() || fetched.status.as_u16() == 429 {
            return Err(StepError::transient(format!("the provider answered {}", fetched.status)));
        }
        let envelope: Envelope = serde_json::from_slice(&fetched.body)
            .map_err(|_| garbage(&format!("the provider answered {} with something else than its API's envelope", fetched.status)))?;
        if envelope.success {
            return Ok(envelope.result);
        }
        let error = envelope.errors.first();
        let code = error.map_or(0, |e| e.code);
        let said = error.map_or("no reason", |e| e.message.as_str());
        let message = format!("the provider refused the deployment ({code}): {}", purser_wire::text::excerpt(said, 400));
        Err(StepError::Permanent(refusal("deployment_refused", "provider", message, hint_for(code))))
    }

    fn url(&self, path: &[&str]) -> Result<Url, StepError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| garbage("the provider's API address cannot carry a path"))?
            .pop_if_empty()
            .extend(["accounts", &self.account])
            .extend(path);
        Ok(url)
    }
}

fn hint_for(code: i64) -> Option<&'static str> {
    match code {
        10021 => Some("the code did not pass the provider's check: mend it and deploy again"),
        10000 | 9109 => Some("the credential may be frozen or rotated: see `purser status`"),
        10027 => Some("make the code smaller"),
        _ => None,
    }
}

fn refusal(code: &str, kind: &str, message: String, hint: Option<&str>) -> Failure {
    Failure { code: code.to_owned(), kind: kind.to_owned(), message, hint: hint.map(str::to_owned), details: None }
}

fn garbage(why: &str) -> StepError {
    StepError::Permanent(refusal("provider_garbage", "provider", why.to_owned(), Some("tell the provider; nothing was changed here")))
}

fn text(value: &Value, member: &str) -> Result<String, StepError> {
    value[member]
        .as_str()
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| garbage(&format!("the provider's answer lacks `{member}`")))
}

/// 32 hexadecimal characters that name content and extension, as the API wants.
fn asset_hash(file: &FileEntry) -> String {
    let extension = file.path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ext)| ext);
    let digest = purser_values::Sha256Digest::of_parts(&[file.digest.as_bytes(), extension.as_bytes()]);
    digest.to_string()[..32].to_owned()
}

/// A `multipart/form-data` body (RFC 7578).
struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    fn new(env: &Env) -> Self {
        let boundary = env.bytes::<16>().iter().map(|b| format!("{b:02x}")).collect();
        Self { boundary, body: Vec::new() }
    }

    fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    fn text(&mut self, name: &str, value: &str) {
        self.part(&format!("name=\"{name}\""), None, value.as_bytes());
    }

    fn file(&mut self, name: &str, filename: &str, content_type: &str, bytes: &[u8]) {
        self.part(&format!("name=\"{name}\"; filename=\"{filename}\""), Some(content_type), bytes);
    }

    fn part(&mut self, disposition: &str, content_type: Option<&str>, bytes: &[u8]) {
        self.body.extend_from_slice(format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n", self.boundary).as_bytes());
        if let Some(content_type) = content_type {
            self.body.extend_from_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
        }
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    fn finish(mut self) -> Bytes {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.body.into()
    }
}
