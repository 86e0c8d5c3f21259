//! `/v1/clients`: a person makes OAuth clients known for their organisation, lists them and takes them away.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use purser_authority::action::{ClientRead, ClientRegister, ClientRemove};
use purser_authority::{Attempt, Denied, authorise};
use purser_http::Problem;
use purser_identity::client::{Listed, RawMetadata, Registration, Trust, client_register, client_remove, clients_list};
use purser_provisioning::{OpError, perform};
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use crate::oidc::register::information;

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, now) = (called.context, api.app.core.env.now());
    let found = api.app.core.db.read::<_, OpError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<ClientRead>(&context.caller, &context.facts(now, organisation.as_str()))?;
        Ok(clients_list(tx, &permit)?)
    });
    let rows: Vec<Value> = found.await?.iter().map(shown).collect();
    Ok(Json(json!({ "clients": rows })))
}

pub async fn register(
    State(api): State<Api>,
    called: Called,
    purser_http::extract::Json(raw): purser_http::extract::Json<RawMetadata>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let metadata = raw.checked(Trust::Organisation, api.clients.rules().sandbox, |url| api.clients.reachable(url))?;
    let (context, realm) = (called.context, api.app.realm.clone());
    let organisation = context.caller.organisation().ok_or(Denied::Anonymous)?.to_string();
    let attempt = Attempt::new("client_register", &context.caller, organisation.as_str());
    let registration = Registration { metadata, trust: Trust::Organisation, peer: "api".to_owned() };
    let registered = perform(&api.app.core, attempt, move |tx| {
        let permit = authorise::<ClientRegister>(&context.caller, &context.facts(realm.env.now(), &organisation))?;
        client_register(tx, &realm, permit, &registration)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(information(&registered.client, registered.created_at, registered.secret.as_ref()))))
}

pub async fn remove(State(api): State<Api>, called: Called, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let (context, realm, gone) = (called.context, api.app.realm.clone(), id.clone());
    let attempt = Attempt::new("client_remove", &context.caller, id.as_str());
    perform(&api.app.core, attempt, move |tx| {
        let permit = authorise::<ClientRemove>(&context.caller, &context.facts(realm.env.now(), &gone))?;
        client_remove(tx, &realm, &permit)
    })
    .await?;
    if let Ok(id) = id.parse() {
        api.clients.forget(&id);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn shown(listed: &Listed) -> Value {
    let Listed { client, registered_at, registered_by } = listed;
    json!({ "client_id": client.id, "metadata": client.metadata, "registered_at": registered_at, "registered_by": registered_by })
}
