//! Looking on: what a Worker did, request by request, for whoever tails it.
//!
//! A Worker of ours beside the tenant's collects it and posts it to the bindings socket. That costs a second call for each request,
//! so it is there only while somebody looks: the first one makes another generation, and the next change or sleep after the last one
//! left takes it away.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use purser_values::id::CloudAccountId;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::name::{ScriptName, VersionId};
use crate::runtime::Runtime;
use crate::runtime::dispatch::DispatchError;

/// Events that a slow reader may be behind; what is older is lost to it.
const BEHIND: usize = 256;

/// What one Worker did. The keys are those of Cloudflare's trace items.
pub type Seen = Arc<Value>;

/// Who looks on at one tenant.
#[derive(Clone, Default)]
pub struct Tails(Arc<Mutex<HashMap<ScriptName, broadcast::Sender<Seen>>>>);

impl Tails {
    fn subscribe(&self, script: &ScriptName) -> broadcast::Receiver<Seen> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(script.clone()).or_insert_with(|| broadcast::channel(BEHIND).0).subscribe()
    }

    /// The Workers that somebody looks at.
    pub fn looked_at(&self) -> BTreeSet<ScriptName> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, sender| sender.receiver_count() > 0);
        all.keys().cloned().collect()
    }

    /// Passes on what the collector posted; what is not a list of objects is dropped.
    pub fn pass(&self, script: &ScriptName, version: &VersionId, posted: &[u8]) {
        let Ok(Value::Array(items)) = serde_json::from_slice(posted) else { return };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = all.get(script) else { return };
        for mut item in items {
            if let Value::Object(fields) = &mut item {
                // workerd knows neither
                fields.insert("scriptName".to_owned(), json!(script));
                fields.insert("scriptVersion".to_owned(), json!({"id": version}));
                let _ = sender.send(Arc::new(item));
            }
        }
    }
}

impl Runtime {
    /// Everything that a Worker does from now on, until the receiver is dropped.
    ///
    /// # Errors
    /// When the Worker is not live, or its process cannot be started anew.
    pub async fn tail(&self, account: &CloudAccountId, script: &ScriptName) -> Result<broadcast::Receiver<Seen>, DispatchError> {
        let tenant = self.home(account, script).ok_or(DispatchError::NotLive)?;
        let place = self.known(&tenant).await.ok_or(DispatchError::NotLive)?;
        let mut running = place.running.lock().await;
        if !running.live.iter().any(|live| live.script == *script && live.unit.is_some()) {
            return Err(DispatchError::NotLive);
        }
        let seen = running.gate.tails().subscribe(script);
        let live = running.live.clone();
        self.switch(&mut running, live).await?;
        Ok(seen)
    }
}
