//! Checks 72 to 74: rotating and removing.

use serde_json::{Value, json};

use super::resources::get;
use crate::probe::{Answer, Exchange};
use crate::world::{Account, Outcome, World};

pub async fn run(world: &mut World) {
    let (Some(alpha), Some((id, before))) = (world.alpha.clone(), world.resource.clone()) else { return };
    let outcome = rotate(world, &alpha, &id, &before).await;
    world.record(72, outcome);
    let outcome = remove(world, &alpha, &id).await;
    world.record(73, outcome);
    let outcome = match get(world, &alpha, &id).await {
        Ok(answer) => {
            let gives = answer.json["complete"]["access_configuration"].as_object().is_some_and(|values| !values.is_empty());
            Outcome::require(!gives && answer.status < 500, answer.brief())
        }
        Err(why) => Outcome::Fail(why),
    };
    world.record(74, outcome);
}

async fn act(world: &mut World, account: &Account, id: &str, action: &str, key: &str) -> Exchange {
    let body = json!({"conformance_extra": 1});
    let mut request = world.authorized(world.probe.post(&format!("resources/{id}/{action}"), &body), account);
    request.key = Some(format!("{}-{key}", world.run_id));
    world.probe.send(&request).await
}

async fn rotate(world: &mut World, account: &Account, id: &str, before: &Value) -> Outcome {
    let Some(before) = before.as_object().filter(|values| !values.is_empty()) else {
        return Outcome::Skip("the resource has no credentials".to_owned());
    };
    let answer = match act(world, account, id, "rotate_credentials", "rotate").await {
        Ok(answer) => answer,
        Err(why) => return Outcome::Fail(why),
    };
    if answer.refused() && matches!(answer.error_code().as_str(), "not_supported" | "not_implemented") {
        return Outcome::Skip(format!("the provider says so: {}", answer.brief()));
    }
    world.extras.push(("rotate_credentials", answer.text("/status") == "complete"));
    let after = &answer.json["complete"]["access_configuration"];
    let changed: Vec<&String> = before.keys().filter(|name| after.get(name.as_str()) != before.get(name.as_str())).collect();
    if answer.text("/status") != "complete" || changed.is_empty() {
        return Outcome::Fail(format!("{}, {} values changed", answer.brief(), changed.len()));
    }
    let shown = match get(world, account, id).await {
        Ok(answer) => answer.json["complete"]["access_configuration"].clone(),
        Err(why) => return Outcome::Fail(why),
    };
    let old = changed.iter().any(|name| shown.get(name.as_str()).is_some_and(|value| Some(value) == before.get(name.as_str())));
    if old { Outcome::Warn("GET still gives an old value".to_owned()) } else { Outcome::pass() }
}

async fn remove(world: &mut World, account: &Account, id: &str) -> Outcome {
    let first = act(world, account, id, "remove", "remove").await;
    let second = act(world, account, id, "remove", "remove-again").await;
    let (first, second): (Answer, Answer) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(why), _) | (_, Err(why)) => return Outcome::Fail(why),
    };
    let removed = first.status == 200 && first.text("/status") == "removed" && first.text("/id") == id;
    world.extras.push(("remove", removed));
    if !removed {
        return Outcome::Fail(format!("{}, `{}`", first.brief(), first.text("/status")));
    }
    if second.status >= 500 { Outcome::Warn(format!("the second time: {}", second.brief())) } else { Outcome::pass() }
}
