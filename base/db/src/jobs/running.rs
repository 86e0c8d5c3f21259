//! The jobs that run in this process: which lease is ours, how many run in each lane, and who has to end before the process may.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purser_values::id::JobId;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::store::Job;

/// One job under way.
struct Held {
    /// The claim that the lease belongs to.
    attempts: i64,
    lane: Option<String>,
    /// Ends the effect; absent until it has begun.
    effect: Option<AbortHandle>,
}

/// All that are under way.
pub(super) struct Running {
    held: Mutex<HashMap<JobId, Held>>,
    number: watch::Sender<usize>,
}

impl Running {
    pub fn new() -> Self {
        Self { held: Mutex::default(), number: watch::Sender::new(0) }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<JobId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a job that was claimed. No when it runs here already: its lease ran out because the store was slow to renew it, and the
    /// new claim belongs to the run that is under way.
    pub fn begin(&self, job: &Job) -> bool {
        let mut held = self.held();
        if let Some(known) = held.get_mut(&job.id) {
            known.attempts = job.attempts;
            return false;
        }
        held.insert(job.id.clone(), Held { attempts: job.attempts, lane: job.lane.clone(), effect: None });
        self.number.send_replace(held.len());
        true
    }

    pub fn effect(&self, id: &JobId, effect: AbortHandle) {
        if let Some(known) = self.held().get_mut(id) {
            known.effect = Some(effect);
        }
    }

    /// The claim that a job runs under now.
    pub fn attempts(&self, id: &JobId) -> Option<i64> {
        self.held().get(id).map(|known| known.attempts)
    }

    pub fn end(&self, id: &JobId) {
        let mut held = self.held();
        held.remove(id);
        self.number.send_replace(held.len());
    }

    /// Every job with its claim.
    pub fn claims(&self) -> Vec<(JobId, i64)> {
        self.held().iter().map(|(id, known)| (id.clone(), known.attempts)).collect()
    }

    /// How many run that are in no lane.
    pub fn outside(&self) -> usize {
        self.held().values().filter(|known| known.lane.is_none()).count()
    }

    /// How many run in each lane.
    pub fn lanes(&self) -> HashMap<String, usize> {
        let mut lanes = HashMap::new();
        for lane in self.held().values().filter_map(|known| known.lane.clone()) {
            *lanes.entry(lane).or_insert(0) += 1;
        }
        lanes
    }

    /// Cuts every effect off.
    pub fn abort(&self) {
        self.held().values().filter_map(|known| known.effect.as_ref()).for_each(AbortHandle::abort);
    }

    /// Ready when nothing runs.
    pub async fn idle(&self) {
        // The sender lives as long as we do.
        let _ = self.number.subscribe().wait_for(|number| *number == 0).await;
    }
}
