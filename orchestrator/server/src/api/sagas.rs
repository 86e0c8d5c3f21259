//! `GET /v1/sagas/{id}`: how work that outlives its request stands.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use purser_db::{DbError, Tx};
use purser_flow::{Record, Status};
use purser_http::Problem;
use purser_http::extract::Query;
use purser_provisioning::resource::refund_request;
use purser_provisioning::store::resource::{self, Resource};
use purser_provisioning::store::{deployment, ending};
use purser_provisioning::visible::saga_visible;
use purser_spend::{charge, hold};
use purser_values::id::{ResourceId, SagaId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

/// Longest wait of one request, in seconds; what begins a saga waits as long unless it is asked for less.
const WAIT_MAX_S: u64 = 25;

/// How long the caller wants its request held until the saga ends.
#[derive(Deserialize)]
pub struct Poll {
    wait: Option<u64>,
    /// `waiting`: hold on also while somebody has to act first.
    through: Option<String>,
}

impl Poll {
    /// Whether the caller wants to hear of a saga that stands so.
    fn is_enough(&self, record: &Record) -> bool {
        record.waiting.is_some() && self.through.as_deref() != Some("waiting")
    }

    fn or(&self, usual_s: u64) -> Duration {
        Duration::from_secs(self.wait.unwrap_or(usual_s).min(WAIT_MAX_S))
    }
}

pub async fn read(
    State(api): State<Api>,
    called: Called,
    Path(id): Path<String>,
    Query(poll): Query<Poll>,
) -> Result<Json<Value>, Problem> {
    let id: SagaId = id.parse().map_err(|_| Problem::not_found())?;
    let (context, now, of) = (called.context, api.app.core.env.now(), id.clone());
    let visible = api.app.core.db.read::<_, DbError, _>(move |tx| match purser_flow::get(tx, &of)? {
        Some(record) => saga_visible(tx, &context, now, &record),
        None => Ok(false),
    });
    if !visible.await? {
        return Err(Problem::not_found());
    }
    answer(&api, &id, &poll, 0).await.map(Json)
}

/// Starts what was begun and answers it as it ends, or as it stands when the caller has waited long enough.
pub(super) async fn follow(api: &Api, id: &SagaId, poll: &Poll) -> Result<Json<Value>, Problem> {
    api.engine.drive(id.clone());
    answer(api, id, poll, WAIT_MAX_S).await.map(Json)
}

/// The saga as it ends or begins to wait for somebody, or as it stands when the caller's time is up.
async fn answer(api: &Api, id: &SagaId, poll: &Poll, usual_s: u64) -> Result<Value, Problem> {
    let record = api.engine.wait_until(id, poll.or(usual_s), |record| poll.is_enough(record)).await?;
    Ok(api.app.core.db.read::<_, DbError, _>(move |tx| render(tx, &record)).await?)
}

fn render(tx: &mut Tx<'_>, record: &Record) -> Result<Value, DbError> {
    let state = match record.status {
        Status::Running if record.waiting.is_some() => "waiting",
        Status::Running | Status::Undoing => "running",
        Status::Undone if is_for_person(record) => "waiting",
        other => other.name(),
    };
    let carried: Value = serde_json::from_str(&record.state).unwrap_or_default();
    let error = record
        .failure
        .as_ref()
        .map(|f| json!({"code": f.code, "kind": f.kind, "message": f.message, "hint": f.hint, "details": f.details}));
    let mut answer =
        json!({ "saga": record.id, "operation": record.kind, "state": state, "error": error, "last_error": record.last_error });
    if let Some(on) = &record.waiting {
        answer["waiting"] = on.clone();
    }
    let id = carried["resource"].as_str().and_then(|id| id.parse::<ResourceId>().ok());
    if let Some(row) = id.map(|id| resource::get(tx, &id)).transpose()?.flatten() {
        answer["resource"] = resource(tx, &row)?;
        answer["charged"] = charged(tx, &row)?;
    }
    if record.kind == refund_request::KIND {
        let [request, refunded, amount, deadline] = ["request", "refunded", "amount", "deadline"].map(|name| &carried[name]);
        answer["refund_request"] = json!({ "id": request, "refunded": refunded, "amount": amount, "deadline": deadline });
    }
    if carried["account"].is_string() && carried["resource"].is_null() {
        answer["account"] = json!({ "id": carried["account"], "provider": carried["provider"] });
    }
    if let Some(id) = carried["deployment"].as_str() {
        let owner = record.owner.parse().map_err(|_| DbError::Corrupt("a saga has no owner".to_owned()))?;
        if let Some(found) = deployment::get(tx, &owner, id)? {
            answer["deployment"] = json!(found.id);
            answer["version"] = json!(found.version);
            answer["script"] = json!(found.script);
            answer["code_digest"] = json!(found.code_digest);
            answer["urls"] = json!(found.urls);
            answer["domain"] = json!(found.domain);
            answer["live_url"] = json!(found.urls.first());
        }
    }
    Ok(answer)
}

/// Undone because only a person can go on: the caller is told to fetch one. Nobody is waited for once their time is over.
fn is_for_person(record: &Record) -> bool {
    record.failure.as_ref().is_some_and(|f| f.kind == "needs_person" && f.code != "account_link_expired")
}

pub(super) fn resource(tx: &mut Tx<'_>, row: &Resource) -> Result<Value, DbError> {
    let names = purser_vault::names(tx, &row.project, &row.environment)?;
    let variables: Vec<&str> = names.iter().filter(|c| c.resource == row.id).map(|c| c.variable.as_str()).collect();
    Ok(json!({
        "id": row.id, "name": row.name, "service": row.service_ref(), "status": row.state.name(), "project": row.project_name,
        "environment": row.environment, "endpoints": row.endpoints, "variables": variables, "created_at": row.created_at,
        "irreversible": row.facts["quote"]["irreversible"] == true,
        "ends_at": ending::ends_at(tx, &row.id)?,
    }))
}

/// What was really paid for the resource so far.
fn charged(tx: &mut Tx<'_>, row: &Resource) -> Result<Value, DbError> {
    let mut sum: Option<purser_values::Money> = None;
    for held in hold::of_resource(tx, &row.id)? {
        for paid in charge::of_hold(tx, &held.id)?.iter().filter(|c| c.state == charge::ChargeState::Succeeded) {
            let total = sum.map_or(Ok(paid.amount), |sum| sum.checked_add(paid.amount));
            sum = Some(total.map_err(|e| DbError::Corrupt(e.to_string()))?);
        }
    }
    Ok(sum.map_or(Value::Null, |m| json!({"amount": m.decimal(), "amount_minor": m.minor(), "currency": m.currency()})))
}
