//! `/v1/credits`: the programmes that providers offer, what the organisation asked for, what is left of it, and what will be paid when it
//! has ended. An agent may ask; nobody decides here.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use purser_authority::action::CreditRead;
use purser_authority::{Denied, authorise};
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_provisioning::credits::{credit_apply, refresh};
use purser_spend::credit::{self, Application, Asked, CreditError};
use purser_values::id::CreditApplicationId;
use purser_values::name::ProviderName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

/// What a provider said is asked for again by those who look after this time, in seconds.
const LOOK_S: i64 = 5;
/// How long those who look wait for a provider.
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    Ok(Json(all(&api, &called).await?))
}

/// All of it, as the providers say it now, or as they said it last.
pub async fn all(api: &Api, called: &Called) -> Result<Value, Problem> {
    look(api, called).await?;
    let (context, now) = (called.context.clone(), api.app.core.env.now());
    let page = api.app.page("/credits");
    let found = api.app.core.db.read::<_, CreditError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        authorise::<CreditRead>(&context.caller, &context.facts(now, organisation.as_str())).map(drop)?;
        Ok(json!({
            "programmes": credit::programmes(tx)?,
            "applications": credit::of_organisation(tx, &organisation)?,
            "balances": credit::balances(tx, &organisation)?,
            "url": page,
        }))
    });
    Ok(found.await?)
}

/// Asks the providers whose word is old. One that does not answer soon keeps nobody waiting: what it said last is shown.
async fn look(api: &Api, called: &Called) -> Result<(), Problem> {
    let (context, now) = (called.context.clone(), api.app.core.env.now());
    let known = api.app.core.db.read::<_, CreditError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        authorise::<CreditRead>(&context.caller, &context.facts(now, organisation.as_str())).map(drop)?;
        Ok((credit::balances(tx, &organisation)?, organisation))
    });
    let (known, organisation) = known.await?;
    for balance in known.into_iter().filter(|balance| balance.read_at <= now.plus_secs(-LOOK_S)) {
        let (app, of, name) = (api.app.clone(), organisation.clone(), balance.provider.clone());
        // It goes on when nobody waits any more: tokens that it renews must be kept.
        let asking = tokio::spawn(async move { refresh(&app, &of, &name).await });
        if !matches!(tokio::time::timeout(PATIENCE, asking).await, Ok(Ok(Ok(())))) {
            tracing::info!(provider = %balance.provider, "what is left of a credit is shown as it was");
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    provider: ProviderName,
    programme: String,
    /// Why the organisation is eligible; kept sealed.
    evidence: String,
}

pub async fn apply(State(api): State<Api>, called: Called, Body(asked): Body<Apply>) -> Result<Json<Value>, Problem> {
    let Apply { provider, programme, evidence } = asked;
    let applied = credit_apply(&api.app, called.caller(), Asked { provider, programme, evidence }).await?;
    Ok(Json(view(&api, &applied)))
}

pub async fn read(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id: CreditApplicationId = id.parse().map_err(|_| Problem::from(CreditError::Unknown))?;
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, CreditError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        authorise::<CreditRead>(&context.caller, &context.facts(now, id.as_str())).map(drop)?;
        credit::find(tx, &id)?.filter(|one| one.organisation == organisation).ok_or(CreditError::Unknown)
    });
    let found = found.await?;
    Ok(Json(view(&api, &found)))
}

fn view(api: &Api, one: &Application) -> Value {
    let mut view = json!(one);
    view["url"] = json!(api.app.page("/credits"));
    view
}
