//! `POST /v1/deployments`: files in, a live site out.

use std::time::Duration;

use axum::Json;
use axum::extract::{Multipart, State};
use http::StatusCode;
use purser_http::Problem;
use purser_http::extract::Query;
use purser_provisioning::deploy::bundle::FileKind;
use purser_provisioning::deploy::{DeployFile, DeployRequest, deployment_create, may_deploy};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::Api;
use super::caller::Called;
use super::sagas::{Poll, follow};

/// Time for an upload to be let in and to arrive.
const ARRIVE: Duration = Duration::from_secs(120);
/// What comes before the path of a static file.
const ASSETS: &str = "assets/";

pub async fn create(State(api): State<Api>, called: Called, Query(poll): Query<Poll>, form: Multipart) -> Result<Json<Value>, Problem> {
    // Nobody who may not deploy gets to send the files.
    may_deploy(&api.app, called.caller()).await?;
    let organisation = called.caller().organisation().ok_or_else(Problem::not_found)?;
    let deadline = Instant::now() + ARRIVE;
    let place = timeout_at(deadline, api.app.bundles.turn(organisation)).await.map_err(|_| slow())?;
    let place = place.map_err(|_| slow())?;
    let (request, files) = timeout_at(deadline, read(form)).await.map_err(|_| slow())??;
    let deploying = deployment_create(&api.app, called.caller(), request, files, called.key.clone()).await?;
    drop(place);
    follow(&api, &deploying.saga, &poll).await
}

async fn read(mut form: Multipart) -> Result<(DeployRequest, Vec<DeployFile>), Problem> {
    let mut request: Option<DeployRequest> = None;
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|e| unreadable(&e))? {
        let name = field.name().unwrap_or_default().to_owned();
        let content_type = field.content_type().unwrap_or("application/octet-stream").to_owned();
        let is_file = field.file_name().is_some();
        let bytes = field.bytes().await.map_err(|e| unreadable(&e))?;
        if name == "metadata" && !is_file {
            request = Some(purser_http::extract::parse_json(&bytes)?);
        } else {
            let (kind, path) = name.strip_prefix(ASSETS).map_or((FileKind::Module, name.as_str()), |path| (FileKind::Asset, path));
            files.push(DeployFile { kind, path: path.to_owned(), content_type, bytes });
        }
    }
    let request = request.ok_or_else(|| Problem::invalid("the part `metadata` is missing"))?;
    Ok((request, files))
}

fn unreadable(e: &axum::extract::multipart::MultipartError) -> Problem {
    Problem::new(e.status(), "upload_unreadable", e.body_text()).hint("the upload may be too large or cut off; deploy again")
}

fn slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "upload_too_slow", format!("the upload did not arrive within {} seconds", ARRIVE.as_secs()))
        .hint("wait for the organisation's other uploads, then deploy again")
}
