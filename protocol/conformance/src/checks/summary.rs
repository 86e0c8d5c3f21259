//! Checks 15 to 17, 42 and 43: about everything that was seen.

use purser_wire::error::Envelope;
use serde_json::Value;
use url::{Host, Url};

use crate::world::{Outcome, World};

pub fn run(world: &mut World) {
    for (number, outcome) in [
        (15, envelopes(world)),
        (16, extras(world)),
        (17, Outcome::faultless(&world.probe.memory.leaks)),
        (42, redirects(world)),
        (43, nested(world)),
    ] {
        world.record(number, outcome);
    }
}

fn envelopes(world: &World) -> Outcome {
    let odd = |envelope: &Option<Envelope>| matches!(envelope, None | Some(Envelope::Framework));
    let mut faults: Vec<String> =
        world.probe.memory.envelopes.iter().filter(|(_, e)| odd(e)).map(|(what, e)| format!("{what}: {e:?}")).collect();
    faults.dedup();
    Outcome::faultless(&faults)
}

fn extras(world: &World) -> Outcome {
    if world.extras.is_empty() {
        return Outcome::Skip("no POST with an unknown field could be made".to_owned());
    }
    let faults: Vec<String> = world.extras.iter().filter(|(_, worked)| !worked).map(|(what, _)| format!("{what} refused it")).collect();
    Outcome::faultless(&faults)
}

fn redirects(world: &World) -> Outcome {
    if world.redirects.is_empty() {
        return Outcome::Skip("no answer was `requires_auth`".to_owned());
    }
    let good = |answer: &Value| {
        let text = answer["redirect"]["url"].as_str().or_else(|| answer["url"].as_str()).unwrap_or_default();
        let Ok(url) = Url::parse(text) else { return false };
        let loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        };
        let token = ["access_token", "refresh_token"].iter().any(|name| url.query_pairs().any(|(n, _)| n == *name));
        (url.scheme() == "https" || url.scheme() == "http" && loopback) && !token
    };
    Outcome::require(world.redirects.iter().all(good), "an address is not absolute https, or carries a token")
}

fn nested(world: &World) -> Outcome {
    if world.redirects.is_empty() {
        return Outcome::Skip("no answer was `requires_auth`".to_owned());
    }
    let nested = |answer: &Value| answer["type"] == "redirect" && answer["redirect"]["url"].is_string();
    Outcome::require(world.redirects.iter().all(nested), "the flat form is used")
}
