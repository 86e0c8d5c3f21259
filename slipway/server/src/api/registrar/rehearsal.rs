//! `registrar-sandbox`: the same calls in a world of the account's own. Names are registered at once, cost nothing and exist nowhere else;
//! nothing of the real set is seen from here, and nothing of this one from there.
//!
//! So that every path can be walked, `taken.*` is taken, and `premium.*` and names of one or two characters are premium.

use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, StatusCode};
use purser_db::DbError;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_registrar::domain::check::Checked;
use slipway_registrar::domain::{MAX_YEARS, Refusal, exact};
use slipway_registrar::registry::YEARLY;
use slipway_registrar::rehearsal::{RehearsalError, Rehearsed, YEARS, rehearsal_get, rehearsal_list, rehearsal_put, rehearsal_renew};
use slipway_registrar::suggest::candidates;

use super::names::{Names, Wanted, item};
use super::registrar;
use super::registrations::{Edit, New, REGISTRATION, UPDATE, missing, paged, parse, sort};
use super::workflow::{State as At, Workflow};
use crate::api::body::Json;
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, ok};
use crate::api::render;
use crate::cloud::{Cloud, Shared};

pub async fn search(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let wanted = Wanted::read(text.as_deref(), registrar(&cloud)?.registry.suffixes())?;
    let names = candidates(&wanted.phrase, &wanted.suffixes, wanted.limit);
    let checked = checked(&cloud, account, names).await?;
    Ok(ok(&json!({"domains": checked.iter().map(item).collect::<Vec<_>>()})))
}

pub async fn check(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<Names>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let checked = checked(&cloud, account, body.parse()?).await?;
    Ok(ok(&json!({"domains": checked.iter().map(item).collect::<Vec<_>>()})))
}

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?.clone();
    let all = cloud.db.read(move |tx| rehearsal_list(tx, &account)).await?;
    let mut rows: Vec<(String, Value)> = all.iter().map(|it| (it.name.to_string(), registration(it))).collect();
    sort(&mut rows, text.as_deref());
    Ok(paged(&rows, text.as_deref()))
}

pub async fn get(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    Ok(ok(&registration(&found(&cloud, account, parse(&name)?).await?)))
}

pub async fn create(
    State(cloud): State<Shared>,
    Path(account): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Json(body): Json<New>,
) -> Answer {
    let base = format!("/accounts/{account}/registrar-sandbox");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = body.name()?;
    let years = body.years.unwrap_or(YEARS);
    if !(1..=MAX_YEARS).contains(&years) {
        return Err(Failure::invalid(format!("a name is registered for 1 to {MAX_YEARS} years")));
    }
    judge(&name, registrar(&cloud)?.registry.suffixes()).map_err(|refusal| Failure::invalid(refusal.to_string()))?;
    let (of, wanted, renews, now) = (account.clone(), name.clone(), body.auto_renew.unwrap_or(false), cloud.env.now());
    let standing = caller.standing();
    let written = cloud.db.write(move |tx| -> Result<Rehearsed, Failure> {
        standing(tx)?;
        rehearsal_put(tx, &of, &wanted, years, renews, now).map_err(|e| match e {
            RehearsalError::TooMany => Failure::invalid(e.to_string()),
            RehearsalError::Store(e) => Failure::internal(&e),
        })
    });
    let made = written.await?;
    Ok(workflow(base, &made, REGISTRATION).answer(StatusCode::CREATED, &headers))
}

pub async fn edit(
    State(cloud): State<Shared>,
    Path((account, name)): Path<(String, String)>,
    headers: HeaderMap,
    caller: Caller,
    Json(body): Json<Edit>,
) -> Answer {
    let base = format!("/accounts/{account}/registrar-sandbox");
    let account = caller.within(&cloud, &account, Permission::Domains).await?.clone();
    let (name, now) = (parse(&name)?, cloud.env.now());
    let renews = body.auto_renew.ok_or_else(|| Failure::invalid("`auto_renew` is missing"))?;
    let standing = caller.standing();
    let written = cloud.db.write(move |tx| -> Result<Option<Rehearsed>, Failure> {
        standing(tx)?;
        Ok(rehearsal_renew(tx, &account, &name, renews, now)?)
    });
    let changed = written.await?.ok_or_else(missing)?;
    Ok(workflow(base, &changed, UPDATE).answer(StatusCode::OK, &headers))
}

pub async fn registration_status(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let base = format!("/accounts/{account}/registrar-sandbox");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    Ok(ok(&workflow(base, &found(&cloud, account, parse(&name)?).await?, REGISTRATION).json()))
}

pub async fn update_status(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let base = format!("/accounts/{account}/registrar-sandbox");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    Ok(ok(&workflow(base, &found(&cloud, account, parse(&name)?).await?, UPDATE).json()))
}

fn workflow<'a>(base: String, held: &'a Rehearsed, kind: &'static str) -> Workflow<'a> {
    let state = At::Succeeded { registration: Some(registration(held)) };
    Workflow { base, domain: held.name.as_str(), kind, created_at: held.created_at, updated_at: held.updated_at, state }
}

async fn found(cloud: &Cloud, account: &CloudAccountId, name: DomainName) -> Result<Rehearsed, Failure> {
    let account = account.clone();
    cloud.db.read(move |tx| rehearsal_get(tx, &account, &name)).await?.ok_or_else(missing)
}

async fn checked(cloud: &Cloud, account: &CloudAccountId, names: Vec<DomainName>) -> Result<Vec<Checked>, Failure> {
    let (account, suffixes) = (account.clone(), registrar(cloud)?.registry.suffixes().to_vec());
    let read = cloud.db.read(move |tx| -> Result<Vec<Checked>, DbError> {
        names
            .into_iter()
            .map(|name| {
                let held = rehearsal_get(tx, &account, &name)?.is_some();
                let yearly = judge(&name, &suffixes).and(if held { Err(Refusal::Taken) } else { Ok(YEARLY) });
                Ok(Checked { name, yearly })
            })
            .collect()
    });
    Ok(read.await?)
}

/// Whether a name could be registered in a rehearsal at all.
fn judge(name: &DomainName, suffixes: &[String]) -> Result<(), Refusal> {
    exact(name, suffixes)?;
    match name.as_str().split('.').next().unwrap_or_default() {
        "taken" => Err(Refusal::Taken),
        label if label == "premium" || label.len() <= 2 => Err(Refusal::Premium),
        _ => Ok(()),
    }
}

fn registration(held: &Rehearsed) -> Value {
    json!({
        "domain_name": held.name,
        "status": "active",
        "auto_renew": held.auto_renew,
        "locked": true,
        "privacy_mode": "redaction",
        "created_at": render::time(held.created_at),
        "expires_at": render::time(held.expires_at),
    })
}
