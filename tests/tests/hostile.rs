//! Workers that mean harm, against the whole of slipway, while a neighbour goes on answering.
//!
//! Each Worker is deployed through the API as a customer would deploy it, by accounts of its own, and visited through the edge. What it gets is
//! written beside it; what it must never get is the neighbour's secret. Meanwhile the neighbour is asked 50 times a second: not one
//! request fails, and 99 of 100 are answered within 100 ms, or, on a machine that others keep busy, within a few times what it takes in
//! peace. What was tried is in the operator's list of incidents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, dead_code)]

#[path = "hostile/attacks.rs"]
mod attacks;
#[path = "hostile/neighbour.rs"]
mod neighbour;
#[path = "slipway/support.rs"]
mod support;
#[path = "hostile/visitors.rs"]
mod visitors;

use std::net::SocketAddr;
use std::time::Duration;

use attacks::{Attack, Outcome};
use http::{Method, StatusCode};
use neighbour::Neighbour;
use purser_values::id::CloudAccountId;
use serde_json::json;
use slipway_accounts::account::get::account_list;
use support::{DATE, ESM, Workers, World, multipart};

/// What the neighbour keeps, and nobody else may ever see.
pub const SECRET: &str = "neighbours-secret-5b1f0e7c";

/// The longest that the neighbour's slowest request of a hundred may take.
const P99: Duration = Duration::from_millis(100);
/// Where other programs keep the machine busy, the neighbour is slow with nobody attacking: it may then take this many times what it took
/// before and after. On a quiet machine the first bound is the one that counts.
const BUSY_FACTOR: u32 = 12;
/// How long the neighbour is watched before and after.
const CALM: Duration = Duration::from_secs(3);
/// Within this the operator sees what was tried.
const NOTICED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_workers_get_nothing_and_a_neighbour_notices_nothing() {
    let Some(world) = World::start().await else { return };
    let calm = Neighbour::settle(&world).await;
    let before = calm.ask_for(CALM).await;
    let watching = calm.clone();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(async move { watching.ask_until(stopped).await });

    let api = world.config.listen_api;
    let families = attacks::families(&calm, api);
    let tried: usize = families.iter().map(|(_, attacks)| attacks.len()).sum();
    assert!(tried >= 40, "{tried} Workers are too few");
    let mut wrong = Vec::new();
    let one = |(family, attacks): (&'static str, Vec<Attack>)| {
        let world = &world;
        async move {
            let customer = world.customer(&format!("attacker-{family}")).await;
            let workers = world.workers(&customer, &format!("agt_{family}")).await;
            let id = account(world, &workers).await;
            let mut wrong = Vec::new();
            for attack in attacks {
                if let Err(why) = attempt(world, &workers, &id, &attack).await {
                    wrong.push(format!("{family}/{}: {why}", attack.name));
                }
            }
            wrong
        }
    };
    wrong.extend(futures_util::future::join_all(families.into_iter().map(one)).await.into_iter().flatten());
    wrong.extend(visitors::all(&world, &calm).await);

    stop.send_replace(true);
    let seen = asking.await.unwrap();
    let after = calm.ask_for(CALM).await;
    println!("{tried} hostile Workers; the neighbour: {seen}; before: {before}; after: {after}");
    assert!(wrong.is_empty(), "{} attacks got something:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(seen.failed, 0, "{seen}");
    let bound = P99.max(before.quantile(0.99).max(after.quantile(0.99)) * BUSY_FACTOR);
    assert!(seen.quantile(0.99) <= bound, "{seen}; at most {} ms", bound.as_millis());

    let incidents = world.cloud.workers.runtime().incidents().list();
    assert!(incidents.iter().all(|incident| !incident.detail.contains(SECRET)));
}

/// Deploys one and visits it; says what went wrong.
async fn attempt(world: &World, workers: &Workers, id: &CloudAccountId, attack: &Attack) -> Result<(), String> {
    let script = attack.name;
    let metadata = json!({
        "main_module": "index.js", "compatibility_date": attack.date.unwrap_or(DATE), "compatibility_flags": attack.flags,
        "bindings": attack.bindings,
    });
    let (kind, body) = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), attack.code.as_bytes())]);
    let path = format!("/accounts/{}/workers/scripts/{script}", workers.account);
    let (status, answer) = world.api_raw(&workers.token, Method::PUT, &path, &kind, body).await;
    match (&attack.outcome, status) {
        (Outcome::NotDeployed, StatusCode::OK) => return Err("it was deployed".to_owned()),
        (Outcome::NotDeployed, _) => return Ok(()),
        (_, StatusCode::OK) => {}
        (_, _) => return Err(format!("it was not deployed: {answer}")),
    }
    let on = format!("{path}/subdomain");
    let (status, answer) = world.api(&workers.token, Method::POST, &on, Some(json!({"enabled": true}))).await;
    if status != StatusCode::OK {
        return Err(format!("it has no name: {answer}"));
    }
    let (_, found) = world.api(&workers.token, Method::GET, &format!("/accounts/{}/workers/workers/{script}", workers.account), None).await;
    let host = found["result"]["subdomain"]["url"].as_str().unwrap_or_default().trim_start_matches("https://").to_owned();
    let before = noticed(world, id, attack);
    let got = visitors::get(world.edge_http, &host, "/", attack.patience).await;
    let seen = attack.seen.is_empty() || noticed_again(world, id, attack, before).await;
    let text = got.as_ref().map_or_else(Clone::clone, |(status, body)| format!("{status} {body}"));
    let gone = world.api(&workers.token, Method::DELETE, &format!("{path}?force=true"), None).await;
    if text.contains(SECRET) {
        return Err("it saw the secret".to_owned());
    }
    if gone.0 != StatusCode::OK {
        return Err(format!("it cannot be removed: {}", gone.1));
    }
    if !seen {
        return Err(format!("the operator sees nothing of it: none of {:?}; {:?}", attack.seen, of_account(world, id)));
    }
    match (&attack.outcome, got) {
        (Outcome::Says(expected), Ok((200, body))) if expected.contains(&body.trim()) => Ok(()),
        (Outcome::Dies, Err(_)) => Ok(()),
        (Outcome::Dies, Ok((status, _))) if status >= 500 => Ok(()),
        (Outcome::Anything, _) => Ok(()),
        (outcome, _) => Err(format!("expected {outcome:?}, got `{}`", text.chars().take(300).collect::<String>())),
    }
}

/// The account as the operator knows it.
async fn account(world: &World, workers: &Workers) -> CloudAccountId {
    let all = world.cloud.db.read(account_list).await.unwrap();
    all.into_iter().find(|account| account.hex.as_str() == workers.account).unwrap().id
}

/// What the operator was shown of an account, by kind and number.
fn of_account(world: &World, id: &CloudAccountId) -> Vec<(&'static str, u64)> {
    let incidents = world.cloud.workers.runtime().incidents().list();
    incidents.iter().filter(|i| i.account == *id).map(|i| (i.kind.as_str(), i.count)).collect()
}

/// How often the operator was shown what an attempt should show.
fn noticed(world: &World, id: &CloudAccountId, attack: &Attack) -> u64 {
    of_account(world, id).iter().filter(|(kind, _)| attack.seen.contains(kind)).map(|(_, count)| count).sum()
}

/// Whether that rises: a process that has to be ended is noted a moment after its visitor was told.
async fn noticed_again(world: &World, id: &CloudAccountId, attack: &Attack, before: u64) -> bool {
    let deadline = tokio::time::Instant::now() + NOTICED;
    while noticed(world, id, attack) == before {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Where the edge is, for those that need it.
pub type Edge = SocketAddr;
