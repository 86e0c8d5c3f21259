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

/// Queues that a Worker consumes, with as many of their messages that are due as fill the largest batch, and the time since when the first is.
const WAITING: &str = "select q.id, q.account, q.name, c.script, c.batch_size, c.max_wait_ms, c.max_concurrency,
        (select count(*) from (select 1 from queue_message m where m.queue = q.id and m.visible_at <= $1 and m.expires_at > $1
            order by m.visible_at limit $2) as batch) as n,
        (select m.visible_at from queue_message m where m.queue = q.id and m.visible_at <= $1 and m.expires_at > $1
            order by m.visible_at limit 1) as since
    from queue q join queue_consumer c on c.queue = q.id
    where q.messages > 0 and q.paused = 0 and c.script is not null";

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

/// Batches that are under way in this process. Each is held in memory until its Worker has answered.
#[derive(Default)]
struct Working {
    queues: HashMap<String, usize>,
    accounts: HashMap<CloudAccountId, usize>,
    all: usize,
}

impl Working {
    /// Counts one more, where there is a place.
    fn begin(&mut self, due: &Due) -> bool {
        let Consumer { account, queue_id, .. } = &due.consumer;
        let fits = self.queues.get(queue_id).is_none_or(|n| *n < due.concurrency)
            && self.accounts.get(account).is_none_or(|n| *n < limits::QUEUE_CONCURRENCY_EACH)
            && self.all < limits::QUEUE_CONCURRENCY_ALL;
        if fits {
            *self.queues.entry(queue_id.clone()).or_default() += 1;
            *self.accounts.entry(account.clone()).or_default() += 1;
            self.all += 1;
        }
        fits
    }

    fn end(&mut self, consumer: &Consumer) {
        fn less<K: std::hash::Hash + Eq>(all: &mut HashMap<K, usize>, key: &K) {
            if let Some(count) = all.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    all.remove(key);
                }
            }
        }
        less(&mut self.queues, &consumer.queue_id);
        less(&mut self.accounts, &consumer.account);
        self.all -= 1;
    }
}

impl Stores {
    /// Runs for ever; spawn it.
    pub async fn deliver(self, to: Arc<dyn Deliver>) {
        let working: Arc<Mutex<Working>> = Arc::default();
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
            // From the consumers to their messages, and of these no more than fill a batch: what nobody takes, and how much there is of
            // anything, costs others nothing.
            let mut due = Vec::new();
            for row in tx.query(WAITING, params![now, limits::QUEUE_BATCH])? {
                let Some(since) = row.get::<Option<Timestamp>>("since")? else { continue };
                let full = row.get::<i64>("n")? >= row.get::<i64>("batch_size")?;
                if !full && now.micros_since(since) < row.get::<i64>("max_wait_ms")?.saturating_mul(1_000) {
                    continue;
                }
                let concurrency = row.get::<Option<i64>>("max_concurrency")?.and_then(|n| usize::try_from(n).ok());
                let concurrency = concurrency.unwrap_or(limits::QUEUE_CONCURRENCY).min(limits::QUEUE_CONCURRENCY);
                let (queue_id, queue, script) = (row.get("id")?, row.get("name")?, row.get("script")?);
                due.push(Due { consumer: Consumer { account: row.parse("account")?, queue_id, queue, script }, concurrency });
            }
            Ok(due)
        })
        .await
    }

    fn start(&self, due: &Due, to: &Arc<dyn Deliver>, working: &Arc<Mutex<Working>>) {
        if !working.lock().unwrap_or_else(PoisonError::into_inner).begin(due) {
            return;
        }
        let (this, to, consumer, working) = (self.clone(), to.clone(), due.consumer.clone(), working.clone());
        tokio::spawn(async move {
            if let Err(e) = this.batch(&consumer, to.as_ref()).await {
                tracing::error!(queue = consumer.queue, error = ?e, "a batch of messages was not settled; it is delivered again");
            }
            working.lock().unwrap_or_else(PoisonError::into_inner).end(&consumer);
            this.inner().queued.notify_one();
        });
    }

    async fn batch(&self, to: &Consumer, worker: &dyn Deliver) -> Result<(), StoreError> {
        let (account, queue, env) = (to.account.clone(), to.queue_id.clone(), self.inner().env.clone());
        let taken = self.inner().db.write(move |tx| -> Result<(Batch, Metrics), StoreError> {
            let Some(consumer) = of_queue(tx, &queue)? else {
                return Ok((Batch { lease: String::new(), messages: Vec::new(), backlog: 0 }, Metrics::default()));
            };
            let batch = take(tx, &env, &account, &queue, &consumer, consumer.settings.batch_size, limits::QUEUE_LEASE_MS)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use purser_db::testing::{START, each_engine, sqlite};
    use purser_values::Env;

    use super::*;
    use crate::queue::Content;
    use crate::queue::consumer::Settings;
    use crate::queue::manage::Change;
    use crate::queue::send::{Message, To};
    use crate::store::MIGRATIONS;
    use crate::stores::StoresConfig;

    fn open(db: purser_db::Db, folder: &std::path::Path) -> (Stores, CloudAccountId, Arc<purser_values::env::TestClock>) {
        let (env, clock) = Env::test(START, 5);
        let stores = Stores::open(&StoresConfig { data: folder.to_owned(), s3: None }, db, env.clone()).unwrap();
        (stores, CloudAccountId::mint(&env), clock)
    }

    async fn queue(stores: &Stores, account: &CloudAccountId, name: &str, messages: usize) -> String {
        let id = stores.queue_create(account, Change { name: Some(name.into()), ..Change::default() }).await.unwrap().id;
        let messages = (0..messages).map(|_| Message { content: Content::Text, body: b"m".to_vec(), delay_s: None }).collect::<Vec<_>>();
        if !messages.is_empty() {
            stores.queue_send(account, To::Id(id.clone()), messages).await.unwrap();
        }
        id
    }

    #[tokio::test]
    async fn batches_are_due_where_a_worker_takes_them_and_they_are_full_or_waited() {
        each_engine(&[MIGRATIONS], |db| async move {
            let folder = tempfile::tempdir().unwrap();
            let (stores, account, clock) = open(db, folder.path());
            for (name, messages, consumed, paused) in [
                ("full", 4, true, false),
                ("few", 2, true, false),
                ("paused", 4, true, true),
                ("nobodys", 4, false, false),
                ("none", 0, true, false),
            ] {
                let id = queue(&stores, &account, name, messages).await;
                let script = consumed.then(|| "w".to_owned());
                let settings = Settings { batch_size: 3, max_wait_ms: 5_000, ..Settings::default() };
                stores.queue_consume(&account, &id, script, None, settings).await.unwrap();
                stores.queue_change(&account, &id, Change { paused: Some(paused), ..Change::default() }).await.unwrap();
            }
            let due = async || {
                let mut names: Vec<String> = stores.due().await.unwrap().into_iter().map(|due| due.consumer.queue).collect();
                names.sort();
                names
            };
            assert_eq!(due().await, ["full"]);
            clock.advance_secs(6);
            assert_eq!(due().await, ["few", "full"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_batch_holds_so_many_bytes_and_an_account_so_many_batches() {
        let (folder, db) = (tempfile::tempdir().unwrap(), sqlite(&[MIGRATIONS]).await);
        let (stores, account, _) = open(db.clone(), folder.path());
        let id = queue(&stores, &account, "large", 0).await;
        for _ in 0..10 {
            let body = vec![b'm'; limits::QUEUE_MESSAGE_BYTES];
            stores.queue_send(&account, To::Id(id.clone()), vec![Message { content: Content::Text, body, delay_s: None }]).await.unwrap();
        }
        let consumer =
            stores.queue_consume(&account, &id, Some("w".into()), None, Settings { batch_size: 100, ..Settings::default() }).await.unwrap();
        let (env, of, queue_id) = (stores.inner().env.clone(), account.clone(), id.clone());
        let batch = db.write(move |tx| take(tx, &env, &of, &queue_id, &consumer, 100, 1_000)).await.unwrap();
        assert_eq!(batch.messages.len(), limits::QUEUE_BATCH_BYTES / limits::QUEUE_MESSAGE_BYTES);

        let mut working = Working::default();
        let due = |account: &CloudAccountId, n: usize| {
            let consumer =
                super::Consumer { account: account.clone(), queue_id: n.to_string(), queue: String::new(), script: String::new() };
            Due { consumer, concurrency: 1 }
        };
        let begun = (0..100).filter(|n| working.begin(&due(&account, *n))).count();
        assert_eq!(begun, limits::QUEUE_CONCURRENCY_EACH);
        let other = CloudAccountId::mint(&stores.inner().env);
        assert!(working.begin(&due(&other, 1_000)), "another account waits");
        working.end(&due(&account, 0).consumer);
        assert!(working.begin(&due(&account, 0)));
    }

    #[tokio::test]
    async fn a_queue_is_not_its_own_dead_letter_queue_and_what_is_buried_ends_with_its_time() {
        let (folder, db) = (tempfile::tempdir().unwrap(), sqlite(&[MIGRATIONS]).await);
        let (stores, account, clock) = open(db.clone(), folder.path());
        let (one, other) = (queue(&stores, &account, "one", 1).await, queue(&stores, &account, "other", 0).await);
        let settings = Settings { max_retries: 0, visibility_ms: 1_000, ..Settings::default() };
        assert!(stores.queue_consume(&account, &one, None, Some("one".into()), settings).await.is_err());
        // two that name each other go round until the message's time is over
        let made = stores.queue_consume(&account, &one, None, Some("other".into()), settings).await.unwrap();
        assert!(stores.queue_consumer_change(&account, &one, &made.id, Some("one".into()), settings).await.is_err());
        stores.queue_consume(&account, &other, None, Some("one".into()), settings).await.unwrap();
        for _ in 0..3 {
            clock.advance_secs(limits::QUEUE_RETENTION_S / 4);
            for id in [&one, &other] {
                stores.queue_pull(&account, id, None, None).await.unwrap();
                clock.advance_secs(2);
                stores.queue_pull(&account, id, None, None).await.unwrap();
            }
        }
        clock.advance_secs(limits::QUEUE_RETENTION_S / 4 + 1);
        for id in [&one, &other] {
            assert!(stores.queue_pull(&account, id, None, None).await.unwrap().messages.is_empty(), "a circle prolongs a message's life");
        }
    }

    #[tokio::test]
    async fn a_look_for_batches_reads_no_message_that_does_not_fill_one() {
        let db = sqlite(&[MIGRATIONS]).await;
        let explain: &'static str = format!("explain query plan {WAITING}").leak();
        let plan = db.read(move |tx| tx.query(explain, params![0_i64, limits::QUEUE_BATCH])).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail").unwrap()).collect();
        assert_eq!(
            plan.iter().filter(|step| step.contains("SEARCH m USING INDEX queue_message_due (queue=? AND visible_at<?)")).count(),
            2,
            "{plan:#?}"
        );
        assert!(plan.iter().any(|step| step.contains("queue_with_messages")), "{plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN m") || step.contains("B-TREE")), "{plan:#?}");
    }

    #[tokio::test]
    async fn what_is_pulled_and_never_settled_comes_to_the_dead_after_its_last_try() {
        let (folder, db) = (tempfile::tempdir().unwrap(), sqlite(&[MIGRATIONS]).await);
        let (stores, account, clock) = open(db, folder.path());
        let (dead, id) = (queue(&stores, &account, "dead", 0).await, queue(&stores, &account, "pulled", 1).await);
        let settings = Settings { max_retries: 1, visibility_ms: 1_000, ..Settings::default() };
        stores.queue_consume(&account, &id, None, Some("dead".into()), settings).await.unwrap();
        for attempt in [1, 2] {
            let batch = stores.queue_pull(&account, &id, None, None).await.unwrap();
            assert_eq!(batch.messages.iter().map(|message| message.attempts).collect::<Vec<_>>(), [attempt]);
            clock.advance_secs(2);
        }
        assert!(stores.queue_pull(&account, &id, None, None).await.unwrap().messages.is_empty(), "a third try of two");
        let count = async |id: &str| stores.queue_get(&account, id).await.unwrap().messages;
        assert_eq!((count(&id).await, count(&dead).await), (0, 1));
    }
}
