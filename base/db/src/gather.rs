//! Requests that go to the store together: what waits while one write is under way shares the next one.
//!
//! One transaction and one durable commit serve the whole batch, in the order in which the requests came, so callers that meet at
//! the same row wait for each other in memory and not in the store. A batch that fails for good is done again one by one: a bad
//! neighbour costs the others nothing but time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::db::Db;
use crate::error::DbError;
use crate::tx::Tx;

/// Most requests of one batch.
const BATCH: usize = 128;
/// Most requests that wait; further callers wait to be let in.
const WAITING: usize = 4_096;
/// Longest time that the next batch waits for those whom the last one has just answered. A batch costs a commit however few
/// share it, and callers in a loop come back at once.
const PATIENCE: Duration = Duration::from_micros(200);

/// The door to one kind of batch, cheap to clone. Its task ends with the last clone.
pub struct Gather<Q, A> {
    queue: mpsc::Sender<Waiting<Q, A>>,
}

struct Waiting<Q, A> {
    request: Q,
    reply: oneshot::Sender<Result<A, DbError>>,
}

impl<Q, A> Clone for Gather<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Q, A> std::fmt::Debug for Gather<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gather")
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Gather<Q, A> {
    /// Starts the task. `work` answers each request of a batch at its place; like every write it may run more than once.
    pub fn start<F>(db: Db, work: F) -> Self
    where
        F: Fn(&mut Tx<'_>, &[Q]) -> Result<Vec<A>, DbError> + Send + Sync + 'static,
    {
        let (queue, waiting) = mpsc::channel(WAITING);
        tokio::spawn(serve(db, waiting, Arc::new(work)));
        Self { queue }
    }

    /// The answer to one request, after the durable commit.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ask(&self, request: Q) -> Result<A, DbError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Waiting { request, reply }).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

async fn serve<Q, A, F>(db: Db, mut waiting: mpsc::Receiver<Waiting<Q, A>>, work: Arc<F>)
where
    Q: Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(&mut Tx<'_>, &[Q]) -> Result<Vec<A>, DbError> + Send + Sync + 'static,
{
    let mut batch = Vec::with_capacity(BATCH);
    let mut answered = 0;
    loop {
        if answered > 1 {
            let until = Instant::now() + PATIENCE;
            while waiting.len() < answered && Instant::now() < until {
                tokio::task::yield_now().await;
            }
        }
        if waiting.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        answered = batch.len();
        let (requests, replies): (Vec<Q>, Vec<_>) = batch.drain(..).map(|one| (one.request, one.reply)).unzip();
        let requests = Arc::new(requests);
        match write(&db, &work, &requests, 0..answered).await {
            Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(Ok(answer)))),
            Err(error) if answered == 1 || error.is_transient() => {
                replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
            }
            Err(_) => {
                for (n, reply) in replies.into_iter().enumerate() {
                    let alone = write(&db, &work, &requests, n..n + 1).await;
                    drop(reply.send(alone.and_then(|answers| answers.into_iter().next().ok_or_else(stopped))));
                }
            }
        }
    }
}

async fn write<Q, A, F>(db: &Db, work: &Arc<F>, requests: &Arc<Vec<Q>>, which: std::ops::Range<usize>) -> Result<Vec<A>, DbError>
where
    Q: Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(&mut Tx<'_>, &[Q]) -> Result<Vec<A>, DbError> + Send + Sync + 'static,
{
    let (work, requests) = (work.clone(), requests.clone());
    db.write(move |tx| {
        let some = requests.get(which.clone()).unwrap_or_default();
        let answers = work(tx, some)?;
        if answers.len() == some.len() { Ok(answers) } else { Err(DbError::Other("a batch did not answer each request".to_owned())) }
    })
    .await
}

fn stopped() -> DbError {
    DbError::Unavailable("its task has stopped".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each_engine;
    use crate::{Migrations, params};

    const TABLES: &[Migrations] = &[Migrations {
        domain: "gather",
        steps: &["create table taken (n {int} primary key){strict}; create table batch (size {int} not null){strict}"],
    }];

    /// Takes each number once; a negative one is a defect that fails its whole batch.
    fn take(tx: &mut Tx<'_>, numbers: &[i64]) -> Result<Vec<bool>, DbError> {
        if numbers.iter().any(|n| *n < 0) {
            return Err(DbError::Other("negative".to_owned()));
        }
        tx.execute("insert into batch (size) values ($1)", params![i64::try_from(numbers.len()).unwrap()])?;
        let insert = "insert into taken (n) values ($1) on conflict do nothing";
        numbers.iter().map(|n| Ok(tx.execute(insert, params![*n])? == 1)).collect()
    }

    #[tokio::test]
    async fn concurrent_requests_share_writes_and_each_gets_its_own_answer() {
        each_engine(TABLES, |db| async move {
            let gather = Gather::start(db.clone(), take);
            let asks: Vec<_> = (0..200)
                .map(|i| {
                    tokio::spawn({
                        let gather = gather.clone();
                        async move { gather.ask(i % 100).await }
                    })
                })
                .collect();
            let mut taken = 0;
            for ask in asks {
                taken += i32::from(ask.await.unwrap().unwrap());
            }
            assert_eq!(taken, 100, "each number was to be taken once");
            let batches = db.read::<_, DbError, _>(|tx| tx.query_one("select count(*) as n from batch", params![])?.get::<i64>("n"));
            assert!(batches.await.unwrap() < 100, "the requests did not share their writes");
        })
        .await;
    }

    #[tokio::test]
    async fn a_request_that_fails_its_batch_fails_alone() {
        each_engine(TABLES, |db| async move {
            let gather = Gather::start(db, take);
            let asks: Vec<_> = (0..50)
                .map(|i| {
                    tokio::spawn({
                        let gather = gather.clone();
                        async move { gather.ask(if i == 25 { -1 } else { i }).await }
                    })
                })
                .collect();
            for (i, ask) in asks.into_iter().enumerate() {
                assert_eq!(ask.await.unwrap().is_err(), i == 25, "request {i}");
            }
        })
        .await;
    }
}
