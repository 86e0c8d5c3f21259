//! `/metrics` in Prometheus' text format.
//!
//! Labels are routes, statuses, states and codes, all from closed lists of ours: no id, no address, no name that somebody chose, so
//! that neither the number of series nor what they tell grows with the people here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use prometheus::{Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use purser_db::{DbError, Tx};
use purser_http::Problem;
use purser_http::around::{Answer, Around};

use super::Ops;
use super::drain::Phase;

/// From a memory look-up to a held poll, in seconds.
const REQUEST_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// A commit on a good disk to one on a bad day, in seconds.
const COMMIT_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

pub type MetricsError = prometheus::Error;

/// The code of a refusal that was shown as a page, for counting.
#[derive(Clone, Debug)]
pub struct RefusedCode(pub String);

#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    refusals: IntCounterVec,
    commit: Histogram,
    sagas: IntGaugeVec,
    jobs: IntGaugeVec,
    holds: IntGaugeVec,
    differences: IntGauge,
    audit_head: IntGauge,
    draining: IntGauge,
}

impl Metrics {
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let inner = Inner {
            requests: IntCounterVec::new(Opts::new("purser_http_requests_total", "Requests answered"), &["method", "route", "status"])?,
            duration: HistogramVec::new(
                HistogramOpts::new("purser_http_request_duration_seconds", "Time from the head of a request to the head of its answer")
                    .buckets(REQUEST_BUCKETS.to_vec()),
                &["method", "route"],
            )?,
            refusals: IntCounterVec::new(Opts::new("purser_refusals_total", "Requests refused, by the code of the refusal"), &["code"])?,
            commit: Histogram::with_opts(
                HistogramOpts::new("purser_db_commit_duration_seconds", "Time of one durable commit").buckets(COMMIT_BUCKETS.to_vec()),
            )?,
            sagas: IntGaugeVec::new(Opts::new("purser_sagas", "Sagas that are not over, and those that are stuck"), &["kind", "state"])?,
            jobs: IntGaugeVec::new(Opts::new("purser_jobs", "Jobs: waiting, tried before, and parked for a person"), &["kind", "state"])?,
            holds: IntGaugeVec::new(Opts::new("purser_holds", "Holds on money that are not over"), &["state"])?,
            differences: IntGauge::new(
                "purser_ledger_differences",
                "Ways in which the ledger does not add up; any above nought is an alarm",
            )?,
            audit_head: IntGauge::new("purser_audit_head", "Number of the last entry of the audit log")?,
            draining: IntGauge::new("purser_draining", "1 while the process is stopping")?,
            registry,
        };
        let all: [Box<dyn prometheus::core::Collector>; 10] = [
            Box::new(inner.requests.clone()),
            Box::new(inner.duration.clone()),
            Box::new(inner.refusals.clone()),
            Box::new(inner.commit.clone()),
            Box::new(inner.sagas.clone()),
            Box::new(inner.jobs.clone()),
            Box::new(inner.holds.clone()),
            Box::new(inner.differences.clone()),
            Box::new(inner.audit_head.clone()),
            Box::new(inner.draining.clone()),
        ];
        for metric in all {
            inner.registry.register(metric)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    pub fn commit_took(&self, took: Duration) {
        self.0.commit.observe(took.as_secs_f64());
    }

    fn answered(&self, method: &str, route: &str, response: &Response, took: Duration) {
        self.0.requests.with_label_values(&[method, route, response.status().as_str()]).inc();
        self.0.duration.with_label_values(&[method, route]).observe(took.as_secs_f64());
        let extensions = response.extensions();
        let refused =
            extensions.get::<Problem>().map(|p| p.code.as_str()).or_else(|| extensions.get::<RefusedCode>().map(|c| c.0.as_str()));
        if let Some(code) = refused {
            self.0.refusals.with_label_values(&[code]).inc();
        }
    }

    fn show(&self, counts: &Counts, phase: Phase) -> Result<Vec<u8>, MetricsError> {
        let inner = &self.0;
        for (gauge, rows) in [(&inner.sagas, &counts.sagas), (&inner.jobs, &counts.jobs)] {
            gauge.reset();
            for (kind, state, count) in rows {
                gauge.with_label_values(&[kind.as_str(), state.as_str()]).set(*count);
            }
        }
        inner.holds.reset();
        for (state, count) in &counts.holds {
            inner.holds.with_label_values(&[state.as_str()]).set(*count);
        }
        inner.differences.set(counts.differences);
        inner.audit_head.set(counts.audit_head);
        inner.draining.set(i64::from(phase != Phase::Serving));
        let mut text = Vec::new();
        TextEncoder::new().encode(&inner.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// What is counted where it lies.
struct Counts {
    sagas: Vec<(String, String, i64)>,
    jobs: Vec<(String, String, i64)>,
    holds: Vec<(String, i64)>,
    differences: i64,
    audit_head: i64,
}

fn count(tx: &mut Tx<'_>) -> Result<Counts, DbError> {
    Ok(Counts {
        sagas: purser_flow::standing_by_kind(tx)?,
        jobs: purser_db::jobs::waiting(tx)?,
        holds: purser_spend::hold::open_by_state(tx)?,
        differences: i64::try_from(purser_spend::reconcile::all(tx)?.len()).unwrap_or(i64::MAX),
        audit_head: purser_audit::head_number(tx)?,
    })
}

pub async fn get(State(ops): State<Ops>) -> Response {
    let counts = match ops.core.db.read(count).await {
        Ok(counts) => counts,
        Err(e) => return Problem::from(e).into_response(),
    };
    match ops.metrics.show(&counts, ops.drain.phase()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(e) => Problem::internal(&e).into_response(),
    }
}

/// The layer that counts. The route is the one that was matched, never the path that was asked for.
impl Around for Metrics {
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let began = Instant::now();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let method = known(request.method());
        let (metrics, answer) = (self.clone(), within(request));
        Box::pin(async move {
            let response = answer.await;
            metrics.answered(method, route.as_ref().map_or("unmatched", MatchedPath::as_str), &response, began.elapsed());
            response
        })
    }
}

/// A client can send any word as its method.
fn known(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
