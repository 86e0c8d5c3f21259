//! Transfers to us. None is carried out yet, and each call says so in the words of its contract.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_registrar::domain::Refusal;
use slipway_registrar::domain::check::domain_check;

use super::names::unanswered;
use super::registrar;
use super::registrations::{missing, parse};
use crate::api::body::Json;
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, ok};
use crate::cloud::Shared;

/// The most names that are asked for at once.
const MOST: usize = 10;

#[derive(Deserialize)]
pub struct Names {
    domains: Vec<Name>,
}

#[derive(Deserialize)]
pub struct Name {
    domain_name: String,
}

/// Why each name cannot be brought here.
pub async fn check(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<Names>) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    if body.domains.is_empty() || body.domains.len() > MOST {
        return Err(Failure::invalid(format!("`domains` has 1 to {MOST} names")));
    }
    let names = body.domains.iter().map(|it| parse(&it.domain_name)).collect::<Result<Vec<_>, _>>()?;
    let checked = domain_check(registrar(&cloud)?, names).await.map_err(|e| unanswered(&e))?;
    let all: BTreeMap<String, Value> = checked
        .iter()
        .map(|it| {
            let code = match it.yearly {
                Ok(_) => "domain_not_exists",
                Err(Refusal::UnsupportedSuffix) => "extension_not_supported",
                Err(Refusal::Premium) => "domain_premium",
                Err(Refusal::Taken | Refusal::Invalid | Refusal::NoHolder) => "extension_disallows_transfer",
            };
            (it.name.to_string(), json!({"name": it.name, "transferable": false, "reasons": [{"code": code}]}))
        })
        .collect();
    Ok(ok(&json!({"domains": all})))
}

pub async fn create(State(cloud): State<Shared>, Path((account, _)): Path<(String, String)>, caller: Caller) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    Err(Failure::invalid("names are not transferred here; register one below a suffix that is sold"))
}

/// There is no transfer whose state could be told.
pub async fn status(State(cloud): State<Shared>, Path((account, _)): Path<(String, String)>, caller: Caller) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    Err(missing())
}
