//! `GET /v1/spend`: the month's position and charges; an agent sees its own. `GET /v1/spend/report` adds up a span of time by one thing;
//! `GET /v1/statement` is a month to keep, as JSON or CSV.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use purser_authority::action::{AgentRead, SpendRead};
use purser_authority::{Caller, Denied, authorise};
use purser_db::Tx;
use purser_http::Problem;
use purser_http::extract::Query;
use purser_identity::agent::agents_list;
use purser_provisioning::store::resource;
use purser_spend::calendar::{self, Zone};
use purser_spend::report::{self, By, ReportRow};
use purser_spend::statement::{Statement, StatementError, statement};
use purser_spend::{Spender, cap, ceiling};
use purser_values::id::AgentId;
use purser_values::name::{ProjectName, ProviderName};
use purser_values::{Month, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use crate::statement_csv;

/// Most charges of one answer that is not a statement; the newest are told.
const CHARGES: usize = 1_000;

#[derive(Deserialize)]
pub struct Which {
    month: Option<String>,
    zone: Option<String>,
}

pub async fn read(State(api): State<Api>, called: Called, Query(which): Query<Which>) -> Result<Json<Value>, Problem> {
    let month = which.month.as_deref().map(str::parse).transpose().map_err(|_| Problem::invalid("`month` is written like `2026-11`"))?;
    of(&api, &called, month, which.zone.as_deref()).await.map(Json)
}

pub(super) async fn of(api: &Api, called: &Called, month: Option<Month>, zone: Option<&str>) -> Result<Value, Problem> {
    let zone = zone_of(api, called, zone).await?;
    let (context, env) = (called.context.clone(), api.app.core.env.clone());
    let providers = api.app.gateway.names();
    let found = api.app.core.db.read::<_, StatementError, _>(move |tx| {
        let now = calendar::month_of(env.now(), &zone)?;
        let month = month.unwrap_or(now);
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<SpendRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let mut found = statement(tx, &permit, &organisation, None, month, &zone)?;
        // A provider where nothing was spent yet has its whole cap left, and the agent should know.
        if let (Caller::Agent { agent, .. }, true) = (&context.caller, month == now) {
            let spender = Spender { organisation: organisation.clone(), agent: agent.clone() };
            let permit = authorise::<purser_authority::action::CapRead>(&context.caller, &context.facts(env.now(), agent.as_str()))?;
            // Caps keep months of their own: the one that counts now.
            if let Ok(all) = cap::read(tx, &permit, &spender, &providers, env.now().month()) {
                found.positions = all;
            }
        }
        Ok(found)
    });
    let mut found = found.await?;
    // The newest; the whole month is a statement.
    let more = found.charges.len() > CHARGES;
    found.charges.drain(..found.charges.len().saturating_sub(CHARGES));
    Ok(json!({
        "agent": called.caller().agent(), "month": found.month.to_string(), "zone": found.zone, "totals": found.totals,
        "providers": found.positions, "charges": found.charges, "refunds": found.refunds, "owed": found.owed, "more_charges": more,
    }))
}

#[derive(Deserialize)]
pub struct Asked {
    by: String,
    since: Option<String>,
    until: Option<String>,
    zone: Option<String>,
}

pub async fn report(State(api): State<Api>, called: Called, Query(asked): Query<Asked>) -> Result<Json<Value>, Problem> {
    let zone = zone_of(&api, &called, asked.zone.as_deref()).await?;
    let (context, now) = (called.context, api.app.core.env.now());
    let services = asked.by == "service";
    let by: By = if services { By::Resource } else { asked.by.parse().map_err(|e: String| Problem::invalid(e))? };
    let this_month = calendar::month_of(now, &zone).and_then(|month| zone.month(month)).map_err(StatementError::from)?;
    let since = asked.since.as_deref().map_or(Ok(this_month.0), |text| moment(text, &zone, false))?;
    let until = asked.until.as_deref().map_or(Ok(now.plus_millis(1)), |text| moment(text, &zone, true))?;
    let name = zone.name().to_owned();
    let found = api.app.core.db.read::<_, StatementError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<SpendRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        let rows = report::report(tx, &permit, &organisation, by, (since, until), &zone)?;
        Ok(if services { by_service(tx, rows)? } else { rows })
    });
    Ok(Json(json!({ "by": asked.by, "since": since, "until": until, "zone": name, "rows": found.await? })))
}

/// The zone that was asked for, else the organisation's.
async fn zone_of(api: &Api, called: &Called, asked: Option<&str>) -> Result<Zone, Problem> {
    if let Some(name) = asked {
        return name.parse().map_err(|e: calendar::ParseZoneError| Problem::invalid(e.to_string()));
    }
    let organisation = called.caller().organisation().cloned().ok_or(Denied::Anonymous)?;
    Ok(api.app.core.db.read::<_, StatementError, _>(move |tx| Ok(ceiling::zone(tx, &organisation)?)).await?)
}

/// A month (`2026-11`), a day (`2026-11-23`) of the zone, or a moment; as an end, the first two are meant whole.
fn moment(text: &str, zone: &Zone, end: bool) -> Result<Timestamp, Problem> {
    let pick = |(starts, ends): (Timestamp, Timestamp)| if end { ends } else { starts };
    if let Ok(month) = text.parse::<Month>() {
        return Ok(pick(zone.month(month).map_err(StatementError::from)?));
    }
    if let Some(day) = zone.day(text) {
        return Ok(pick(day));
    }
    text.parse().map_err(|_| Problem::invalid("a time is written like `2026-11`, `2026-11-23` or `2026-11-23T12:00:00Z`"))
}

/// The rows of resources under the names of their services.
fn by_service(tx: &mut Tx<'_>, rows: Vec<ReportRow>) -> Result<Vec<ReportRow>, StatementError> {
    let mut sums: Vec<ReportRow> = Vec::new();
    for row in rows {
        let found = match row.key.parse() {
            Ok(id) => resource::get(tx, &id)?,
            Err(_) => None,
        };
        let key = found.map_or_else(|| "unknown".to_owned(), |resource| format!("{}/{}", resource.provider, resource.service));
        match sums.iter_mut().find(|sum| sum.key == key && sum.paid.currency() == row.paid.currency()) {
            Some(sum) => sum.add(&row)?,
            None => sums.push(ReportRow { key, ..row }),
        }
    }
    sums.sort_by(|a, b| (&a.key, a.paid.currency()).cmp(&(&b.key, b.paid.currency())));
    Ok(sums)
}

#[derive(Deserialize)]
pub struct Export {
    month: Option<String>,
    format: Option<String>,
    agent: Option<AgentId>,
    project: Option<ProjectName>,
    provider: Option<ProviderName>,
    zone: Option<String>,
}

/// A month to keep, all of it or what belongs to one agent, project or provider.
pub async fn export(State(api): State<Api>, called: Called, Query(wanted): Query<Export>) -> Result<Response, Problem> {
    let month = wanted.month.as_deref().map(str::parse).transpose().map_err(|_| Problem::invalid("`month` is written like `2026-11`"))?;
    let zone = zone_of(&api, &called, wanted.zone.as_deref()).await?;
    let (context, env) = (called.context, api.app.core.env.clone());
    let Export { format, agent, project, provider, .. } = wanted;
    let found = api.app.core.db.read::<_, StatementError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<SpendRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let month = month.map_or_else(|| calendar::month_of(env.now(), &zone), Ok)?;
        let mut found = statement(tx, &permit, &organisation, agent.as_ref(), month, &zone)?;
        found.narrow(project.as_ref(), provider.as_ref())?;
        let names = match &context.caller {
            Caller::Person { .. } => {
                let listing = authorise::<AgentRead>(&context.caller, &context.facts(env.now(), "agents"))?;
                agents_list(tx, &listing)?.into_iter().map(|known| (known.agent.id, known.agent.name.to_string())).collect()
            }
            _ => HashMap::new(),
        };
        Ok((found, names))
    });
    let (found, names): (Statement, HashMap<AgentId, String>) = found.await?;
    match format.as_deref() {
        None | Some("json") => Ok(Json(json!(found)).into_response()),
        Some("csv") => {
            let text = statement_csv::render(&found, |agent| names.get(agent).cloned().unwrap_or_default());
            let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            Ok((headers, text).into_response())
        }
        Some(_) => Err(Problem::invalid("`format` is `json` or `csv`")),
    }
}
