//! `workers/scripts/{name}/tails`: looking on while a Worker works. A tail is made by a call, and read from an address of its own over
//! WebSocket (ADR 0073).
//!
//! INVARIANT (tail-ends): whoever reads loses sight within [`socket::LOOK`] of the end of the tail, of its token or of its account. The
//! address alone opens the socket, as the clients send no token there; it is random, and dies with the tail.
//!
//! Tails are in memory: a restart ends them, and clients make new ones.

pub mod filter;
pub mod socket;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, Extension, Path, State};
use http::{HeaderMap, StatusCode};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_workers::Condition;
use slipway_workers::name::ScriptName;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::{existing, render};
use crate::cloud::{Cloud, Shared};
use filter::{Filter, Filters};

/// How long a tail lives. Clients do not renew it.
const LIFE_S: i64 = 6 * 3_600;
/// Most tails of one account, and of all.
const TAILS_OF_AN_ACCOUNT: usize = 32;
const TAILS: usize = 512;

/// All tails, by the digest of the secret in their address.
#[derive(Default)]
pub struct Tails(Mutex<HashMap<Sha256Digest, Arc<Tail>>>);

/// One tail.
pub struct Tail {
    id: String,
    account: CloudAccountId,
    script: ScriptName,
    filters: Filters,
    expires_at: Timestamp,
    /// That the token which made it still works.
    standing: Condition,
    /// Taken by the one socket that reads.
    seat: Arc<tokio::sync::Semaphore>,
}

impl Tails {
    fn add(&self, secret: &str, tail: Tail, now: Timestamp) -> Result<(), Failure> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| known.expires_at > now);
        let own = all.values().filter(|known| known.account == tail.account).count();
        if own >= TAILS_OF_AN_ACCOUNT || all.len() >= TAILS {
            let said = format!("there are too many tails; an account has {TAILS_OF_AN_ACCOUNT} at most, delete some first");
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, 10_021, said));
        }
        all.insert(Sha256Digest::of(secret.as_bytes()), Arc::new(tail));
        Ok(())
    }

    fn find(&self, secret: &str, now: Timestamp) -> Option<Arc<Tail>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&Sha256Digest::of(secret.as_bytes())).filter(|tail| tail.expires_at > now).cloned()
    }

    fn of(&self, account: &CloudAccountId, script: &ScriptName, now: Timestamp) -> Vec<Arc<Tail>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|t| t.account == *account && t.script == *script && t.expires_at > now).cloned().collect()
    }

    fn remove(&self, account: &CloudAccountId, script: &ScriptName, id: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|_, tail| tail.account != *account || tail.script != *script || tail.id != id);
        all.len() < before
    }
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    filters: Vec<Filter>,
}

/// The address is in this answer and nowhere else.
pub async fn create(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    caller: Caller,
    Json(asked): Json<Asked>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let script = existing(&script)?;
    cloud.workers.script_get(account, &script).await?;
    let own = connection.map(|Extension(ConnectInfo(address))| cloud.proxies.client(address.ip(), &headers));
    let now = cloud.env.now();
    let (id, secret) = (hex::encode(cloud.env.bytes::<16>()), hex::encode(cloud.env.bytes::<32>()));
    let tail = Tail {
        id: id.clone(),
        account: account.clone(),
        script,
        filters: Filters::checked(asked.filters, own)?,
        expires_at: now.plus_secs(LIFE_S),
        standing: caller.standing(),
        seat: Arc::new(tokio::sync::Semaphore::new(1)),
    };
    let shown = json!({"id": id, "url": address(&cloud, &secret)?, "expires_at": render::time(tail.expires_at)});
    cloud.tails.add(&secret, tail, now)?;
    Ok(ok(&shown))
}

pub async fn list(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let script = existing(&script)?;
    cloud.workers.script_get(account, &script).await?;
    let all = cloud.tails.of(account, &script, cloud.env.now());
    let all: Vec<Value> = all.iter().map(|tail| json!({"id": tail.id, "expires_at": render::time(tail.expires_at)})).collect();
    Ok(ok(&json!(all)))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, script, id)): Path<(String, String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    if !cloud.tails.remove(account, &existing(&script)?, &id) {
        return Err(Failure::new(StatusCode::NOT_FOUND, 10_026, "there is no such tail of this Worker; it may have ended"));
    }
    Ok(ok(&Value::Null))
}

fn address(cloud: &Cloud, secret: &str) -> Result<String, Failure> {
    let mut url = cloud.public_url.join(&format!("client/v4/tails/{secret}")).map_err(|e| Failure::internal(&e))?;
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    // only refuses schemes of another kind
    let _ = url.set_scheme(scheme);
    Ok(url.to_string())
}
