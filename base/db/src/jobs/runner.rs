//! Runs jobs until the process ends.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use purser_values::Env;
use tokio::sync::{Notify, Semaphore};

use super::store::{self, Job};
use crate::db::Db;
use crate::error::DbError;

/// Time after which another process may take a claimed job, in seconds.
const LEASE_S: i64 = 60;
/// Jobs claimed at once.
const BATCH: i64 = 16;
/// Jobs that run at once.
const AT_ONCE: usize = 64;
/// Longest time between two looks at the table; a local enqueue wakes the runner at once.
const POLL: Duration = Duration::from_millis(250);
/// Longest wait between two tries, in seconds.
const BACK_OFF_MAX_S: i64 = 300;

/// Why a job did not work.
#[derive(Debug)]
pub enum JobFailure {
    /// Try again later; after `limit` tries, park it. No limit: try for ever.
    Again { why: String, limit: Option<i64> },
    /// Trying again is no use.
    Park { why: String },
}

type Effect = Pin<Box<dyn Future<Output = Result<(), JobFailure>> + Send>>;

/// What is done for one kind of job.
pub type Handler = Arc<dyn Fn(Job) -> Effect + Send + Sync>;

/// The loop that claims and runs jobs.
#[derive(Clone)]
pub struct Runner {
    db: Db,
    env: Env,
    handlers: Arc<HashMap<&'static str, Handler>>,
    wake: Arc<Notify>,
}

impl Runner {
    /// `wake` is notified by whoever enqueues in this process, so that a job need not wait for the next look.
    #[must_use]
    pub fn new(db: Db, env: Env, handlers: HashMap<&'static str, Handler>, wake: Arc<Notify>) -> Self {
        Self { db, env, handlers: Arc::new(handlers), wake }
    }

    /// Runs for ever; spawn it. A slow job holds one of the places and keeps none of the others waiting.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            // Holding one place before looking means that what is claimed can start at once.
            let Ok(first) = places.clone().acquire_owned().await else { return };
            let free = i64::try_from(places.available_permits()).unwrap_or(0) + 1;
            let jobs = match self.claim(free.min(BATCH)).await {
                Ok(jobs) => jobs,
                Err(e) => {
                    tracing::error!(error = %e, "the job queue cannot be read");
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            };
            let idle = jobs.is_empty();
            let mut place = Some(first);
            for job in jobs {
                let held = match place.take() {
                    Some(held) => held,
                    None => match places.clone().acquire_owned().await {
                        Ok(held) => held,
                        Err(_) => return,
                    },
                };
                let runner = self.clone();
                tokio::spawn(async move {
                    runner.run_one(job).await;
                    drop(held);
                });
            }
            drop(place);
            if idle {
                let _ = tokio::time::timeout(POLL, self.wake.notified()).await;
            }
        }
    }

    async fn claim(&self, most: i64) -> Result<Vec<Job>, DbError> {
        let env = self.env.clone();
        self.db.write(move |tx| store::claim(tx, env.now(), env.now().plus_secs(LEASE_S), most)).await
    }

    /// Claims and runs what is due, each job in a task of its own, and waits for all of them. Tests call it on demand.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run_due(&self) -> Result<usize, DbError> {
        let jobs = self.claim(BATCH).await?;
        let count = jobs.len();
        let tasks: Vec<_> = jobs.into_iter().map(|job| tokio::spawn(self.clone().run_one(job))).collect();
        for task in tasks {
            if let Err(e) = task.await {
                tracing::error!(error = %e, "a job stopped half-way; its lease will run out and it will be tried again");
            }
        }
        Ok(count)
    }

    async fn run_one(self, job: Job) {
        let outcome = match self.handlers.get(job.kind.as_str()) {
            Some(handler) => handler(job.clone()).await,
            None => Err(JobFailure::Park { why: format!("no handler for `{}`", job.kind) }),
        };
        let now = self.env.now();
        let (id, attempts, kind) = (job.id, job.attempts, job.kind);
        let written = self
            .db
            .write(move |tx| match &outcome {
                Ok(()) => store::done(tx, &id),
                Err(JobFailure::Again { why, limit }) if limit.is_none_or(|limit| attempts < limit) => {
                    tracing::warn!(job = %id, kind, attempts, why, "a job will be tried again");
                    store::again(tx, &id, now.plus_secs(back_off_s(attempts)), why)
                }
                Err(JobFailure::Again { why, .. } | JobFailure::Park { why }) => {
                    tracing::error!(job = %id, kind, attempts, why, "a job was parked: a person must look at it");
                    store::park(tx, &id, why)
                }
            })
            .await;
        if let Err(e) = written {
            tracing::error!(error = %e, "the end of a job was not written; it will run again");
        }
    }
}

/// 1, 2, 4 … seconds, at most five minutes.
fn back_off_s(attempts: i64) -> i64 {
    1_i64.checked_shl(u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0)).unwrap_or(BACK_OFF_MAX_S).min(BACK_OFF_MAX_S)
}
