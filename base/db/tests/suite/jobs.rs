//! Whose a job is: leases that are renewed, handed back or run out; and lanes, on both engines.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use purser_db::jobs::{self, Handler, Job, NewJob, Runner};
use purser_db::testing::each_engine;
use purser_db::{Db, DbError, Migrations};
use purser_values::Env;
use serde_json::json;

const TABLES: &[Migrations] = &[purser_db::MIGRATIONS];

/// Within this, what another process held is taken up: an alert is told within two seconds of a restart.
const PROMISE: Duration = Duration::from_secs(2);

/// Counts how often it began, and never ends.
fn endless(begun: &Arc<AtomicUsize>) -> Handler {
    let begun = begun.clone();
    Arc::new(move |_: Job| {
        begun.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    })
}

fn counting(done: &Arc<AtomicUsize>, takes: Duration) -> Handler {
    let done = done.clone();
    Arc::new(move |_: Job| {
        let done = done.clone();
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    })
}

fn runner(db: &Db, handlers: impl IntoIterator<Item = (&'static str, Handler)>) -> Runner {
    Runner::new(db.clone(), Env::system(), HashMap::from_iter(handlers), Arc::default())
}

async fn enqueue(db: &Db, kind: &'static str, lane: Option<&str>) {
    let job = NewJob { lane: lane.map(str::to_owned), ..NewJob::now(&Env::system(), kind, json!({})) };
    db.write::<_, DbError, _>(move |tx| jobs::enqueue(tx, &Env::system(), &job)).await.unwrap();
}

/// How long it took until the number was reached.
async fn until(number: &Arc<AtomicUsize>, reached: usize, patience: Duration) -> Duration {
    let began = Instant::now();
    while number.load(Ordering::SeqCst) < reached {
        assert!(began.elapsed() < patience, "{} of {reached} after {patience:?}", number.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_held_when_it_died_is_taken_up_within_two_seconds() {
    each_engine(TABLES, |db| async move {
        let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        enqueue(&db, "mail", None).await;
        enqueue(&db, "mail", Some("slow")).await;
        process.spawn(runner(&db, [("mail", endless(&begun))]).run());
        until(&begun, 2, LONG).await;
        // longer than a lease: it is renewed as long as the process lives
        tokio::time::sleep(PROMISE).await;
        let next = runner(&db, [("mail", counting(&done, Duration::ZERO))]);
        let following = tokio::spawn(next.clone().run());
        tokio::time::sleep(PROMISE).await;
        assert_eq!((begun.load(Ordering::SeqCst), done.load(Ordering::SeqCst)), (2, 0), "a job that runs was taken away");
        process.shutdown_background();
        let took = until(&done, 2, LONG).await;
        assert!(took < PROMISE, "taken up after {took:?}");
        next.stop().await;
        following.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_asked_to_end_hands_back_what_it_has_not_done_and_finishes_what_it_can() {
    each_engine(TABLES, |db| async move {
        let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let first = runner(&db, [("never", endless(&begun)), ("short", counting(&done, Duration::from_millis(300)))]);
        tokio::spawn(first.clone().run());
        enqueue(&db, "never", None).await;
        until(&begun, 1, LONG).await;
        enqueue(&db, "short", None).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        first.stop().await;
        assert_eq!(done.load(Ordering::SeqCst), 1, "what ends in time ends");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let handler: Handler = Arc::new(move |job: Job| {
            noted.lock().unwrap().push(job.attempts);
            Box::pin(async { Ok(()) })
        });
        let next = runner(&db, [("never", handler)]);
        assert_eq!(next.run_due().await.unwrap(), 1, "it is there at once");
        assert_eq!(*seen.lock().unwrap(), [1], "the try that was cut off does not count");
        enqueue(&db, "short", None).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(done.load(Ordering::SeqCst), 1, "a process that ends takes nothing more");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_hangs_keeps_neither_another_lane_nor_anything_else_waiting() {
    each_engine(TABLES, |db| async move {
        let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for lane in 0..40 {
            for _ in 0..4 {
                enqueue(&db, "hang", Some(&format!("lane{lane}"))).await;
            }
        }
        let runner = runner(&db, [("hang", endless(&begun)), ("quick", counting(&done, Duration::ZERO))]);
        tokio::spawn(runner.clone().run());
        until(&begun, 80, LONG).await;
        enqueue(&db, "quick", None).await;
        enqueue(&db, "quick", Some("another")).await;
        let took = until(&done, 2, LONG).await;
        assert!(took < PROMISE, "kept waiting for {took:?}");
        tokio::time::sleep(PROMISE).await;
        assert_eq!(begun.load(Ordering::SeqCst), 80, "more than two of a lane at once");
        runner.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_panics_is_tried_again_later_and_not_at_once() {
    each_engine(TABLES, |db| async move {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = begun.clone();
        let handler: Handler = Arc::new(move |_: Job| {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { panic!("a defect") })
        });
        let runner = runner(&db, [("bad", handler)]);
        enqueue(&db, "bad", None).await;
        assert_eq!((runner.run_due().await.unwrap(), runner.run_due().await.unwrap()), (1, 0));
        let waiting = db.read::<_, DbError, _>(jobs::waiting).await.unwrap();
        assert_eq!(waiting, [("bad".to_owned(), "retrying".to_owned(), 1)]);
    })
    .await;
}
