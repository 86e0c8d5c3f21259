//! `GET /v1/events`: the organisation's audit log, newest first; an agent sees what is about itself.

use axum::Json;
use axum::extract::State;
use purser_authority::action::EventRead;
use purser_authority::{Denied, authorise};
use purser_http::Problem;
use purser_http::extract::Query;
use purser_provisioning::OpError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

/// Entries of one page when the caller does not say.
const PAGE: i64 = 50;

#[derive(Deserialize)]
pub struct Page {
    before: Option<i64>,
    limit: Option<i64>,
}

pub async fn list(State(api): State<Api>, called: Called, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let entries = api.app.core.db.read::<_, OpError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let _permit = authorise::<EventRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        let limit = page.limit.unwrap_or(PAGE);
        Ok(match context.caller.agent() {
            Some(agent) => purser_audit::list_for_agent(tx, &organisation, agent, page.before, limit)?,
            None => purser_audit::list(tx, &organisation, page.before, limit)?,
        })
    });
    let rows: Vec<Value> = entries.await?.into_iter().map(|(seq, entry)| json!({ "seq": seq, "entry": entry })).collect();
    Ok(Json(json!({ "events": rows })))
}
