//! `GET /zones`: the account's registered domains, as clients look them up before they connect host names.

use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_dns::zone::Zone;
use slipway_dns::zone::get::zone_list;

use super::body::Json;
use super::caller::Caller;
use super::dns_records::zone_of;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::{query, render};
use crate::cloud::Shared;

/// The codes by which clients know that a zone is there, and that a name is not registered.
const EXISTS: u32 = 1_061;
const NOT_REGISTERED: u32 = 1_049;

pub async fn list(State(cloud): State<Shared>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    caller.allowed(Permission::Domains)?;
    let text = text.as_deref();
    let (name, account) = (query(text, "name"), query(text, "account.id"));
    if account.is_some_and(|id| id != caller.account.hex.as_str()) {
        return Ok(page(&[], Page::of(text)));
    }
    let zones = zones(&cloud, &caller).await?;
    let shown: Vec<Value> =
        zones.iter().filter(|z| name.as_ref().is_none_or(|n| n == z.name.as_str())).map(|z| zone(&cloud, &caller, z)).collect();
    Ok(page(&shown, Page::of(text)))
}

pub async fn get(State(cloud): State<Shared>, Path(id): Path<String>, caller: Caller) -> Answer {
    let zones = zones(&cloud, &caller).await?;
    let found = zones.iter().find(|z| z.id == id).ok_or_else(|| Failure::no_route(&format!("/zones/{id}")))?;
    Ok(ok(&zone(&cloud, &caller, found)))
}

#[derive(Deserialize)]
pub struct NewZone {
    name: String,
}

/// A zone comes with its domain: whoever could make one for any name would answer for names of others. For a domain of the account it is
/// there already, and said so as clients know it.
pub async fn create(State(cloud): State<Shared>, caller: Caller, Json(body): Json<NewZone>) -> Answer {
    let there = zones(&cloud, &caller).await?.iter().any(|zone| zone.name.as_str().eq_ignore_ascii_case(&body.name));
    let shown = purser_wire::text::excerpt(&body.name, 100);
    Err(if there {
        Failure::new(http::StatusCode::BAD_REQUEST, EXISTS, format!("{shown} already exists"))
    } else {
        Failure::new(
            http::StatusCode::BAD_REQUEST,
            NOT_REGISTERED,
            format!("{shown} is not a domain of this account; register it here, and its zone comes with it"),
        )
    })
}

/// Every zone here is active from its first moment.
pub async fn activation_check(State(cloud): State<Shared>, Path(id): Path<String>, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &id).await?;
    Ok(ok(&json!({"id": zone.id})))
}

/// The zones of the caller's account.
///
/// # Errors
/// When the token may not see them, or the store fails.
pub(super) async fn zones(cloud: &Shared, caller: &Caller) -> Result<Vec<Zone>, Failure> {
    caller.allowed(Permission::Domains)?;
    let account = caller.account.id.clone();
    Ok(cloud.db.read(move |tx| zone_list(tx, &account)).await?)
}

fn zone(cloud: &Shared, caller: &Caller, zone: &Zone) -> Value {
    let created = render::time(zone.created_at);
    let servers: Vec<&str> = cloud.registrar.iter().flat_map(|r| r.name_servers.iter().map(|n| n.as_str())).collect();
    json!({
        "id": zone.id,
        "name": zone.name,
        "status": "active",
        "paused": false,
        "type": "full",
        "development_mode": 0,
        "name_servers": servers,
        "original_name_servers": null,
        "original_registrar": null,
        "original_dnshost": null,
        "account": {"id": caller.account.hex.as_str(), "name": caller.account.organisation},
        "owner": {"id": caller.account.hex.as_str(), "type": "organization", "name": caller.account.organisation},
        "plan": {"id": "free", "name": "Free"},
        "meta": {},
        "permissions": ["#zone:read"],
        "created_on": created,
        "modified_on": created,
        "activated_on": created,
    })
}
