//! slipway against the black-box tester that other people's providers are tested with.

use crate::support::{SECRET, World};
use purser_conformance::options::Options;
use purser_conformance::report::Verdict;
use purser_conformance::run;
use purser_values::Env;

#[tokio::test]
async fn slipway_passes_the_conformance_tester() {
    let Some(world) = World::start().await else { return };
    let attestor = world.stub.attestor();
    let mut options = Options::new(Env::system(), world.config.public_url.clone(), SECRET.to_owned().into());
    options.attestor = Some(attestor);
    options.payment = Some(world.stub.clone());
    let report = run(options).await;
    let failed: Vec<_> = report.checks.iter().filter(|c| matches!(c.verdict, Verdict::Fail | Verdict::Warn)).collect();
    assert!(failed.is_empty(), "{}", report.render_text());
}
