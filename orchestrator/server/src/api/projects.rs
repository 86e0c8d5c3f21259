//! `POST /v1/projects` and `GET /v1/projects/{name}`.

use axum::Json;
use axum::extract::{Path, State};
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_http::extract::Query;
use purser_provisioning::status::{project_create, project_read};
use purser_values::name::{EnvironmentName, ProjectName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    name: ProjectName,
}

#[derive(Deserialize)]
pub struct Which {
    environment: Option<String>,
}

pub async fn create(State(api): State<Api>, called: Called, Body(create): Body<Create>) -> Result<Json<Value>, Problem> {
    let project = project_create(&api.app, called.caller(), create.name).await?;
    Ok(Json(json!({ "id": project.id, "name": project.name, "environments": ["development"] })))
}

pub async fn read(
    State(api): State<Api>,
    called: Called,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Problem> {
    let name: ProjectName = name.parse().map_err(|e| Problem::invalid(format!("{e}")))?;
    let environment = environment(which.environment.as_deref())?;
    let mut status = project_read(&api.app, called.caller(), name, environment).await?;
    status["spend"] = super::spend::of(&api, &called, None, None).await?;
    Ok(Json(status))
}

pub(super) fn environment(text: Option<&str>) -> Result<EnvironmentName, Problem> {
    text.unwrap_or("development").parse().map_err(|e| Problem::invalid(format!("{e}")))
}
