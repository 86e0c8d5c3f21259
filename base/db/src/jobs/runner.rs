//! Runs jobs until the process ends.
//!
//! A lease is short and renewed while its job runs, so that what a process held when it died is taken up at once: by its successor, or
//! by another node. A process that is asked to end hands back what it has not finished. Jobs of one lane (one address of a stranger)
//! take few of the places, and none of those that all other jobs share.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use purser_values::Env;
use purser_values::id::JobId;
use tokio::sync::{Notify, watch};

use super::running::Running;
use super::store::{self, Job};
use crate::db::Db;
use crate::error::DbError;

/// Time after which another process may take a claimed job whose lease nobody renewed, in milliseconds. With a look at the table it
/// stays below the two seconds in which an alert is told.
const LEASE_MS: i64 = 1_500;
/// Time between two renewals of the leases of all that runs here.
const RENEW: Duration = Duration::from_millis(400);
/// Jobs claimed at once.
const BATCH: usize = 16;
/// Jobs in no lane that run at once.
const AT_ONCE: usize = 64;
/// Jobs of one lane that run at once.
const LANE_AT_ONCE: usize = 2;
/// Jobs in lanes that run at once.
const LANES_AT_ONCE: usize = 512;
/// Longest time between two looks at the table; a local enqueue wakes the runner at once.
const POLL: Duration = Duration::from_millis(250);
/// Longest wait between two tries, in seconds.
const BACK_OFF_MAX_S: i64 = 300;
/// How long a process that is asked to end waits for the jobs that run.
const STOP_PATIENCE: Duration = Duration::from_millis(1_000);
/// How long it then takes at most to hand back what it has cut off.
const HAND_BACK: Duration = Duration::from_millis(1_000);

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
    running: Arc<Running>,
    stopping: Arc<watch::Sender<bool>>,
}

impl Runner {
    /// `wake` is notified by whoever enqueues in this process, so that a job need not wait for the next look.
    #[must_use]
    pub fn new(db: Db, env: Env, handlers: HashMap<&'static str, Handler>, wake: Arc<Notify>) -> Self {
        let (running, stopping) = (Arc::new(Running::new()), Arc::new(watch::Sender::new(false)));
        Self { db, env, handlers: Arc::new(handlers), wake, running, stopping }
    }

    /// Runs until [`Runner::stop`]; spawn it. A slow job holds one of the places and keeps none of the others waiting.
    pub async fn run(self) {
        tokio::spawn(self.clone().keep_leases());
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow() {
            let claimed = match self.claim().await {
                Ok(jobs) => jobs,
                Err(e) => {
                    tracing::error!(error = %e, "the job queue cannot be read");
                    Vec::new()
                }
            };
            let idle = claimed.is_empty();
            for job in claimed {
                tokio::spawn(self.clone().run_one(job));
            }
            if idle {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    _ = stopping.changed() => {}
                }
            }
        }
    }

    /// Claims nothing more, lets what runs come to its end for a moment, and hands the rest back, so that whoever runs next need not
    /// wait for a lease to run out.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(STOP_PATIENCE, self.running.idle()).await.is_ok() {
            return;
        }
        self.running.abort();
        if tokio::time::timeout(HAND_BACK, self.running.idle()).await.is_err() {
            tracing::warn!("jobs that were cut off were not handed back; their leases run out");
        }
    }

    /// Renews the leases of what runs here, for as long as something does.
    async fn keep_leases(self) {
        let stopping = self.stopping.subscribe();
        loop {
            tokio::time::sleep(RENEW).await;
            let claims = self.running.claims();
            if claims.is_empty() {
                if *stopping.borrow() {
                    return;
                }
                continue;
            }
            let until = self.env.now().plus_millis(LEASE_MS);
            if let Err(e) = self.db.write(move |tx| store::renew(tx, &claims, until)).await {
                tracing::warn!(error = %e, "the leases of jobs were not renewed; another process may take them up");
            }
        }
    }

    /// What may run now, noted as running.
    async fn claim(&self) -> Result<Vec<Job>, DbError> {
        let outside = AT_ONCE.saturating_sub(self.running.outside()).min(BATCH);
        let lanes = self.running.lanes();
        let inside = LANES_AT_ONCE.saturating_sub(lanes.values().sum());
        let env = self.env.clone();
        let claimed = self.db.write(move |tx| {
            let (now, until) = (env.now(), env.now().plus_millis(LEASE_MS));
            let mut jobs = store::claim(tx, now, until, outside)?;
            jobs.extend(store::claim_lanes(tx, now, until, &lanes, LANE_AT_ONCE, inside)?);
            Ok::<_, DbError>(jobs)
        });
        let mut claimed = claimed.await?;
        claimed.retain(|job| self.running.begin(job));
        Ok(claimed)
    }

    /// Claims and runs what is due, each job in a task of its own, and waits for all of them. Tests call it on demand.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run_due(&self) -> Result<usize, DbError> {
        let jobs = self.claim().await?;
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
        let (id, kind, in_lane) = (job.id.clone(), job.kind.clone(), job.lane.is_some());
        let ended = match self.handlers.get(kind.as_str()) {
            Some(handler) => {
                // In a task of its own: a panic in it is a try that failed, and no lease that runs out again and again.
                let effect = tokio::spawn(handler(job));
                self.running.effect(&id, effect.abort_handle());
                match effect.await {
                    Ok(outcome) => Some(outcome),
                    Err(e) if e.is_cancelled() => None,
                    Err(e) => Some(Err(JobFailure::Again { why: format!("it stopped half-way: {e}"), limit: None })),
                }
            }
            None => Some(Err(JobFailure::Park { why: format!("no handler for `{kind}`") })),
        };
        if let Err(e) = self.write_end(&id, kind, ended).await {
            tracing::error!(error = %e, "the end of a job was not written; it will run again");
        }
        let was_full = in_lane || self.running.outside() >= AT_ONCE;
        self.running.end(&id);
        if was_full {
            // there may be room for the next
            self.wake.notify_one();
        }
    }

    /// Writes what came of a job; nothing came of one that was cut off, which is handed back.
    async fn write_end(&self, id: &JobId, kind: String, ended: Option<Result<(), JobFailure>>) -> Result<(), DbError> {
        let (id, now, attempts) = (id.clone(), self.env.now(), self.running.attempts(id).unwrap_or_default());
        let written = self.db.write(move |tx| match &ended {
            None => store::hand_back(tx, &id, attempts, now),
            Some(Ok(())) => store::done(tx, &id),
            Some(Err(JobFailure::Again { why, limit })) if limit.is_none_or(|limit| attempts < limit) => {
                tracing::warn!(job = %id, kind, attempts, why, "a job will be tried again");
                store::again(tx, &id, attempts, now.plus_secs(back_off_s(attempts)), why)
            }
            Some(Err(JobFailure::Again { why, .. } | JobFailure::Park { why })) => {
                tracing::error!(job = %id, kind, attempts, why, "a job was parked: a person must look at it");
                store::park(tx, &id, attempts, why)
            }
        });
        written.await
    }
}

/// 1, 2, 4 … seconds, at most five minutes.
fn back_off_s(attempts: i64) -> i64 {
    1_i64.checked_shl(u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0)).unwrap_or(BACK_OFF_MAX_S).min(BACK_OFF_MAX_S)
}
