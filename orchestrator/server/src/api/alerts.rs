//! `GET /v1/alerts`: what was told about money, when, and where it went, newest first.

use axum::Json;
use axum::extract::State;
use purser_authority::action::SpendRead;
use purser_authority::{Denied, authorise};
use purser_http::Problem;
use purser_http::extract::Query;
use purser_provisioning::alerts;
use purser_spend::statement::StatementError;
use purser_values::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

/// Alerts of one page when the caller does not say.
const PAGE: i64 = 50;

#[derive(Deserialize)]
pub struct Page {
    /// The moment of the last one of the page before.
    before: Option<String>,
    limit: Option<i64>,
}

pub async fn list(State(api): State<Api>, called: Called, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let before = page.before.as_deref().map(str::parse::<Timestamp>).transpose();
    let before = before.map_err(|_| Problem::invalid("`before` is a moment such as `2026-11-23T12:00:00Z`"))?;
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, StatementError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<SpendRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        alerts::list(tx, &permit, &organisation, before, page.limit.unwrap_or(PAGE))
    });
    Ok(Json(json!({ "alerts": found.await? })))
}
