//! Names that leave: given back in their first days, or asked for by another registrar. Neither is in the contract of Cloudflare's API,
//! whose registrar knows both only on its own pages.
//!
//! INVARIANT (own-purchase): an agent gives back only what it bought itself, and hands over nothing: a name is worth more than its price.

use axum::extract::{Path, State};
use purser_db::DbError;
use purser_values::error::PublicError as _;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::resource::get::resource_get;
use slipway_accounts::token::Permission;
use slipway_registrar::domain::State as Stage;
use slipway_registrar::domain::change::{Change, domain_change_while};
use slipway_registrar::domain::delete::{DeleteError, domain_delete_while, in_time};
use slipway_registrar::domain::get::domain_get;

use super::domains::refuse;
use super::registrar;
use super::registrations::{missing, parse};
use crate::api::body::Json;
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, ok};
use crate::cloud::Shared;
use crate::domain::upkeep;
use crate::release;

#[derive(Deserialize)]
pub struct Agreed {
    agreed: bool,
}

/// Gives a name back while that costs nothing; what was paid for it comes back.
pub async fn delete(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?.clone();
    let name = parse(&name)?;
    let registrar = registrar(&cloud)?;
    own(&cloud, &caller, &account, &name).await?;
    // First, so that no site of this account answers under a name that is free for others.
    release::hosts(&cloud, &account, &name).await?;
    match domain_delete_while(registrar, &account, &name, caller.stands()).await {
        Ok(()) => {}
        Err(DeleteError::Change(e)) => return Err(refuse(&e)),
        Err(e @ DeleteError::TooLate) => return Err(late(&e)),
    }
    if let Err(e) = upkeep::clear(&cloud).await {
        tracing::warn!(error = %e, "what stood on a name is cleared away by the next round");
    }
    Ok(ok(&Value::Null))
}

/// Refuses another registrar that asks for a name. Agreeing needs no call: a name that is not refused goes by itself.
pub async fn transfer_out(
    State(cloud): State<Shared>,
    Path((account, name)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<Agreed>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    if body.agreed {
        return Err(Failure::invalid(
            "a token does not hand a name over; one that is not refused goes to the other registrar in some days",
        ));
    }
    let (registrar, name) = (registrar(&cloud)?, parse(&name)?);
    domain_change_while(registrar, account, &name, Change::HandOver(false), caller.stands()).await.map_err(|e| refuse(&e))?;
    Ok(ok(&Value::Null))
}

/// The secret that another registrar asks with; for the owner's own tokens, never for an agent's.
pub async fn auth_code(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?.clone();
    let name = parse(&name)?;
    if caller.token.agent.is_some() {
        return Err(Failure::invalid("with this code a name is taken elsewhere; an agent does not get it, its owner does"));
    }
    let (of, registrar) = (account, registrar(&cloud)?);
    let found = cloud.db.read(move |tx| domain_get(tx, &of, &name)).await?.ok_or_else(missing)?;
    if !matches!(found.state, Stage::Registered { .. }) {
        return Err(missing());
    }
    Ok(ok(&json!({"auth_code": registrar.registry.transfer_secret(&found.id).expose()})))
}

fn late(e: &DeleteError) -> Failure {
    let hint = e.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    Failure::invalid(format!("{e}{hint}"))
}

/// Whether this caller may give the name back, and still can.
async fn own(cloud: &Shared, caller: &Caller, account: &CloudAccountId, name: &DomainName) -> Result<(), Failure> {
    let (of, wanted) = (account.clone(), name.clone());
    let found = cloud.db.read(move |tx| -> Result<_, DbError> {
        let Some(domain) = domain_get(tx, &of, &wanted)? else { return Ok(None) };
        Ok(Some((resource_get(tx, &of, &domain.request)?, domain)))
    });
    let (bought, domain) = found.await?.ok_or_else(missing)?;
    in_time(&domain, cloud.env.now()).map_err(|e| late(&e))?;
    match (&caller.token.agent, bought.and_then(|it| it.agent)) {
        (None, _) => Ok(()),
        (Some(agent), Some(buyer)) if *agent == buyer => Ok(()),
        _ => Err(Failure::invalid("another bought this name; only its buyer or its owner gives it back")),
    }
}
