//! Checks 18 to 29: the catalogue.

use std::collections::BTreeSet;

use purser_wire::catalog::{Category, Direction, Scope, ServiceKind};
use serde_json::Value;

use crate::sample;
use crate::world::{Outcome, World};

const MEMBERS: &[&str] = &[
    "id",
    "description",
    "categories",
    "pricing",
    "kind",
    "group",
    "scope",
    "configuration_schema",
    "allowed_updates",
    "constraints",
    "kyc",
    "llm_context",
];

pub async fn run(world: &mut World) {
    let first = pages(world).await;
    let catalog = match &first {
        Ok(catalog) => catalog.clone(),
        Err(why) => {
            world.record(18, Outcome::Fail(why.clone()));
            return;
        }
    };
    let second = pages(world).await;
    for (number, outcome) in [
        (18, ids(&catalog)),
        (19, each(&catalog, required)),
        (20, each(&catalog, words)),
        (21, each(&catalog, pricing_members)),
        (22, each(&catalog, entries)),
        (23, each(&catalog, defaults)),
        (24, targets(&catalog)),
        (25, parents(&catalog)),
        (26, each(&catalog, schema)),
        (27, each(&catalog, constraints)),
        (28, stable(&catalog, second)),
        (29, members(&catalog)),
    ] {
        world.record(number, outcome);
    }
    world.catalog = catalog;
}

/// All pages; a cursor that repeats or never ends is an error.
async fn pages(world: &mut World) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let mut request = world.probe.get("services");
    loop {
        let answer = world.probe.send(&request).await?;
        let data =
            answer.json["data"].as_array().filter(|_| answer.status == 200).ok_or_else(|| format!("no `data`: {}", answer.brief()))?;
        all.extend(data.iter().cloned());
        match answer.json["next_cursor"].as_str().filter(|c| !c.is_empty()) {
            None => return Ok(all),
            Some(cursor) if !seen.insert(cursor.to_owned()) || seen.len() > 50 => return Err("the pages do not end".to_owned()),
            Some(cursor) => {
                request.url.query_pairs_mut().clear().append_pair("cursor", cursor);
            }
        }
    }
}

fn id(service: &Value) -> &str {
    service["id"].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Applies a rule to each service; a rule names what is wrong.
fn each(catalog: &[Value], rule: fn(&Value) -> Option<String>) -> Outcome {
    let faults: Vec<String> = catalog.iter().filter_map(|s| rule(s).map(|fault| format!("`{}`: {fault}", id(s)))).collect();
    Outcome::faultless(&faults)
}

fn ids(catalog: &[Value]) -> Outcome {
    let unique: BTreeSet<&str> = catalog.iter().map(id).filter(|id| !id.is_empty()).collect();
    Outcome::require(!catalog.is_empty() && unique.len() == catalog.len(), format!("{} services, {} ids", catalog.len(), unique.len()))
}

fn required(service: &Value) -> Option<String> {
    let text = service["description"].as_str().is_some_and(|d| !d.is_empty());
    let known = matches!(service["pricing"]["type"].as_str(), Some("free" | "paid" | "component"));
    (!text || list(&service["categories"]).is_empty() || !known).then(|| "description, category or pricing type is missing".to_owned())
}

fn words(service: &Value) -> Option<String> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let odd = |value: &Value, known: fn(String) -> bool| word(value).filter(|w| !known(w.clone()));
    let categories = list(&service["categories"]).iter().find_map(|c| odd(c, |w| Category::from(w).is_known()));
    let directions = list(&service["allowed_updates"]).iter().find_map(|u| odd(&u["direction"], |w| Direction::from(w).is_known()));
    let kind = odd(&service["kind"], |w| ServiceKind::from(w).is_known());
    let scope = odd(&service["scope"], |w| Scope::from(w).is_known());
    categories.or(directions).or(kind).or(scope).map(|word| format!("`{word}` is not a known word"))
}

fn pricing_members(service: &Value) -> Option<String> {
    let pricing = &service["pricing"];
    let (kind, paid) = (pricing["type"].as_str().unwrap_or_default(), !pricing["paid"].is_null());
    let options = !list(&pricing["component"]["options"]).is_empty();
    (paid != (kind == "paid") || options != (kind == "component")).then(|| "the member does not match the pricing type".to_owned())
}

/// All paid entries of a service.
fn paid(service: &Value) -> Vec<&Value> {
    let pricing = &service["pricing"];
    let own = match &pricing["paid"] {
        Value::Array(entries) => entries.iter().collect(),
        Value::Null => Vec::new(),
        entry => vec![entry],
    };
    own.into_iter().chain(list(&pricing["component"]["options"]).iter().map(|o| &o["paid"]).filter(|p| !p.is_null())).collect()
}

fn entries(service: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().is_some_and(|t| !t.is_empty());
    let good = |entry: &&Value| match entry["type"].as_str() {
        Some("freeform") => text(&entry["freeform"]),
        Some("stripe_price") => text(&entry["stripe_price"]),
        _ => false,
    };
    (!paid(service).iter().all(good)).then(|| "a paid entry lacks its text or price".to_owned())
}

fn defaults(service: &Value) -> Option<String> {
    let count = |items: Vec<&Value>| items.iter().filter(|i| i["is_default"] == true || i["default"] == true).count();
    let options = list(&service["pricing"]["component"]["options"]).iter().collect();
    let own = list(&service["pricing"]["paid"]).iter().collect();
    (count(own) > 1 || count(options) > 1).then(|| "more than one default".to_owned())
}

fn option_parents(service: &Value) -> impl Iterator<Item = &str> {
    list(&service["pricing"]["component"]["options"]).iter().flat_map(|o| list(&o["parent_service_ids"])).filter_map(Value::as_str)
}

fn targets(catalog: &[Value]) -> Outcome {
    let known: BTreeSet<&str> = catalog.iter().map(id).collect();
    let (mut faults, mut older) = (Vec::new(), false);
    for service in catalog {
        let updates = list(&service["allowed_updates"]).iter().filter_map(|u| {
            older |= u.is_string();
            u.as_str().or_else(|| u["service"].as_str())
        });
        let unknown = updates.chain(option_parents(service)).filter(|t| !known.contains(t) && *t != "service_ref");
        faults.extend(unknown.map(|target| format!("`{}` names `{target}`", id(service))));
    }
    if faults.is_empty() && older {
        return Outcome::Warn("`allowed_updates` has the older form of bare ids".to_owned());
    }
    Outcome::faultless(&faults)
}

fn parents(catalog: &[Value]) -> Outcome {
    let is_plan = |parent: &str| catalog.iter().any(|s| id(s) == parent && s["kind"] == "plan");
    let faults: Vec<String> =
        catalog.iter().flat_map(option_parents).filter(|p| !is_plan(p)).map(|p| format!("`{p}` is no plan")).collect();
    Outcome::faultless(&faults)
}

fn schema(service: &Value) -> Option<String> {
    let schema = &service["configuration_schema"];
    (!schema.is_null() && (schema["type"] != "object" || sample::compiled(schema).is_none()))
        .then(|| "the schema does not compile or is not of type object".to_owned())
}

fn constraints(service: &Value) -> Option<String> {
    let at_most = &service["constraints"]["count"]["at_most"];
    let exclusion = &service["constraints"]["mutual_exclusion"]["allowed_updates"];
    let good = (at_most.is_null() || at_most.as_i64().is_some_and(|n| n >= 1)) && (exclusion.is_null() || exclusion == true);
    (!good).then(|| "a constraint is of another form".to_owned())
}

fn stable(first: &[Value], second: Result<Vec<Value>, String>) -> Outcome {
    match second {
        Ok(second) => Outcome::require(first == second.as_slice(), "two calls gave two catalogues"),
        Err(why) => Outcome::Fail(why),
    }
}

/// Members beyond the published schema are told, not blamed: extensions are allowed.
fn members(catalog: &[Value]) -> Outcome {
    let names = |s: &Value| s.as_object().map(|m| m.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let extra: BTreeSet<String> = catalog.iter().flat_map(names).filter(|name| !MEMBERS.contains(&name.as_str())).collect();
    let kyc = |s: &Value| s["kyc"].is_null() || !list(&s["kyc"]["required_fields"]).is_empty();
    if !catalog.iter().all(kyc) {
        return Outcome::Fail("`kyc` without `required_fields`".to_owned());
    }
    let extra: Vec<String> = extra.into_iter().collect();
    Outcome::Pass(if extra.is_empty() { String::new() } else { format!("beyond the published schema: {}", extra.join(", ")) })
}
