//! `/healthz`: the process lives. `/readyz`: it can be given work.
//!
//! Ready means: a row can be written durably, no migration of this version is missing, the signing keys open, and nobody has asked
//! us to stop. Looking costs one write at most once a second, however often it is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use purser_db::DbError;
use purser_identity::Keys;
use purser_provisioning::Core;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Ops;
use super::drain::Phase;
use crate::serve::TABLES;

/// Time for which an answer is given again.
const FRESH: Duration = Duration::from_secs(1);
/// Time after which a store that says nothing counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Readiness {
    core: Core,
    last: Arc<Mutex<Option<(Instant, Checks)>>>,
}

/// What was looked at; `ok`, or what is wrong with it in words that give nothing away.
#[derive(Clone, Debug)]
struct Checks {
    database: &'static str,
    migrations: &'static str,
    keys: &'static str,
}

impl Checks {
    fn all(said: &'static str) -> Self {
        Self { database: said, migrations: said, keys: said }
    }

    fn hold(&self) -> bool {
        [self.database, self.migrations, self.keys].iter().all(|said| *said == "ok")
    }

    fn json(&self) -> Value {
        json!({ "database": self.database, "migrations": self.migrations, "keys": self.keys })
    }
}

impl Readiness {
    pub fn new(core: Core) -> Self {
        Self { core, last: Arc::default() }
    }

    /// One look at a time: who asks meanwhile waits for its answer.
    async fn checks(&self) -> Checks {
        let mut last = self.last.lock().await;
        if let Some((_, checks)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return checks.clone();
        }
        let checks = tokio::time::timeout(PATIENCE, self.look()).await.unwrap_or_else(|_| Checks::all("does not answer"));
        *last = Some((Instant::now(), checks.clone()));
        checks
    }

    async fn look(&self) -> Checks {
        let (now, keyring) = (self.core.env.now(), self.core.keyring.clone());
        let written = self.core.db.write::<_, DbError, _>(move |tx| purser_db::heartbeat(tx, now)).await;
        let behind = self.core.db.read(|tx| purser_db::is_migrated(tx, TABLES)).await;
        let opened = self.core.db.read(move |tx| Keys::opens(tx, &keyring)).await;
        if let Err(e) = &written {
            tracing::error!(error = %e, "the database cannot be written");
        }
        Checks {
            database: if written.is_ok() { "ok" } else { "cannot be written" },
            migrations: if matches!(behind, Ok(true)) { "ok" } else { "are missing" },
            keys: if opened.is_ok() { "ok" } else { "do not open" },
        }
    }
}

pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

pub async fn ready(State(ops): State<Ops>) -> Response {
    let draining = ops.drain.phase() != Phase::Serving;
    let checks = ops.readiness.checks().await;
    let status = match (draining, checks.hold()) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not_ready",
    };
    let code = if status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (code, Json(json!({ "status": status, "checks": checks.json() }))).into_response();
    if code != StatusCode::OK {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
