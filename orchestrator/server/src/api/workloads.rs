//! `/v1/workload_trusts`: a person lets builds and other workloads act within a grant, lists what is let in, and takes it back.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use purser_authority::action::{WorkloadTrustAdd, WorkloadTrustRead, WorkloadTrustRemove};
use purser_authority::{Attempt, Denied, authorise};
use purser_http::Problem;
use purser_identity::workload::{Trust, TrustFacts, workload_trust_add, workload_trust_remove, workload_trusts};
use purser_provisioning::{OpError, perform};
use purser_values::id::GrantId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::people_only::refuse;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    grant: GrantId,
    name: purser_identity::agent::AgentName,
    issuer: String,
    audience: String,
    subject: purser_identity::workload::SubjectPattern,
    #[serde(default)]
    claims: std::collections::BTreeMap<String, String>,
    /// What they may do (RFC 9396): one object of the type `purser_grant`.
    authorization_details: Vec<Value>,
    life_s: i64,
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, OpError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<WorkloadTrustRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        Ok(workload_trusts(tx, &permit)?)
    });
    let rows: Vec<Value> = found.await?.iter().map(shown).collect();
    Ok(Json(json!({ "workload_trusts": rows })))
}

pub async fn add(
    State(api): State<Api>,
    called: Called,
    body: Result<purser_http::extract::Json<Body>, Problem>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let purser_http::extract::Json(body) = match body {
        // an attempt is refused as one, whatever it brings, and recorded
        Err(_) if called.caller().agent().is_some() => return Err(refuse::<WorkloadTrustAdd>(&api, called, "/workloads").await),
        body => body?,
    };
    let (context, realm) = (called.context, api.app.realm.clone());
    let Body { grant, name, issuer, audience, subject, claims, authorization_details, life_s } = body;
    let plain_http = api.clients.rules().sandbox && issuer.parse().is_ok_and(|url| api.clients.trusts(&url));
    let facts = TrustFacts { name, issuer, audience, subject, claims, details: json!(authorization_details).to_string(), life_s };
    let attempt = Attempt::new("workload_trust_add", &context.caller, grant.as_str());
    let trust = perform(&api.app.core, attempt, move |tx| {
        let permit = authorise::<WorkloadTrustAdd>(&context.caller, &context.facts(realm.env.now(), grant.as_str()))?;
        workload_trust_add(tx, &realm, &permit, &grant, facts.clone(), plain_http)
    });
    let trust = trust.await?;
    Ok((StatusCode::CREATED, Json(shown(&trust))))
}

pub async fn remove(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let (context, env) = (called.context, api.app.core.env.clone());
    let attempt = Attempt::new("workload_trust_remove", &context.caller, id.as_str());
    perform(&api.app.core, attempt, move |tx| {
        let permit = authorise::<WorkloadTrustRemove>(&context.caller, &context.facts(env.now(), &id))?;
        workload_trust_remove(tx, env.now(), &permit)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(trust: &Trust) -> Value {
    let facts = &trust.facts;
    let details: Value = serde_json::from_str(&facts.details).unwrap_or_default();
    json!({
        "id": trust.id, "grant": trust.grant, "person": trust.person, "name": facts.name, "issuer": facts.issuer,
        "audience": facts.audience, "subject": facts.subject, "claims": facts.claims, "authorization_details": details,
        "life_s": facts.life_s, "created_at": trust.created_at,
    })
}
