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
    world.customer("ada").await;
    options.known_email = Some("ada@example.test".to_owned());
    let report = run(options).await;
    let failed: Vec<_> = report.checks.iter().filter(|c| matches!(c.verdict, Verdict::Fail | Verdict::Warn)).collect();
    assert!(failed.is_empty(), "{}", report.render_text());
    for number in [42, 43] {
        assert_eq!(report.check(number).unwrap().verdict, Verdict::Pass, "check {number} of the owner's page: {}", report.render_text());
    }
}
