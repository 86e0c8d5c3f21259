//! Calls of Workers that no visitor makes: triggers, queues, alarms. They count as requests do and take from the same allowance, so an account
//! that has used up what it has is not called, and nobody is called for nothing.

use std::sync::Arc;

use purser_values::id::CloudAccountId;
use slipway_edge::route::SiteLabel;
use slipway_edge::traffic::Traffic;
use slipway_workers::name::ScriptName;
use slipway_workers::seams::Events;

/// The edge's counters, as the runtime asks them.
pub struct Counted(pub Arc<Traffic>);

impl Events for Counted {
    fn begin(&self, account: &CloudAccountId, script: &ScriptName) -> Option<Box<dyn Send + Sync>> {
        // which version is called is the runtime's to choose
        let label = SiteLabel { account: account.as_str().into(), script: script.as_str().into(), version: "".into() };
        self.0.begin(&label).ok().map(|place| Box::new(place) as Box<dyn Send + Sync>)
    }

    fn may_wake(&self, account: &CloudAccountId) -> bool {
        self.0.has_left(account.as_str())
    }
}
