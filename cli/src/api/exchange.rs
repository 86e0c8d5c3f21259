//! One request and its answer.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use purser_values::Secret;

use super::{Api, Call, IDEMPOTENCY_KEY, proof};

/// Largest answer that is read, in bytes. The catalogue is the largest there is.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The nonce that the next proof must carry (RFC 9449, 8).
    pub nonce: Option<String>,
}

impl Answer {
    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn wants_nonce(&self) -> bool {
        // the token endpoint says it as OAuth does, the API as a problem document
        let said = |answer: &Value| answer["error"] == "use_dpop_nonce" || answer["code"] == "use_dpop_nonce";
        self.nonce.is_some() && matches!(self.status.as_u16(), 400 | 401) && said(&self.json())
    }

    /// Whether the orchestrator is stopping and has not touched the request.
    pub fn is_draining(&self) -> bool {
        self.status.as_u16() == 503 && self.json()["code"] == "draining"
    }

    /// A problem document with a code of its own is a decision, unless it says that the trouble is passing.
    pub fn may_pass(&self) -> bool {
        let problem = self.json();
        problem["code"].is_null() || matches!(problem["kind"].as_str(), None | Some("unavailable" | "rate_limited"))
    }
}

impl Api<'_> {
    pub(super) async fn exchange(&self, call: &Call, token: Option<&Secret<String>>) -> Result<Answer, reqwest::Error> {
        let nonce = self.nonce.borrow().clone();
        let proof = proof::sign(&self.context.env, self.signer.key(), call.method.as_str(), &call.url, token, nonce.as_deref());
        let mut request = self.http.request(call.method.clone(), call.url.clone()).timeout(call.timeout);
        if let Ok(proof) = proof.and_then(|p| HeaderValue::from_str(&p).map_err(|_| purser_crypto::jose::JoseError::Form)) {
            request = request.header("dpop", proof);
        }
        if let Some(token) = token
            && let Ok(mut value) = HeaderValue::from_str(&format!("DPoP {}", token.expose()))
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(key) = &call.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some((content_type, body)) = &call.body {
            request = request.header(CONTENT_TYPE, content_type).body(body.clone());
        }
        let mut response = request.send().await?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                body.clear(); // what is too large is no JSON either
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let nonce = headers.get("dpop-nonce").and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok(Answer { status, headers, body, nonce })
    }
}
