//! `dispatch`: an event that is no visitor's request.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::rollout::refused;
use crate::runtime::dispatch::DispatchError;
use crate::runtime::event::{Event, Handled};
use crate::workers::Workers;

impl Workers {
    /// Hands an event to a live Worker and waits for what becomes of it; its process is started when it sleeps.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`] when the Worker is not live; [`WorkersError::UsedUp`] when its account has nothing left to call it
    /// with; [`WorkersError::Unavailable`] when it did not finish, after which nobody knows whether it saw the event.
    pub async fn dispatch(&self, account: &CloudAccountId, script: &ScriptName, event: Event) -> Result<Handled, WorkersError> {
        self.0.runtime.dispatch(account, script, &event).await.map_err(|e| match e {
            DispatchError::NotLive => WorkersError::ScriptNotFound,
            DispatchError::UsedUp => WorkersError::UsedUp,
            DispatchError::Start(e) => refused(e),
            DispatchError::Broken(why) => WorkersError::Unavailable(why),
        })
    }
}
