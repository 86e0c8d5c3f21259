//! `tail`: looking on while a Worker works.

use purser_values::id::CloudAccountId;
use tokio::sync::broadcast;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::rollout::refused;
use crate::runtime::dispatch::DispatchError;
use crate::runtime::tail::Seen;
use crate::workers::Workers;

impl Workers {
    /// Everything that a Worker does from now on, as Cloudflare's trace items, until the receiver is dropped.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`] when the Worker is not live.
    pub async fn tail(&self, account: &CloudAccountId, script: &ScriptName) -> Result<broadcast::Receiver<Seen>, WorkersError> {
        self.0.runtime.tail(account, script).await.map_err(|e| match e {
            DispatchError::NotLive => WorkersError::ScriptNotFound,
            DispatchError::UsedUp => WorkersError::UsedUp,
            DispatchError::Start(e) => refused(e),
            DispatchError::Broken(why) => WorkersError::Unavailable(why),
        })
    }
}
