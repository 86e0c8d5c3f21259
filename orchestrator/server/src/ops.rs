//! What the people who run the orchestrator need: is it alive, is it ready, what does it do, and how does it stop.

pub mod drain;
pub mod health;
pub mod metrics;
pub mod one_host;
pub mod request_id;

use axum::Router;
use axum::routing::get;
use purser_provisioning::Core;

use drain::Drain;
use health::Readiness;
use metrics::Metrics;

/// Cheap to clone.
#[derive(Clone)]
pub struct Ops {
    pub core: Core,
    pub drain: Drain,
    pub metrics: Metrics,
    pub readiness: Readiness,
}

impl Ops {
    /// # Errors
    /// When two metrics have one name.
    pub fn new(core: Core) -> Result<Self, metrics::MetricsError> {
        let metrics = Metrics::new()?;
        let observed = metrics.clone();
        core.db.observe_commits(move |took| observed.commit_took(took));
        Ok(Self { readiness: Readiness::new(core.clone()), drain: Drain::default(), metrics, core })
    }

    /// Whether the process lives and whether it can be given work. Nobody is asked who they are.
    pub fn probes(&self) -> Router {
        Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready)).with_state(self.clone())
    }

    /// The numbers. Not for strangers: they have a listener of their own, and are on the public one in a sandbox only.
    pub fn numbers(&self) -> Router {
        Router::new().route("/metrics", get(metrics::get)).with_state(self.clone())
    }
}
