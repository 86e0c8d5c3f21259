//! Check 91: a control that was overtaken on its way undoes nothing (extension `control_order`).

use purser_wire::manifest::Extension;
use serde_json::{Value, json};

use crate::world::{Account, Outcome, World};

/// The path below `account/`, the number behind the first one (none: a call without a number), and the status that must come.
type Step = (&'static str, Option<i64>, &'static str);

const OF_AGENT: &[Step] = &[
    ("credentials/disable", Some(20), "disabled"),
    ("credentials/enable", Some(10), "superseded"),
    // a repeat of the one in force
    ("credentials/disable", Some(20), "disabled"),
    ("credentials/enable", Some(30), "enabled"),
    ("credentials/disable", Some(25), "superseded"),
    // an orchestrator that knows no numbers
    ("credentials/disable", None, "disabled"),
    ("credentials/enable", None, "enabled"),
];

const OF_ACCOUNT: &[Step] = &[
    ("freeze", Some(20), "frozen"),
    ("thaw", Some(10), "superseded"),
    ("freeze", Some(20), "frozen"),
    ("thaw", Some(30), "thawed"),
    ("freeze", Some(25), "superseded"),
    ("thaw", None, "thawed"),
];

pub async fn run(world: &mut World) {
    let outcome = if world.speaks(&Extension::ControlOrder) {
        match world.alpha.clone() {
            Some(account) => in_order(world, &account).await,
            None => Outcome::Skip("there is no account".to_owned()),
        }
    } else {
        Outcome::Skip("the manifest does not name `control_order`".to_owned())
    };
    world.record(91, outcome);
}

async fn in_order(world: &mut World, account: &Account) -> Outcome {
    // higher than in an earlier run against the same account
    let first = world.now().as_micros();
    let agent = json!({ "agent": { "id": format!("agt_conformance{}", world.run_id) } });
    let mut faults = Vec::new();
    for (extension, body, steps) in
        [(Extension::AgentCredentials, agent, OF_AGENT), (Extension::AccountFreeze, json!({ "dark": false }), OF_ACCOUNT)]
    {
        if world.speaks(&extension) {
            for step in steps {
                faults.extend(fault(world, account, &body, first, *step).await);
            }
        }
    }
    Outcome::faultless(&faults)
}

async fn fault(world: &mut World, account: &Account, body: &Value, first: i64, (path, behind, expected): Step) -> Option<String> {
    let mut body = body.clone();
    if let Some(behind) = behind {
        body["order"] = json!(first + behind);
    }
    let number = behind.map_or_else(|| "without a number".to_owned(), |behind| format!("number {behind}"));
    let request = world.authorized(world.probe.post(&format!("account/{path}"), &body), account);
    match world.probe.send(&request).await {
        Ok(answer) if answer.status == 200 && answer.text("/status") == expected => None,
        Ok(answer) => Some(format!("`{path}` {number}: `{}` instead of `{expected}` ({})", answer.text("/status"), answer.brief())),
        Err(why) => Some(format!("`{path}` {number}: {why}")),
    }
}
