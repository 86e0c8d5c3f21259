//! What a plan's use costs is paid, also by somebody who removes the plan right after it.

use std::time::Duration;

use purser_tests::system::Half;
use purser_tests::{Ask, Choice, World, processes, store};
use serde_json::Value;

const PLAN: &str = "slipway/workers:paid";

/// What one agent spent, as it is told: captured, held.
fn position(spend: &Value) -> (i64, i64) {
    let position = |what: &str| spend["providers"][0][what]["amount_minor"].as_i64().unwrap_or_default();
    (position("captured"), position("held"))
}

/// 600 million milliseconds beyond what is included, at 0.02 a million, and not one request.
#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_set_aside_by_itself_and_paid_before_its_plan_is_gone() {
    let Some(world) = World::start().await else { return };
    let (mut ada, agent) = (world.person("ada"), world.agent("cruncher"));
    agent.login(&mut ada, Ask::ALL, &Choice::USUAL).await;
    agent.must(&["init", "cruncher"]).await;
    agent.must(&["add", PLAN]).await;
    let dir = world.system.dir.clone();
    let counted = "insert into bill_count (resource, number, script, meter, quantity)
                   select resource, number, 'hello', 'cpu_ms', 630000000 from bill_usage where state = 'open'";
    assert_eq!(store::tamper_in(&dir, "slipway.db", counted).await, 1);
    // whoever starts looks at every account
    assert!(world.system.kill(Half::Cloud));
    processes::until("money for the use", Duration::from_secs(30), async || {
        (position(&agent.must(&["spend"]).await) == (5_00, 15_00)).then_some(())
    })
    .await;
    agent.must(&["remove", "workers-paid", "--yes"]).await;
    let spend = agent.must(&["spend"]).await;
    assert_eq!(position(&spend), (17_00, 0), "{spend}");
    let refused = "select count(*) as n from spend_charge where state <> 'succeeded'";
    assert_eq!(store::number(&dir, "purser.db", refused).await, 0);
    let invoices = store::texts(&dir, "slipway.db", "select cast(total_minor as text) as x from bill_document order by position").await;
    assert_eq!(invoices, ["500", "1200"]);
    assert_eq!(store::ledger_faults(&dir).await, Vec::<String>::new());
}
