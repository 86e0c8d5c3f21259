//! Bringing messages to the Workers that consume them.
//!
//! One loop for each process looks for batches that are due; several processes may, since a batch is taken under a lease. What a Worker does
//! not answer for in time comes back by itself.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use purser_db::params;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;

use super::consumer::of_queue;
use super::metrics::{self, Metrics};
use super::settle::Fate;
use super::take::{Batch, Taken, take};
use crate::error::StoreError;
use crate::limits;
use crate::stores::Stores;

/// Time between two looks when nothing is sent here: others may have sent, and delays end.
const LOOK: Duration = Duration::from_millis(500);

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The fate of each message by its id; of those that are not named, the first.
    Handled(Fate, HashMap<String, Fate>),
    /// Nobody saw it: there is no such Worker at present, or none could be started.
    Unseen,
}

/// Whoever runs Workers.
pub trait Deliver: Send + Sync + 'static {
    fn deliver<'a>(
        &'a self,
        to: &'a Consumer,
        messages: &'a [Taken],
        left: Metrics,
    ) -> Pin<Box<dyn Future<Output = Delivered> + Send + 'a>>;
}

/// A Worker that consumes a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consumer {
    pub account: CloudAccountId,
    pub queue_id: String,
    pub queue: String,
    pub script: String,
}

struct Due {
    consumer: Consumer,
    concurrency: usize,
}

impl Stores {
    /// Runs for ever; spawn it.
    pub async fn deliver(self, to: Arc<dyn Deliver>) {
        let working: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        loop {
            match self.due().await {
                Ok(due) => due.into_iter().for_each(|due| self.start(&due, &to, &working)),
                Err(e) => tracing::error!(error = ?e, "messages of queues are not delivered at present"),
            }
            // whichever is first: something was sent or settled here, or the time for a look has come
            let _ = tokio::time::timeout(LOOK, self.inner().queued.notified()).await;
        }
    }

    /// Consumers with a batch that is full or has waited long enough.
    async fn due(&self) -> Result<Vec<Due>, StoreError> {
        let now = self.inner().env.now();
        self.look(move |tx| {
            let waiting = "select queue, count(*) as n, min(visible_at) as since from queue_message where visible_at <= $1 and expires_at > $1 group by queue";
            let mut due = Vec::new();
            for row in tx.query(waiting, params![now])? {
                let (queue_id, count, since): (String, i64, Timestamp) = (row.get("queue")?, row.get("n")?, row.get("since")?);
                let Some(consumer) = of_queue(tx, &queue_id)? else { continue };
                let Some(script) = consumer.script else { continue };
                let full = count >= consumer.settings.batch_size;
                if !full && now.micros_since(since) < consumer.settings.max_wait_ms.saturating_mul(1_000) {
                    continue;
                }
                let row = tx.query_opt("select account, name from queue where id = $1 and paused = 0", params![queue_id])?;
                let Some(row) = row else { continue };
                let concurrency = consumer.settings.max_concurrency.and_then(|n| usize::try_from(n).ok());
                let concurrency = concurrency.unwrap_or(limits::QUEUE_CONCURRENCY).min(limits::QUEUE_CONCURRENCY);
                due.push(Due { consumer: Consumer { account: row.parse("account")?, queue_id, queue: row.get("name")?, script }, concurrency });
            }
            Ok(due)
        })
        .await
    }

    fn start(&self, due: &Due, to: &Arc<dyn Deliver>, working: &Arc<Mutex<HashMap<String, usize>>>) {
        let busy = |change: &dyn Fn(&mut usize)| {
            let mut all = working.lock().unwrap_or_else(PoisonError::into_inner);
            let count = all.entry(due.consumer.queue_id.clone()).or_default();
            change(count);
            *count
        };
        if busy(&|_| {}) >= due.concurrency {
            return;
        }
        busy(&|count| *count += 1);
        let (this, to, consumer, working) = (self.clone(), to.clone(), due.consumer.clone(), working.clone());
        tokio::spawn(async move {
            if let Err(e) = this.batch(&consumer, to.as_ref()).await {
                tracing::error!(queue = consumer.queue, error = ?e, "a batch of messages was not settled; it is delivered again");
            }
            let mut all = working.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = all.get_mut(&consumer.queue_id) {
                *count -= 1;
            }
            all.retain(|_, count| *count > 0);
            drop(all);
            this.inner().queued.notify_one();
        });
    }

    async fn batch(&self, to: &Consumer, worker: &dyn Deliver) -> Result<(), StoreError> {
        let (queue, env) = (to.queue_id.clone(), self.inner().env.clone());
        let taken = self.inner().db.write(move |tx| -> Result<(Batch, Metrics), StoreError> {
            let Some(consumer) = of_queue(tx, &queue)? else {
                return Ok((Batch { lease: String::new(), messages: Vec::new(), backlog: 0 }, Metrics::default()));
            };
            let batch = take(tx, &env, &queue, consumer.settings.batch_size, limits::QUEUE_LEASE_MS)?;
            Ok((batch, metrics::of(tx, &queue)?))
        });
        let (batch, left) = taken.await?;
        if batch.messages.is_empty() {
            return Ok(());
        }
        let delivered = worker.deliver(to, &batch.messages, left).await;
        let fates = batch.messages.iter().map(|message| {
            let fate = match &delivered {
                Delivered::Unseen => Fate::Unseen(limits::QUEUE_UNSEEN_S),
                Delivered::Handled(others, named) => named.get(&message.id).unwrap_or(others).clone(),
            };
            (batch.lease.clone(), message.id.clone(), fate)
        });
        match self.queue_settle(&to.account, &to.queue_id, fates.collect()).await {
            // the queue was deleted meanwhile
            Err(StoreError::NotFound(_)) => Ok(()),
            settled => settled.map(drop),
        }
    }
}
