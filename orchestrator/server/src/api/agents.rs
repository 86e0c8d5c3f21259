//! `GET /v1/agents` and `POST /v1/agents/{id}/freeze`, for a person's command line.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use purser_authority::action::AgentRead;
use purser_authority::{Denied, authorise};
use purser_http::Problem;
use purser_identity::agent::{Above, agents_list};
use purser_provisioning::OpError;
use purser_provisioning::freeze::{Controlled, freeze_and_confirm};
use purser_values::id::AgentId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    #[serde(default)]
    dark: bool,
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, OpError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<AgentRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        Ok(agents_list(tx, &permit)?)
    });
    let rows: Vec<Value> = found
        .await?
        .into_iter()
        .map(|found| {
            let grants: Vec<Value> = found
                .grants
                .iter()
                .map(|g| json!({"id": g.id, "scope": g.scope, "accepted_at": g.accepted_at, "in_force": found.holds(g, now)}))
                .collect();
            let above = |above: Option<&Above>| above.map(|above| json!({"id": above.id, "name": above.name}));
            json!({"id": found.agent.id, "name": found.agent.name.to_string(), "key": found.agent.jkt, "frozen": found.agent.is_frozen(),
                   "parent": above(found.parent.as_ref()), "stopped_with": above(found.stopped_with.as_ref()), "grants": grants})
        })
        .collect();
    Ok(Json(json!({ "agents": rows })))
}

pub async fn freeze(State(api): State<Api>, called: Called, Path(id): Path<String>, body: Bytes) -> Result<Json<Controlled>, Problem> {
    let id: AgentId = id.parse().map_err(|_| Problem::not_found())?;
    let asked: Freeze = if body.is_empty() { Freeze::default() } else { purser_http::extract::parse_json(&body)? };
    Ok(Json(freeze_and_confirm(&api.app, called.caller(), id, asked.dark).await?))
}
