//! Drives sagas: one task each, started by the request that began it and by every start of the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use purser_db::{Db, DbError};
use purser_values::Env;
use purser_values::id::SagaId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::saga::{Definition, Failure, Runnable, StepCx, StepError};
use crate::store::{self, Record, Status, StepDone};

/// Time after which another node may take over a saga whose step is under way, in seconds.
const LEASE_S: i64 = 60;
/// First and longest wait after a transient failure, in milliseconds.
const WAIT_MIN_MS: u64 = 100;
const WAIT_MAX_MS: u64 = 15_000;

/// Called after each committed step, with the saga's id, the step's name and whether it was an undo.
///
/// Crash tests stop the process here; everybody else leaves it out.
pub type Probe = Arc<dyn Fn(&SagaId, &str, bool) + Send + Sync>;

/// The kinds of saga that a process can run. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    db: Db,
    env: Env,
    kinds: HashMap<&'static str, Box<dyn Runnable>>,
    /// Those that run in this process, with a channel that tells waiters of every change.
    running: Mutex<HashMap<SagaId, watch::Sender<u64>>>,
    probe: Option<Probe>,
}

/// The kinds, before the engine runs.
#[derive(Default)]
pub struct Builder {
    kinds: HashMap<&'static str, Box<dyn Runnable>>,
    probe: Option<Probe>,
}

impl Builder {
    #[must_use]
    pub fn with<S: Serialize + DeserializeOwned + Send + 'static>(mut self, definition: Definition<S>) -> Self {
        self.kinds.insert(definition.kind, Box::new(definition));
        self
    }

    #[must_use]
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    #[must_use]
    pub fn build(self, db: Db, env: Env) -> Engine {
        Engine(Arc::new(Inner { db, env, kinds: self.kinds, running: Mutex::default(), probe: self.probe }))
    }
}

impl Engine {
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Takes up what an earlier process left unfinished. Call once at the start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resume(&self) -> Result<usize, DbError> {
        if self.0.db.engine() == purser_db::Engine::Sqlite {
            self.0.db.write(store::clear_leases).await?;
        }
        let unfinished = self.0.db.read(store::unfinished).await?;
        let count = unfinished.len();
        unfinished.into_iter().for_each(|id| self.drive(id));
        Ok(count)
    }

    /// Runs a saga in a task of its own until it is done, undone or stuck. A second call for the same saga does nothing.
    pub fn drive(&self, id: SagaId) {
        {
            let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.contains_key(&id) {
                return;
            }
            running.insert(id.clone(), watch::channel(0).0);
        }
        let engine = self.clone();
        tokio::spawn(async move {
            engine.run(&id).await;
            engine.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }

    /// The saga as soon as it has ended, or as it stands after `limit`.
    ///
    /// # Errors
    /// When the store fails or there is no such saga.
    pub async fn wait(&self, id: &SagaId, limit: Duration) -> Result<Record, DbError> {
        self.wait_until(id, limit, |_| false).await
    }

    /// The same, or as soon as it stands as the caller wants to see it.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub async fn wait_until(&self, id: &SagaId, limit: Duration, enough: impl Fn(&Record) -> bool) -> Result<Record, DbError> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let changes = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).get(id).map(watch::Sender::subscribe);
            let of = id.clone();
            let record = self.0.db.read(move |tx| store::get(tx, &of)).await?.ok_or(DbError::NoRow)?;
            if record.status.is_final() || enough(&record) {
                return Ok(record);
            }
            // Without a local task another node runs it: look again now and then.
            let changed = async {
                match changes {
                    Some(mut changes) => drop(changes.changed().await),
                    None => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            };
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Ok(record);
            }
        }
    }

    async fn run(&self, id: &SagaId) {
        loop {
            match self.run_step(id).await {
                Ok(Next::Ended) => return,
                Ok(Next::Now) => {}
                Ok(Next::After(wait)) => tokio::time::sleep(wait).await,
                Err(e) => {
                    tracing::error!(saga = %id, error = %e, "the journal cannot be read or written; the saga waits");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            self.announce(id);
        }
    }

    async fn run_step(&self, id: &SagaId) -> Result<Next, DbError> {
        let (now, of) = (self.0.env.now(), id.clone());
        let record = self
            .0
            .db
            .write(move |tx| {
                if !store::lease(tx, &of, now, now.plus_secs(LEASE_S))? {
                    return Ok(store::get(tx, &of)?.map(|record| (record, false)));
                }
                Ok::<_, DbError>(store::get(tx, &of)?.map(|record| (record, true)))
            })
            .await?;
        let record = match record {
            None => return Ok(Next::Ended),
            Some((record, _)) if record.status.is_final() => return Ok(Next::Ended),
            // Another node has it, or its time has not come.
            Some((_, false)) => return Ok(Next::After(Duration::from_millis(WAIT_MIN_MS))),
            Some((record, true)) => record,
        };
        let Some(kind) = self.0.kinds.get(record.kind.as_str()) else {
            tracing::error!(saga = %id, kind = record.kind, "this version knows no such saga; it stays as it is");
            return Ok(Next::Ended);
        };
        if record.status == Status::Running { self.act(kind.as_ref(), record).await } else { self.undo(kind.as_ref(), record).await }
    }

    async fn act(&self, kind: &dyn Runnable, record: Record) -> Result<Next, DbError> {
        let names = kind.step_names();
        let Some(name) = names.get(record.step).copied() else {
            return Ok(Next::Ended);
        };
        let started = Instant::now();
        let cx = StepCx { saga: record.id.clone(), step: name, tries: record.tries, waited: record.waiting.clone() };
        match kind.act(record.step, cx, &record.state).await {
            Ok(state) => {
                let next = record.step + 1;
                let status = if next == names.len() { Status::Done } else { Status::Running };
                self.advance(&record, name, state, status, next, started).await
            }
            Err(StepError::Transient { why, after_ms }) => self.delay(&record, name, why, after_ms).await,
            Err(StepError::Waiting { on, after_ms }) => self.await_somebody(&record, name, &on, after_ms).await,
            Err(StepError::Permanent(failure)) => {
                tracing::warn!(saga = %record.id, step = name, code = failure.code, message = failure.message, "a saga turns round");
                // The failed step is undone too: it may have done half of its work.
                self.turn(&record, Status::Undoing, record.step + 1, failure).await
            }
        }
    }

    async fn undo(&self, kind: &dyn Runnable, record: Record) -> Result<Next, DbError> {
        let names = kind.step_names();
        let Some((number, name)) = record.step.checked_sub(1).and_then(|i| names.get(i).map(|name| (i, *name))) else {
            let failure = record.failure.clone().unwrap_or_else(unknown_failure);
            return self.turn(&record, Status::Undone, 0, failure).await.map(|_| Next::Ended);
        };
        let started = Instant::now();
        let cx = StepCx { saga: record.id.clone(), step: name, tries: record.tries, waited: record.waiting.clone() };
        let outcome = match kind.undo(number, cx, &record.state) {
            Some(undoing) => undoing.await,
            None => Ok(record.state.clone()),
        };
        match outcome {
            Ok(state) => {
                let status = if number == 0 { Status::Undone } else { Status::Undoing };
                self.advance(&record, name, state, status, number, started).await
            }
            Err(StepError::Transient { why, after_ms }) => self.delay(&record, name, why, after_ms).await,
            Err(StepError::Waiting { on, after_ms }) => self.await_somebody(&record, name, &on, after_ms).await,
            Err(StepError::Permanent(failure)) => {
                tracing::error!(saga = %record.id, step = name, code = failure.code, message = failure.message, "an undo failed: the saga is stuck");
                self.turn(&record, Status::Stuck, record.step, failure).await
            }
        }
    }

    async fn advance(
        &self,
        record: &Record,
        name: &'static str,
        state: String,
        status: Status,
        next: usize,
        started: Instant,
    ) -> Result<Next, DbError> {
        let (id, now, tries) = (record.id.clone(), self.0.env.now(), record.tries);
        let number = if matches!(status, Status::Undoing | Status::Undone) { next } else { next.saturating_sub(1) };
        let took_us = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.0
            .db
            .write(move |tx| {
                let done = StepDone { name, number, took_us, tries };
                store::advance(tx, &id, now, purser_values::Timestamp::EPOCH, &state, status, next, &done)
            })
            .await?;
        tracing::debug!(saga = %record.id, step = name, took_us, status = status.name(), "a step is done");
        if let Some(probe) = &self.0.probe {
            probe(&record.id, name, matches!(status, Status::Undoing | Status::Undone));
        }
        Ok(if status.is_final() { Next::Ended } else { Next::Now })
    }

    async fn turn(&self, record: &Record, status: Status, step: usize, failure: Failure) -> Result<Next, DbError> {
        let (id, now) = (record.id.clone(), self.0.env.now());
        self.0
            .db
            .write(move |tx| {
                store::turn(tx, &id, now, status, step, &failure)?;
                tx.execute("update saga set lease_until = 0 where id = $1", purser_db::params![id]).map(drop)
            })
            .await?;
        Ok(if status.is_final() { Next::Ended } else { Next::Now })
    }

    async fn delay(&self, record: &Record, name: &'static str, why: String, after_ms: Option<u64>) -> Result<Next, DbError> {
        let wait = after_ms.unwrap_or_else(|| back_off_ms(record.tries)).clamp(1, WAIT_MAX_MS);
        tracing::warn!(saga = %record.id, step = name, tries = record.tries, why, wait_ms = wait, "a step will be tried again");
        let (id, now) = (record.id.clone(), self.0.env.now());
        let run_at = now.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX));
        self.0.db.write(move |tx| store::delay(tx, &id, now, run_at, &why)).await?;
        Ok(Next::After(Duration::from_millis(wait)))
    }

    async fn await_somebody(&self, record: &Record, name: &'static str, on: &serde_json::Value, after_ms: u64) -> Result<Next, DbError> {
        if record.waiting.as_ref() != Some(on) {
            tracing::info!(saga = %record.id, step = name, "a saga waits for somebody");
        }
        let (id, now, on, wait) = (record.id.clone(), self.0.env.now(), on.to_string(), after_ms.clamp(1, WAIT_MAX_MS));
        let run_at = now.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX));
        self.0.db.write(move |tx| store::wait(tx, &id, now, run_at, &on)).await?;
        Ok(Next::After(Duration::from_millis(wait)))
    }

    fn announce(&self, id: &SagaId) {
        if let Some(changes) = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            changes.send_modify(|n| *n += 1);
        }
    }
}

enum Next {
    Now,
    After(Duration),
    Ended,
}

fn back_off_ms(tries: i64) -> u64 {
    WAIT_MIN_MS.saturating_mul(1 << tries.clamp(0, 8)).min(WAIT_MAX_MS)
}

fn unknown_failure() -> Failure {
    Failure {
        code: "saga_undone".to_owned(),
        kind: "internal".to_owned(),
        message: "the saga was undone".to_owned(),
        hint: None,
        details: None,
    }
}
