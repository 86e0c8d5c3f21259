//! `queue_producers`: which live Workers can send to a queue.

use purser_values::id::CloudAccountId;

use crate::binding::Binding;
use crate::error::WorkersError;
use crate::name::{ResourceId, ScriptName};
use crate::store::version;
use crate::workers::Workers;

impl Workers {
    /// Each queue that a live version of a Worker is bound to, and the Worker.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn queue_producers(&self, account: &CloudAccountId) -> Result<Vec<(ResourceId, ScriptName)>, WorkersError> {
        let id = account.clone();
        let live = self.0.db.read(move |tx| version::deployed(tx, &id)).await?;
        let mut found: Vec<_> = live
            .into_iter()
            .flat_map(|live| live.version.bindings.into_iter().map(move |binding| (binding, live.version.script.clone())))
            .filter_map(|(binding, script)| match binding {
                Binding::Queue { queue_name, .. } => Some((queue_name, script)),
                _ => None,
            })
            .collect();
        found.sort_by(|a, b| (a.0.as_str(), a.1.as_str()).cmp(&(b.0.as_str(), b.1.as_str())));
        found.dedup();
        Ok(found)
    }
}
