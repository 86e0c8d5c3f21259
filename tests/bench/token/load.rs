//! The closed loops, and what is measured of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use purser_crypto::encoding::b64url;
use purser_crypto::jose::SigningKey;
use purser_values::Env;
use serde::Deserialize;
use serde_json::json;

use crate::connection::Connection;

/// Requests for which proofs are signed ahead, for each second and connection; what is beyond is signed on the way.
const PROOFS_PER_S: usize = 1_200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signed JWT (ES256) for a client with a secret.
    ClientCredentials,
    /// Rotation of an application's refresh token, bound to its key.
    Refresh,
    /// Rotation of an agent's refresh token under its grant, with an entry in the audit log.
    AgentRefresh,
    /// What a resource server asks of a client's token.
    Introspect,
    /// The least that a server answers: a word in JSON.
    Hello,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Refresh => "refresh",
            Self::AgentRefresh => "agent_refresh",
            Self::Introspect => "introspect",
            Self::Hello => "hello",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
    /// Nothing but the library that ours is made with.
    Bare,
}

impl Side {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::Bare => "bare",
        }
    }
}

pub struct Measured {
    pub rate: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    /// Time of the server's processors for one request.
    pub cpu_us: f64,
}

/// Who refreshes on one connection.
pub struct Holder {
    pub key: SigningKey,
    pub refresh_token: String,
    pub client_id: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    refresh_token: String,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
}

/// So many tokens of a client's own.
pub async fn access_tokens(url: &str, authorization: &str, count: usize) -> Vec<String> {
    let mut connection = Connection::open(url).await;
    connection.form(&[("authorization", authorization)], "grant_type=client_credentials");
    let mut tokens = Vec::with_capacity(count);
    for _ in 0..count {
        tokens.push(serde_json::from_slice::<AccessToken>(connection.ask().await).unwrap().access_token);
    }
    tokens
}

/// Latencies of what one connection did in the window.
pub type Latencies = Vec<u64>;

pub async fn client_credentials(url: String, authorization: String, resource: Option<String>, began: Instant, ends: Instant) -> Latencies {
    let mut connection = Connection::open(&url).await;
    let body = match resource {
        Some(resource) => format!("grant_type=client_credentials&resource={resource}"),
        None => "grant_type=client_credentials".to_owned(),
    };
    connection.form(&[("authorization", &authorization)], &body);
    again(connection, began, ends).await
}

/// Asks for the JSON at an address.
pub async fn hello(url: String, began: Instant, ends: Instant) -> Latencies {
    let mut connection = Connection::open(&url).await;
    connection.get();
    again(connection, began, ends).await
}

/// Asks what tokens say, each of them in turn.
pub async fn introspect(url: String, authorization: String, tokens: Arc<Vec<String>>, began: Instant, ends: Instant) -> Latencies {
    let mut connection = Connection::open(&url).await;
    let mut took = Vec::new();
    for token in tokens.iter().cycle() {
        connection.form(&[("authorization", &authorization)], &format!("token={token}"));
        let asked = Instant::now();
        let answer = connection.ask().await;
        let answered = Instant::now();
        assert!(answer.windows(13).any(|part| part == b"\"active\":true"), "{}", String::from_utf8_lossy(answer));
        if answered >= ends {
            break;
        }
        if asked >= began {
            took.push(micros(answered - asked));
        }
    }
    took
}

/// The same request again and again.
async fn again(mut connection: Connection, began: Instant, ends: Instant) -> Latencies {
    let mut took = Vec::new();
    loop {
        let asked = Instant::now();
        connection.ask().await;
        let answered = Instant::now();
        if answered >= ends {
            return took;
        }
        if asked >= began {
            took.push(micros(answered - asked));
        }
    }
}

/// Proofs for about as many requests as a window takes.
pub fn proofs(key: &SigningKey, url: &str, window: Duration) -> Vec<String> {
    let count = PROOFS_PER_S * usize::try_from(window.as_millis()).unwrap() / 1_000;
    (0..count).map(|_| proof(key, url)).collect()
}

fn proof(key: &SigningKey, url: &str) -> String {
    let env = Env::system();
    let claims = json!({ "htm": "POST", "htu": url, "iat": env.now().as_secs(), "jti": b64url(&env.bytes::<16>()) });
    key.sign_with_jwk("dpop+jwt", &claims).unwrap()
}

pub async fn refresh(url: String, mut holder: Holder, mut proofs: Vec<String>, began: Instant, ends: Instant) -> (Latencies, Holder) {
    let mut connection = Connection::open(&url).await;
    let mut took = Vec::new();
    loop {
        let proof = proofs.pop().unwrap_or_else(|| proof(&holder.key, &url));
        let mut body = format!("grant_type=refresh_token&refresh_token={}", holder.refresh_token);
        if let Some(client) = &holder.client_id {
            body.push_str("&client_id=");
            body.push_str(client);
        }
        let asked = Instant::now();
        let answer = connection.post(&[("dpop", &proof)], &body).await;
        let answered = Instant::now();
        holder.refresh_token = serde_json::from_slice::<Tokens>(answer).unwrap().refresh_token;
        if answered >= ends {
            return (took, holder);
        }
        if asked >= began {
            took.push(micros(answered - asked));
        }
    }
}

pub fn measured(mut took: Latencies, window: Duration, cpu: Duration) -> Measured {
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
    let count = took.len() as f64;
    Measured { rate: count / window.as_secs_f64(), p50_us: at(50), p99_us: at(99), cpu_us: cpu.as_secs_f64() * 1e6 / count.max(1.0) }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
