//! Checks 1 to 8, 10 to 12 and 14: signatures and versions, all on `health` but one.

use serde_json::json;

use crate::probe::{Exchange, Request, Signing};
use crate::world::{Outcome, World};

pub async fn run(world: &mut World) {
    for (number, outcome) in [
        (1, good_signature(world).await),
        (2, status_is(world, Signing::None, 401).await),
        (3, status_is(world, Signing::WrongSecret, 401).await),
        (4, other_body(world).await),
        (5, age(world).await),
        (6, ahead(world).await),
        (7, malformed(world).await),
        (8, empty_body(world).await),
        (10, two_signatures(world).await),
        (11, upper_case(world).await),
        (12, version(world).await),
        (14, garbage_v2(world).await),
    ] {
        world.record(number, outcome);
    }
}

async fn health(world: &mut World, change: impl FnOnce(&mut Request)) -> Exchange {
    let mut request = world.probe.get("health");
    change(&mut request);
    world.probe.send(&request).await
}

async fn signed(world: &mut World, signing: Signing) -> Exchange {
    health(world, |request| request.signing = signing).await
}

async fn status_is(world: &mut World, signing: Signing, expected: u16) -> Outcome {
    match signed(world, signing).await {
        Ok(answer) => Outcome::require(answer.status == expected, answer.brief()),
        Err(why) => Outcome::Fail(why),
    }
}

async fn good_signature(world: &mut World) -> Outcome {
    match signed(world, Signing::Good).await {
        Ok(answer) => {
            let supports = answer.json["supported_versions"].as_array().is_some_and(|all| all.iter().any(|v| v == purser_wire::VERSION));
            Outcome::require(answer.status == 200 && answer.text("/status") == "ok" && supports, answer.brief())
        }
        Err(why) => Outcome::Fail(why),
    }
}

async fn other_body(world: &mut World) -> Outcome {
    let email = world.email("unsigned");
    let body = world.account_body("other-body", &email);
    let mut request = world.probe.post("account_requests", &body);
    request.signing = Signing::OverBody(b"{}");
    match world.probe.send(&request).await {
        Ok(answer) => Outcome::require(answer.status == 401, answer.brief()),
        Err(why) => Outcome::Fail(why),
    }
}

async fn age(world: &mut World) -> Outcome {
    let old = signed(world, Signing::SecondsFromNow(-310)).await;
    let young = signed(world, Signing::SecondsFromNow(-290)).await;
    match (old, young) {
        (Ok(old), Ok(young)) => {
            Outcome::require(old.status == 401 && young.status == 200, format!("310 s: {}; 290 s: {}", old.brief(), young.brief()))
        }
        (Err(why), _) | (_, Err(why)) => Outcome::Fail(why),
    }
}

async fn ahead(world: &mut World) -> Outcome {
    match signed(world, Signing::SecondsFromNow(310)).await {
        Ok(answer) if answer.status == 200 => Outcome::Info("taken: a signature can be made long before it is used".to_owned()),
        Ok(answer) => Outcome::Info(format!("refused: {}", answer.brief())),
        Err(why) => Outcome::Skip(why),
    }
}

async fn malformed(world: &mut World) -> Outcome {
    let t = world.now().as_secs();
    let mac = "a".repeat(64);
    let headers =
        [String::new(), format!("v1={mac}"), format!("t={t}"), format!("t=soon,v1={mac}"), format!("t={t},v1=abcd"), "garbage".to_owned()];
    let mut faults = Vec::new();
    for header in headers {
        match signed(world, Signing::Header(header.clone())).await {
            Ok(answer) if answer.status == 401 => {}
            Ok(answer) => faults.push(format!("`{}`: {}", purser_wire::text::excerpt(&header, 24), answer.brief())),
            Err(why) => faults.push(why),
        }
    }
    Outcome::faultless(&faults)
}

async fn empty_body(world: &mut World) -> Outcome {
    let empty = signed(world, Signing::OverBody(b"")).await;
    let braces = signed(world, Signing::OverBody(b"{}")).await;
    match (empty, braces) {
        (Ok(empty), Ok(braces)) => {
            Outcome::require(empty.status == 200 && braces.status == 401, format!("empty: {}; `{{}}`: {}", empty.brief(), braces.brief()))
        }
        (Err(why), _) | (_, Err(why)) => Outcome::Fail(why),
    }
}

async fn two_signatures(world: &mut World) -> Outcome {
    let good = purser_wire::signature::hmac::sign(&world.probe.options.secret, b"", world.now());
    let Some((t, mac)) = good.split_once(",v1=") else { return Outcome::Skip("no signature to vary".to_owned()) };
    let other = "0".repeat(64);
    let first = signed(world, Signing::Header(format!("{t},v1={mac},v1={other}"))).await;
    let last = signed(world, Signing::Header(format!("{t},v1={other},v1={mac}"))).await;
    Outcome::Info(format!("valid first: {}; valid last: {}", brief(&first), brief(&last)))
}

async fn upper_case(world: &mut World) -> Outcome {
    let good = purser_wire::signature::hmac::sign(&world.probe.options.secret, b"", world.now());
    let Some((t, mac)) = good.split_once(",v1=") else { return Outcome::Skip("no signature to vary".to_owned()) };
    let answer = signed(world, Signing::Header(format!("{t},v1={}", mac.to_uppercase()))).await;
    Outcome::Info(brief(&answer))
}

async fn version(world: &mut World) -> Outcome {
    let wrong = health(world, |request| request.version = Some("9.9z")).await;
    let missing = health(world, |request| request.version = None).await;
    Outcome::Info(format!("wrong: {}; missing: {}", brief(&wrong), brief(&missing)))
}

async fn garbage_v2(world: &mut World) -> Outcome {
    let answer = health(world, |request| request.v2 = Some("not.a.token")).await;
    Outcome::Info(brief(&answer))
}

fn brief(exchange: &Exchange) -> String {
    match exchange {
        Ok(answer) => answer.brief(),
        Err(why) => json!(why).to_string(),
    }
}
