//! `GET /v1/variables` and `POST /v1/variables/export`.

use axum::Json;
use axum::extract::State;
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_http::extract::Query;
use purser_provisioning::variables::{credential_export, variables_list};
use purser_values::name::{EnvironmentName, ProjectName};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Api;
use super::caller::Called;

#[derive(Deserialize)]
pub struct Which {
    project: ProjectName,
    environment: Option<EnvironmentName>,
}

impl Which {
    fn parts(self) -> Result<(ProjectName, EnvironmentName), Problem> {
        let environment = self.environment.map_or_else(|| super::projects::environment(None), Ok)?;
        Ok((self.project, environment))
    }
}

pub async fn list(State(api): State<Api>, called: Called, Query(which): Query<Which>) -> Result<Json<Value>, Problem> {
    let (project, environment) = which.parts()?;
    let found = variables_list(&api.app, called.caller(), project, environment).await?;
    let rows: Vec<Value> = found
        .iter()
        .map(|c| json!({"name": c.variable, "resource": c.resource, "secret": true, "value": "***", "version": c.version}))
        .collect();
    Ok(Json(json!({ "variables": rows })))
}

/// The one answer that holds secrets in plain text.
pub async fn export(State(api): State<Api>, called: Called, Body(which): Body<Which>) -> Result<Json<Value>, Problem> {
    let (project, environment) = which.parts()?;
    let values = credential_export(&api.app, called.caller(), project, environment).await?;
    let rows: Map<String, Value> = values.iter().map(|(name, value)| (name.clone(), Value::String(value.expose().clone()))).collect();
    Ok(Json(json!({ "variables": rows })))
}
