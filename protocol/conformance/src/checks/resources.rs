//! Checks 55 to 62 and 64: creating and reading.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::probe::{Answer, Signing};
use crate::sample;
use crate::world::{Account, Outcome, World};

const STATUSES: &[&str] = &["complete", "pending", "needs_information", "error", "removed", "pending_removal"];
/// How often a pending resource is asked for, in milliseconds.
const POLL_MS: u64 = 500;

pub async fn run(world: &mut World) {
    let Some(alpha) = world.alpha.clone() else { return };
    let Some((service, configuration)) = free_service(world) else {
        world.record(56, Outcome::Skip("the catalogue has no free service whose configuration can be made up; name one".to_owned()));
        return;
    };
    let body = world.create_body(&service, &configuration, "first");
    let outcome = bearers(world, &body).await;
    world.record(55, outcome);
    parents(world, &alpha, &service).await;
    let Some(created) = create(world, &alpha, &body).await else { return };
    let outcome = access(world, &service, &created);
    world.record(57, outcome);
    world.resource = Some((created.text("/id").to_owned(), created.json["complete"]["access_configuration"].clone()));

    let outcome = unknown_service(world, &alpha).await;
    world.record(58, outcome);
    let outcome = against_schema(world, &alpha, &service, &configuration).await;
    world.record(59, outcome);
    let outcome = read_back(world, &alpha).await;
    world.record(60, outcome);
    let outcome = strangers(world, &alpha).await;
    world.record(61, outcome);
    keys(world, &alpha, &service, &configuration).await;
}

/// A service that costs nothing, deployable if there is one.
fn free_service(world: &World) -> Option<(String, Map<String, Value>)> {
    if let Some((service, configuration)) = &world.probe.options.service {
        return Some((service.as_str().to_owned(), configuration.clone()));
    }
    let free = |s: &&Value| {
        let options = s["pricing"]["component"]["options"].as_array();
        s["pricing"]["type"] == "free" || options.is_some_and(|o| o.iter().any(|o| o["type"] == "free"))
    };
    let made = |s: &Value| Some((s["id"].as_str()?.to_owned(), sample::fitting(s.get("configuration_schema"))?));
    let deployable = |s: &&Value| s["kind"] != "plan";
    let services = world.catalog.iter().filter(free);
    services.clone().filter(deployable).find_map(made).or_else(|| services.clone().find_map(made))
}

fn service<'a>(world: &'a World, id: &str) -> Option<&'a Value> {
    world.catalog.iter().find(|s| s["id"] == id)
}

/// A component needs its free plan first.
async fn parents(world: &mut World, account: &Account, id: &str) {
    let options = service(world, id).and_then(|s| s["pricing"]["component"]["options"].as_array().cloned()).unwrap_or_default();
    let plan = options.iter().find(|o| o["type"] == "free").and_then(|o| o["parent_service_ids"][0].as_str().map(str::to_owned));
    if let Some(plan) = plan {
        let body = world.create_body(&plan, &Map::new(), "plan");
        // a plan that cannot be had shows in the create that needs it
        let _ = finished(world, account, &body, "plan").await;
    }
}

async fn bearers(world: &mut World, body: &Value) -> Outcome {
    let Some(alpha) = world.alpha.clone() else { return Outcome::Skip("no account".to_owned()) };
    let stranger = Account { access: "conformance-unknown-token".to_owned().into(), ..alpha.clone() };
    let mut faults = Vec::new();
    for base in [world.probe.post("resources", body), world.probe.get("resources/conformance-none")] {
        let mut unsigned = world.authorized(base.clone(), &alpha);
        unsigned.signing = Signing::None;
        for (what, request) in
            [("no bearer", base.clone()), ("unknown bearer", world.authorized(base, &stranger)), ("no signature", unsigned)]
        {
            match world.probe.send(&request).await {
                Ok(answer) if answer.status == 401 => {}
                Ok(answer) => faults.push(format!("{} {what}: {}", request.method, answer.brief())),
                Err(why) => faults.push(why),
            }
        }
    }
    Outcome::faultless(&faults)
}

/// Creates and waits until it is no longer pending.
pub async fn finished(world: &mut World, account: &Account, body: &Value, key: &str) -> Result<Answer, String> {
    let mut request = world.authorized(world.probe.post("resources", body), account);
    request.key = Some(format!("{}-{key}", world.run_id));
    let mut answer = world.probe.send(&request).await?;
    let patience = world.probe.options.patience_s * 1_000 / POLL_MS;
    for _ in 0..patience {
        if answer.text("/status") != "pending" || answer.text("/id").is_empty() {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        let request = world.authorized(world.probe.get(&format!("resources/{}", answer.text("/id"))), account);
        answer = world.probe.send(&request).await?;
    }
    Ok(answer)
}

async fn create(world: &mut World, account: &Account, body: &Value) -> Option<Answer> {
    let mut with_extra = body.clone();
    with_extra["conformance_extra"] = json!({"deep": true});
    let answer = match finished(world, account, &with_extra, "first").await {
        Ok(answer) => answer,
        Err(why) => {
            world.record(56, Outcome::Fail(why));
            return None;
        }
    };
    let complete = answer.text("/status") == "complete" && !answer.text("/id").is_empty();
    world.record(56, Outcome::require(complete, format!("{}, `{}`", answer.brief(), answer.text("/status"))));
    world.extras.push(("resources", complete));
    complete.then_some(answer)
}

fn access(world: &World, id: &str, created: &Answer) -> Outcome {
    if service(world, id).is_some_and(|s| s["kind"] == "plan") {
        return Outcome::Skip("a plan gives nothing".to_owned());
    }
    match created.json["complete"]["access_configuration"].as_object() {
        Some(values) if values.is_empty() => Outcome::Fail("it is empty".to_owned()),
        Some(values) if values.values().all(Value::is_string) => Outcome::pass(),
        Some(_) => Outcome::Warn("a value is not a string".to_owned()),
        None => Outcome::Fail("it is missing".to_owned()),
    }
}

async fn unknown_service(world: &mut World, account: &Account) -> Outcome {
    let body = world.create_body("conformance-no-such-service", &Map::new(), "unknown");
    match finished(world, account, &body, "unknown").await {
        Ok(answer) if answer.text("/status") != "error" || answer.status >= 500 => Outcome::Fail(answer.brief()),
        Ok(answer) if answer.error_code() != "unknown_service" => Outcome::Warn(answer.brief()),
        Ok(_) => Outcome::pass(),
        Err(why) => Outcome::Fail(why),
    }
}

async fn against_schema(world: &mut World, account: &Account, id: &str, fitting: &Map<String, Value>) -> Outcome {
    let schema = service(world, id).map(|s| s["configuration_schema"].clone()).unwrap_or_default();
    let Some(wrong) = sample::violating(&schema, fitting) else { return Outcome::Skip("the schema allows anything".to_owned()) };
    let body = world.create_body(id, &wrong, "violating");
    match finished(world, account, &body, "violating").await {
        Ok(answer) => {
            let status = answer.text("/status");
            Outcome::require(
                answer.status < 500 && matches!(status, "error" | "needs_information"),
                format!("{}, `{status}`", answer.brief()),
            )
        }
        Err(why) => Outcome::Fail(why),
    }
}

pub async fn get(world: &mut World, account: &Account, id: &str) -> Result<Answer, String> {
    let request = world.authorized(world.probe.get(&format!("resources/{id}")), account);
    world.probe.send(&request).await
}

async fn read_back(world: &mut World, account: &Account) -> Outcome {
    let Some((id, _)) = world.resource.clone() else { return Outcome::Skip("no resource".to_owned()) };
    match get(world, account, &id).await {
        Ok(answer) => {
            let known = STATUSES.contains(&answer.text("/status"));
            Outcome::require(answer.status == 200 && answer.text("/id") == id && known, answer.brief())
        }
        Err(why) => Outcome::Fail(why),
    }
}

async fn strangers(world: &mut World, alpha: &Account) -> Outcome {
    let (Some((id, before)), Some(beta)) = (world.resource.clone(), world.beta.clone()) else {
        return Outcome::Skip("there is no second account".to_owned());
    };
    let mut faults = Vec::new();
    for action in ["", "/update_service", "/rotate_credentials", "/remove"] {
        let path = format!("resources/{id}{action}");
        let request = if action.is_empty() { world.probe.get(&path) } else { world.probe.post(&path, &json!({})) };
        let request = world.authorized(request, &beta);
        match world.probe.send(&request).await {
            Ok(answer) if matches!(answer.status, 400 | 403 | 404) => {}
            Ok(answer) => faults.push(format!("{} `{action}`: {}", request.method, answer.brief())),
            Err(why) => faults.push(why),
        }
    }
    match get(world, alpha, &id).await {
        Ok(after) if after.text("/status") != "complete" => faults.push(format!("it is `{}` afterwards", after.text("/status"))),
        // not every provider repeats secrets on GET: only values given both times can be compared
        Ok(after) => {
            let now = &after.json["complete"]["access_configuration"];
            let changed = before.as_object().is_some_and(|all| all.iter().any(|(name, value)| now.get(name).is_some_and(|v| v != value)));
            faults.extend(changed.then(|| "its values changed".to_owned()));
        }
        Err(why) => faults.push(why),
    }
    Outcome::faultless(&faults)
}

async fn keys(world: &mut World, alpha: &Account, service: &str, configuration: &Map<String, Value>) {
    let body = world.create_body(service, configuration, "keyed");
    let first = finished(world, alpha, &body, "keyed").await;
    let second = finished(world, alpha, &body, "keyed").await;
    let (Ok(first), Ok(second)) = (first, second) else { return };
    if first.text("/status") != "complete" {
        let why = format!("a second resource cannot be created: {}", first.brief());
        world.record(62, Outcome::Skip(why.clone()));
        return world.record(64, Outcome::Skip(why));
    }
    let mut other = body.clone();
    other["project_id"] = json!(format!("prj-other-{}", world.run_id));
    let other = finished(world, alpha, &other, "keyed").await.map_or_else(|why| why, |a| a.brief());
    let same = first.text("/id") == second.text("/id");
    let evidence = format!("the same key with another body: {other}");
    world.record(62, if same { Outcome::Pass(evidence) } else { Outcome::Fail(format!("two resources; {evidence}")) });
    let Some(beta) = world.beta.clone() else { return };
    parents(world, &beta, service).await;
    let foreign = finished(world, &beta, &body, "keyed").await;
    let outcome = match &foreign {
        Ok(answer) => Outcome::require(answer.text("/id") != first.text("/id"), "the first account's resource"),
        Err(why) => Outcome::Skip(why.clone()),
    };
    world.record(64, outcome);
    // tidying up; check 73 is about removal
    for (account, answer) in [(alpha, Ok(first)), (&beta, foreign)] {
        let Ok(answer) = answer else { continue };
        let request = world.authorized(world.probe.post(&format!("resources/{}/remove", answer.text("/id")), &json!({})), account);
        let _ = world.probe.send(&request).await;
    }
}
