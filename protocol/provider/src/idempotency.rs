//! A change that is repeated has one effect and gets the first answer.
//!
//! A key is bound to the account and to the digest of method, path and body. It is recorded before anything happens; the answer,
//! sealed, after it. When the process dies in between, the next repeat runs the provider again with the same key, which must then finish
//! the first attempt (see [`crate::Call::idempotency_key`]). Failures that a repeat may get past are not kept.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::response::Response;
use http::StatusCode;
use purser_values::Sha256Digest;
use purser_wire::error::{Envelope, code};

use crate::call::AccountCall;
use crate::config::Config;
use crate::error::ProviderError;
use crate::reply::{self, InEnvelope as _, Refusal};
use crate::store::{Begun, KeptAnswer, Store};

/// One lock per key that is in work in this process, so that simultaneous repeats wait for the first.
#[derive(Debug, Default)]
pub struct Locks(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Locks {
    pub fn of(&self, name: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&name).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(name, Arc::downgrade(&lock));
        lock
    }
}

/// What a change is, for its key.
pub struct Change<'a> {
    pub call: &'a AccountCall,
    pub digest: Sha256Digest,
    pub envelope: Envelope,
}

/// Runs a change once per key. Without a key it just runs.
pub async fn once<S: Store, F>(store: &S, locks: &Locks, config: &Config, change: Change<'_>, run: F) -> Result<Response, Refusal>
where
    F: Future<Output = Result<(StatusCode, Vec<u8>), ProviderError>>,
{
    let Change { call, digest, envelope } = change;
    let Some(key) = &call.idempotency_key else {
        let (status, body) = run.await.envelope(envelope)?;
        return Ok(reply::raw(status, body));
    };
    // a kept answer holds credentials: what was given over one link is not given again over another
    let key = call.link.as_ref().map_or_else(|| key.as_str().to_owned(), |link| format!("{link}/{key}"));
    let account = &call.account;
    let purpose = format!("answer/{account}/{key}");
    let lock = locks.of(purpose.clone());
    let _guard = lock.lock().await;

    match store.answer_begin(account.clone(), key.clone(), digest, call.at).await.envelope(envelope)? {
        Begun::New | Begun::Unfinished => {}
        Begun::Conflict => return Err(Refusal(conflict(), envelope)),
        Begun::Finished(kept) => {
            let body = config.keyring.open(&purpose, &kept.sealed).map_err(|e| ProviderError::internal(&e)).envelope(envelope)?;
            let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
            return Ok(reply::raw(status, body.expose().clone()));
        }
    }
    let (status, body) = match run.await {
        Ok(answer) => answer,
        Err(error) if error.is_transient() => return Err(Refusal(error, envelope)),
        Err(error) => (error.status, error.to_json(envelope).to_string().into_bytes()),
    };
    let sealed = config.keyring.seal(&config.env, &purpose, &body).map_err(|e| ProviderError::internal(&e)).envelope(envelope)?;
    store.answer_finish(account.clone(), key, KeptAnswer { status: status.as_u16(), sealed }).await.envelope(envelope)?;
    Ok(reply::raw(status, body))
}

fn conflict() -> ProviderError {
    ProviderError::new(
        StatusCode::CONFLICT,
        code::IDEMPOTENCY_CONFLICT,
        "this `Idempotency-Key` was used with another request; use a new key for a new change",
    )
}
