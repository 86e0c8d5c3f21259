//! Checks 65 to 69: paid services. The first and 68 need nothing; the others need payment tokens that the provider can redeem.

use purser_values::{Money, Secret};
use purser_wire::manifest::Extension;
use serde_json::{Map, Value, json};

use super::resources::{finished, get};
use crate::probe::Answer;
use crate::sample;
use crate::world::{Account, Outcome, World};

pub async fn run(world: &mut World) {
    let Some(alpha) = world.alpha.clone() else { return };
    let Some((service, configuration)) = paid_service(world) else {
        for number in [65, 66, 67, 68, 69] {
            world
                .record(number, Outcome::Skip("the catalogue has no paid service whose configuration can be made up; name one".to_owned()));
        }
        return;
    };
    let outcome = unpaid(world, &alpha, &service, &configuration).await;
    world.record(65, outcome);
    let outcome = metered(world, &alpha).await;
    world.record(68, outcome);
    let Some(payment) = world.probe.options.payment.clone() else {
        for number in [66, 67, 69] {
            world.record(number, Outcome::Skip("no payment tokens were given".to_owned()));
        }
        return;
    };
    let token = payment.declined_token();
    let outcome = match pay(world, &alpha, &service, &configuration, &token, "declined").await {
        Ok(answer) => declined(world, &alpha, &answer).await,
        Err(why) => Outcome::Fail(why),
    };
    world.record(66, outcome);

    let token = payment.good_token();
    let mut bought = None;
    let outcome = match pay(world, &alpha, &service, &configuration, &token, "paid").await {
        Ok(answer) if answer.text("/status") != "complete" => Outcome::Fail(format!("{}, `{}`", answer.brief(), answer.text("/status"))),
        Ok(answer) => {
            bought = Some(answer.text("/id").to_owned());
            charged_once(&payment.captured(&token), payment.max_amount())
        }
        Err(why) => Outcome::Fail(why),
    };
    world.record(67, outcome);
    let outcome = match bought {
        _ if !world.speaks(&Extension::Subscriptions) => Outcome::Skip("the provider does not say that it ends with a period".to_owned()),
        Some(id) => ends_with_its_period(world, &alpha, &id).await,
        None => Outcome::Skip("nothing could be bought".to_owned()),
    };
    world.record(69, outcome);
}

/// What was paid can end with its period, twice is once, and then it can go on after all; it works meanwhile.
async fn ends_with_its_period(world: &mut World, account: &Account, id: &str) -> Outcome {
    let mut faults = Vec::new();
    for (number, renews) in [false, false, true].into_iter().enumerate() {
        let mut request = world.authorized(world.probe.post(&format!("resources/{id}/renewal"), &json!({ "renews": renews })), account);
        request.key = Some(format!("{}-renewal-{number}", world.run_id));
        let answer = match world.probe.send(&request).await {
            Ok(answer) => answer,
            Err(why) => return Outcome::Fail(why),
        };
        let told = answer.json["id"] == id && answer.json["renews"] == renews && answer.json["ends_at"].is_string();
        if answer.status != 200 || !told {
            faults.push(format!("`renews` {renews}: {}", answer.brief()));
        }
    }
    match get(world, account, id).await {
        Ok(answer) if answer.text("/status") == "complete" => {}
        Ok(answer) => faults.push(format!("meanwhile it is `{}`", answer.text("/status"))),
        Err(why) => faults.push(why),
    }
    Outcome::faultless(&faults)
}

fn paid_service(world: &World) -> Option<(String, Map<String, Value>)> {
    if let Some((service, configuration)) = &world.probe.options.paid_service {
        return Some((service.as_str().to_owned(), configuration.clone()));
    }
    let paid = world.catalog.iter().filter(|s| s["pricing"]["type"] == "paid");
    paid.into_iter().find_map(|s| Some((s["id"].as_str()?.to_owned(), sample::fitting(s.get("configuration_schema"))?)))
}

/// The body of a create, with a quote when the provider makes quotes.
async fn body(world: &mut World, account: &Account, service: &str, configuration: &Map<String, Value>, name: &str) -> Value {
    let mut body = world.create_body(service, configuration, name);
    if world.speaks(&Extension::Quotes) {
        let asked = json!({"service_id": service, "configuration": configuration, "project_id": body["project_id"]});
        let request = world.authorized(world.probe.post("quotes", &asked), account);
        if let Ok(answer) = world.probe.send(&request).await {
            body["quote_id"] = answer.json["id"].clone();
        }
    }
    body
}

/// Use is set aside before it accrues (`usage_holds`): a quote takes nothing for it at once, and nobody agrees to a price that is not told.
async fn metered(world: &mut World, account: &Account) -> Outcome {
    if !world.speaks(&Extension::UsageHolds) || !world.speaks(&Extension::Quotes) {
        return Outcome::Skip("the provider does not set use aside".to_owned());
    }
    let paid: Vec<Value> = world.catalog.iter().filter(|s| s["pricing"]["type"] == "paid").cloned().collect();
    let mut faults = Vec::new();
    for service in paid {
        let Some(configuration) = sample::fitting(service.get("configuration_schema")) else { continue };
        let asked = json!({"service_id": service["id"], "configuration": configuration});
        let request = world.authorized(world.probe.post("quotes", &asked), account);
        let Ok(answer) = world.probe.send(&request).await else { continue };
        let lines = answer.json["lines"].as_array().cloned().unwrap_or_default();
        let by_use: Vec<&Value> = lines.iter().filter(|line| line["period"] == "metered").collect();
        if by_use.iter().any(|line| line["amount_minor"] != 0) {
            faults.push(format!("`{}` takes something at once for use", service["id"]));
        }
        if !by_use.is_empty() && service["price"]["metered"].as_array().is_none_or(Vec::is_empty) {
            faults.push(format!("`{}` does not say what use costs", service["id"]));
        }
    }
    Outcome::faultless(&faults)
}

async fn unpaid(world: &mut World, account: &Account, service: &str, configuration: &Map<String, Value>) -> Outcome {
    if account.payment_by.as_deref() != Some("orchestrator") {
        return Outcome::Skip("the provider bills the user itself".to_owned());
    }
    let body = body(world, account, service, configuration, "unpaid").await;
    match finished(world, account, &body, "unpaid").await {
        Ok(answer) if !answer.refused() || answer.status == 401 => {
            Outcome::Fail(format!("{}, `{}`", answer.brief(), answer.text("/status")))
        }
        Ok(answer) if answer.error_code() != "requires_payment_credentials" => Outcome::Warn(answer.brief()),
        Ok(_) => Outcome::pass(),
        Err(why) => Outcome::Fail(why),
    }
}

async fn pay(
    world: &mut World,
    account: &Account,
    service: &str,
    configuration: &Map<String, Value>,
    token: &Secret<String>,
    name: &str,
) -> Result<Answer, String> {
    world.probe.memory.secrets.push(token.clone());
    let mut body = body(world, account, service, configuration, name).await;
    body["payment_credentials"] = json!({"type": "stripe_payment_token", "stripe_payment_token": token.expose()});
    finished(world, account, &body, name).await
}

async fn declined(world: &mut World, account: &Account, answer: &Answer) -> Outcome {
    if !answer.refused() || answer.status == 401 {
        return Outcome::Fail(format!("{}, `{}`", answer.brief(), answer.text("/status")));
    }
    let id = answer.text("/id").to_owned();
    if id.is_empty() {
        return Outcome::pass();
    }
    match get(world, account, &id).await {
        Ok(left) if left.text("/status") == "complete" => Outcome::Warn("the error names a resource that can be used".to_owned()),
        _ => Outcome::pass(),
    }
}

fn charged_once(captured: &[Money], max: Money) -> Outcome {
    match captured {
        [one] if one.currency() == max.currency() && one.minor() <= max.minor() && one.is_positive() => Outcome::Pass(one.to_string()),
        other => {
            let all: Vec<String> = other.iter().map(ToString::to_string).collect();
            Outcome::Fail(format!("{} charges ({}) against a limit of {max}", all.len(), all.join(", ")))
        }
    }
}
