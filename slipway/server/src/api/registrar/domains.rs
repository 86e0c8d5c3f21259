//! `registrar/domains`: the account's names in the older form, with their lock.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_registrar::domain::State as Stage;
use slipway_registrar::domain::change::{Change, ChangeError, domain_change_while};

use super::registrar;
use super::registrations::{Shown, missing, parse, set_renewal, shown};
use super::workflow::State as At;
use crate::api::body::Json;
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, ok};
use crate::api::render;
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct Settings {
    #[serde(default)]
    locked: Option<bool>,
    #[serde(default)]
    auto_renew: Option<bool>,
    #[serde(default)]
    privacy: Option<bool>,
}

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let all = shown(&cloud, account, None).await?;
    Ok(ok(&json!(all.iter().map(domain).collect::<Vec<_>>())))
}

pub async fn get(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let found = shown(&cloud, account, Some(parse(&name)?)).await?;
    found.first().map(|it| ok(&domain(it))).ok_or_else(missing)
}

pub async fn put(
    State(cloud): State<Shared>,
    Path((account, name)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Settings>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = parse(&name)?;
    let found = shown(&cloud, account, Some(name.clone())).await?;
    let held = found.first().ok_or_else(missing)?;
    if body.privacy == Some(false) {
        return Err(Failure::invalid("what is known of holders is never published, so `privacy` stays on"));
    }
    if let Some(renews) = body.auto_renew
        && let At::ActionRequired { message, .. } = set_renewal(&cloud, &caller, held, renews).await?
    {
        return Err(Failure::invalid(message));
    }
    if let Some(locked) = body.locked.filter(|locked| *locked != held.locked) {
        domain_change_while(registrar(&cloud)?, account, &name, Change::Lock(locked), caller.stands()).await.map_err(|e| refuse(&e))?;
    }
    let fresh = shown(&cloud, account, Some(name)).await?;
    fresh.first().map(|it| ok(&domain(it))).ok_or_else(missing)
}

pub fn refuse(e: &ChangeError) -> Failure {
    match e {
        ChangeError::Store(e) => Failure::internal(e),
        ChangeError::NotFound => missing(),
        ChangeError::Stopped => Failure::stopped(),
        ChangeError::Pending | ChangeError::Refused(_) => Failure::invalid(e.to_string()),
        ChangeError::Unavailable(_) => Failure {
            retry_after: Some(1),
            ..Failure::new(
                http::StatusCode::SERVICE_UNAVAILABLE,
                10_013,
                "the registry gives no answer; the change is kept and asked for again",
            )
        },
    }
}

fn domain(shown: &Shown) -> Value {
    let expires = match shown.domain.state {
        Stage::Registered { expires_at, .. } | Stage::Detached { expires_at, .. } => Some(render::time(expires_at)),
        Stage::Pending | Stage::Refused(_) | Stage::Ended { .. } => None,
    };
    json!({
        "id": shown.domain.id,
        "name": shown.domain.name,
        "available": false,
        "can_register": false,
        "supported_tld": true,
        "current_registrar": "slipway",
        "auto_renew": shown.renews,
        "locked": shown.locked,
        "privacy": true,
        "registry_statuses": if shown.locked { "clientTransferProhibited" } else { "ok" },
        "created_at": render::time(shown.domain.created_at),
        "updated_at": render::time(shown.domain.created_at),
        "expires_at": expires,
        "registrant_contact": null,
        "transfer_in": null,
    })
}
