//! `GET /v1/events`: the organisation's audit log, newest first; an agent sees what is about itself. With `after`, oldest first from
//! there: what a receiver of webhooks missed. The log numbers its entries in the order of their commits, so nothing appears behind a
//! number that was read.

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
    /// The number of the last entry that is known; 0 for none.
    after: Option<i64>,
    /// Only entries of this verb; with `after` alone.
    verb: Option<String>,
    limit: Option<i64>,
}

pub async fn list(State(api): State<Api>, called: Called, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let entries = api.app.core.db.read::<_, OpError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let _permit = authorise::<EventRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        let limit = page.limit.unwrap_or(PAGE);
        Ok(match (context.caller.agent(), page.after) {
            (Some(_), Some(_)) => return Err(OpError::Invalid("`after` is for people; an agent reads with `before`".to_owned())),
            (Some(agent), None) => purser_audit::list_for_agent(tx, &organisation, agent, page.before, limit)?,
            (None, Some(after)) => purser_audit::list_after(tx, &organisation, after, page.verb.as_deref(), limit)?,
            (None, None) => purser_audit::list(tx, &organisation, page.before, limit)?,
        })
    });
    let rows: Vec<Value> = entries.await?.into_iter().map(|(seq, entry)| json!({ "seq": seq, "entry": entry })).collect();
    Ok(Json(json!({ "events": rows })))
}
