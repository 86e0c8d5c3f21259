//! Stopping without losing a request.
//!
//! On the signal `/readyz` says 503, so that a load balancer sends no more; after the notice new requests are refused with 503,
//! `Retry-After` and the code `draining`, which says that nothing was begun; what is under way has a little time to end, and what
//! waits longer (a held poll) is answered `interrupted`: it may have had its effect, and is repeated with the same key. A client
//! that repeats both loses nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use purser_http::Problem;
use purser_http::around::{Answer, Around};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How long each phase may last.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a load balancer to notice that we are stopping.
    pub notice: Duration,
    /// For requests under way to end.
    pub grace: Duration,
    /// For those that were interrupted to be answered.
    pub interrupt: Duration,
}

impl Patience {
    #[must_use]
    pub const fn after(notice: Duration) -> Self {
        Self { notice, grace: Duration::from_secs(3), interrupt: Duration::from_secs(2) }
    }
}
/// What a refused client is asked to wait, in seconds: a restart fits in.
const RETRY_AFTER_S: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Not ready for more, but whatever comes is served.
    Announced,
    /// New requests are refused.
    Refusing,
    /// Those under way are interrupted.
    Interrupting,
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    under_way: TaskTracker,
}

impl Default for Drain {
    fn default() -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Serving)), under_way: TaskTracker::new() }
    }
}

impl Drain {
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Goes through the phases, and ends when nothing is under way or no more patience is left.
    pub async fn run(self, patience: Patience) {
        self.phase.send_replace(Phase::Announced);
        tracing::info!(notice_ms = patience.notice.as_millis(), "stopping: `/readyz` says so");
        tokio::time::sleep(patience.notice).await;
        for (phase, patience) in [(Phase::Refusing, patience.grace), (Phase::Interrupting, patience.interrupt)] {
            self.phase.send_replace(phase);
            self.under_way.close();
            if tokio::time::timeout(patience, self.under_way.wait()).await.is_ok() {
                return;
            }
        }
        tracing::warn!(under_way = self.under_way.len(), "requests under way were cut off");
    }

    async fn interrupted(&self) {
        let mut phase = self.phase.subscribe();
        if phase.wait_for(|phase| *phase == Phase::Interrupting).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The layer around every route but the probes.
impl Around for Drain {
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        // Counted before the phase is looked at, so that no request slips in between the two.
        let under_way = self.under_way.token();
        if self.phase() >= Phase::Refusing {
            return Box::pin(async { refuse("draining", "the orchestrator is restarting; nothing was begun") });
        }
        let (drain, answer) = (self.clone(), within(request));
        Box::pin(async move {
            let _under_way = under_way;
            tokio::select! {
                biased;
                response = answer => response,
                () = drain.interrupted() => refuse("interrupted", "the orchestrator is restarting, and the answer is not known yet"),
            }
        })
    }
}

fn refuse(code: &str, detail: &str) -> Response {
    let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        .hint("repeat the same request with the same `Idempotency-Key`")
        .fact("kind", "unavailable");
    problem.retry_after = Some(RETRY_AFTER_S);
    let mut response = problem.into_response();
    // The next request is to find the process that comes after this one.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use purser_http::around::AroundLayer;
    use tower::ServiceExt as _;

    const STEP: Duration = Duration::from_millis(400);
    const SHORT: Patience = Patience { notice: STEP, grace: STEP, interrupt: STEP };

    fn router(drain: &Drain) -> Router {
        let slow = || async {
            tokio::time::sleep(STEP.mul_f32(1.5)).await;
            "done"
        };
        let router = Router::new()
            .route("/quick", get(|| async { "done" }))
            .route("/slow", get(slow))
            .route("/held", get(|| async { std::future::pending::<String>().await }));
        router.layer(AroundLayer(drain.clone()))
    }

    async fn ask(router: Router, path: &str) -> Response {
        router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn reached(drain: &Drain, phase: Phase) {
        drain.phase.subscribe().wait_for(|now| *now == phase).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_under_way_ends_what_is_new_is_told_to_come_again_and_what_waits_is_interrupted() {
        let drain = Drain::default();
        let router = router(&drain);
        let (slow, held) = (tokio::spawn(ask(router.clone(), "/slow")), tokio::spawn(ask(router.clone(), "/held")));
        while drain.under_way.len() < 2 {
            tokio::task::yield_now().await;
        }
        let running = tokio::spawn(drain.clone().run(SHORT));
        reached(&drain, Phase::Announced).await;
        assert_eq!(ask(router.clone(), "/quick").await.status(), StatusCode::OK, "who comes during the notice is served");
        reached(&drain, Phase::Refusing).await;
        let refused = ask(router.clone(), "/quick").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (&refused.headers()[header::RETRY_AFTER], &refused.headers()[header::CONNECTION]),
            (&"1".parse().unwrap(), &"close".parse().unwrap())
        );
        assert_eq!(slow.await.unwrap().status(), StatusCode::OK, "what was under way was cut off");
        let held = held.await.unwrap();
        assert_eq!(held.extensions().get::<Problem>().unwrap().code, "interrupted");
        running.await.unwrap();
    }

    #[tokio::test]
    async fn with_nothing_under_way_a_stop_takes_no_time() {
        let run = Drain::default().run(Patience { notice: Duration::ZERO, ..Patience::after(Duration::ZERO) });
        assert!(tokio::time::timeout(Duration::from_secs(1), run).await.is_ok());
    }
}
