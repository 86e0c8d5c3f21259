//! Routes by pattern: which URLs of the account's zones go to which Worker.

use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_dns::zone::Zone;
use slipway_workers::WorkersError;
use slipway_workers::name::Uuid;
use slipway_workers::pattern::Pattern;
use slipway_workers::view::ZoneRoute;

use super::body::Json;
use super::caller::Caller;
use super::dns_records::zone_of;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::existing;
use super::zones::zones;
use crate::abuse::hosts::{self, Host};
use crate::cloud::Shared;

/// A route as clients write it. Without a script, requests that it covers meet no Worker of another route.
#[derive(Deserialize)]
pub struct Body {
    pattern: String,
    #[serde(default)]
    script: Option<String>,
}

/// One of `PUT …/scripts/{script}/routes`.
#[derive(Deserialize)]
pub struct Wanted {
    pattern: String,
    #[serde(default)]
    zone_name: Option<String>,
    #[serde(default)]
    zone_id: Option<String>,
}

pub async fn list(State(cloud): State<Shared>, Path(zone): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    let all = cloud.workers.route_list(&caller.account.id).await?;
    let shown: Vec<Value> = all.iter().filter(|route| route.zone_id == zone.id).map(render).collect();
    Ok(page(&shown, Page::of(text.as_deref())))
}

pub async fn create(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller, Json(body): Json<Body>) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    let new = route(&cloud, &zone, &body.pattern, body.script.as_deref())?;
    give(&cloud, &caller, std::slice::from_ref(&new)).await?;
    let made = caller.workers(&cloud).route_create(&caller.account.id, new).await?;
    Ok(ok(&render(&made)))
}

pub async fn get(State(cloud): State<Shared>, Path((zone, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    Ok(ok(&render(&one(&cloud, &caller, &zone, &id).await?)))
}

pub async fn update(
    State(cloud): State<Shared>,
    Path((zone, id)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    let there = one(&cloud, &caller, &zone, &id).await?;
    let changed = ZoneRoute { id: there.id, ..route(&cloud, &zone, &body.pattern, body.script.as_deref())? };
    give(&cloud, &caller, std::slice::from_ref(&changed)).await?;
    caller.workers(&cloud).route_update(&caller.account.id, changed.clone()).await?;
    Ok(ok(&render(&changed)))
}

pub async fn delete(State(cloud): State<Shared>, Path((zone, id)): Path<(String, String)>, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    let there = one(&cloud, &caller, &zone, &id).await?;
    caller.workers(&cloud).route_delete(&caller.account.id, &there.id).await?;
    Ok(ok(&json!({"id": there.id})))
}

/// Makes these the Worker's routes, and no others.
pub async fn replace(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(wanted): Json<Vec<Wanted>>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let script = existing(&script)?;
    let zones = zones(&cloud, &caller).await?;
    let mut routes = Vec::with_capacity(wanted.len());
    for one in &wanted {
        let zone = zone_of_pattern(&zones, one).ok_or_else(|| {
            let shown = purser_wire::text::excerpt(&one.pattern, 100);
            Failure::invalid(format!("the route `{shown}` lies in no zone of this account; register its domain first"))
        })?;
        routes.push(route(&cloud, zone, &one.pattern, None)?);
    }
    give(&cloud, &caller, &routes).await?;
    let kept = caller.workers(&cloud).route_replace(account, &script, routes).await?;
    Ok(ok(&json!(kept.iter().map(render).collect::<Vec<_>>())))
}

/// The zone that is named, or else the innermost one that the pattern lies in.
fn zone_of_pattern<'a>(zones: &'a [Zone], wanted: &Wanted) -> Option<&'a Zone> {
    if let Some(id) = &wanted.zone_id {
        return zones.iter().find(|zone| zone.id == *id);
    }
    if let Some(name) = &wanted.zone_name {
        return zones.iter().find(|zone| zone.name.as_str().eq_ignore_ascii_case(name));
    }
    let pattern: Pattern = wanted.pattern.parse().ok()?;
    zones.iter().filter(|zone| pattern.is_within(zone.name.as_str())).max_by_key(|zone| zone.name.as_str().len())
}

fn route(cloud: &Shared, zone: &Zone, pattern: &str, script: Option<&str>) -> Result<ZoneRoute, Failure> {
    let pattern: Pattern = pattern.parse().map_err(|e: slipway_workers::pattern::PatternError| Failure::invalid(e.to_string()))?;
    let script = script.filter(|name| !name.is_empty()).map(existing).transpose()?;
    Ok(ZoneRoute { id: Uuid::mint(&cloud.env), zone_id: zone.id.clone(), zone_name: zone.name.to_string(), pattern, script })
}

/// The hosts that the routes name. One that lies in no zone of the account is refused where the route is made.
async fn give(cloud: &Shared, caller: &Caller, routes: &[ZoneRoute]) -> Result<(), Failure> {
    let own = routes.iter().filter(|route| route.pattern.is_within(&route.zone_name));
    let hosts = own.map(|route| Host::in_zone(route.pattern.host(), &route.zone_name)).collect();
    Ok(hosts::give(cloud, caller, hosts).await?)
}

async fn one(cloud: &Shared, caller: &Caller, zone: &Zone, id: &str) -> Result<ZoneRoute, Failure> {
    let id: Uuid = id.parse().map_err(|_| WorkersError::RouteNotFound)?;
    let all = cloud.workers.route_list(&caller.account.id).await?;
    Ok(all.into_iter().find(|route| route.id == id && route.zone_id == zone.id).ok_or(WorkersError::RouteNotFound)?)
}

fn render(route: &ZoneRoute) -> Value {
    json!({"id": route.id, "pattern": route.pattern.to_string(), "script": route.script, "request_limit_fail_open": false})
}
