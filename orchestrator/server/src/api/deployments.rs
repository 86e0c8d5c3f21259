//! `POST /v1/deployments`: files in, a live site out.

use std::time::Duration;

use axum::Json;
use axum::extract::{Multipart, State};
use purser_http::Problem;
use purser_provisioning::deploy::bundle::FileKind;
use purser_provisioning::deploy::{DeployFile, DeployRequest, deployment_create, may_deploy};
use serde_json::Value;

use super::caller::Called;
use super::{Api, sagas};

/// How long the request waits for the site before the caller is asked to poll.
const WAIT: Duration = Duration::from_secs(25);
/// What comes before the path of a static file.
const ASSETS: &str = "assets/";

pub async fn create(State(api): State<Api>, called: Called, mut form: Multipart) -> Result<Json<Value>, Problem> {
    // Nobody who may not deploy gets to send the files.
    may_deploy(&api.app, called.caller()).await?;
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
    let deploying = deployment_create(&api.app, called.caller(), request, files, called.key.clone()).await?;
    api.engine.drive(deploying.saga.clone());
    sagas::answer(&api, &deploying.saga, WAIT).await.map(Json)
}

fn unreadable(e: &axum::extract::multipart::MultipartError) -> Problem {
    Problem::new(e.status(), "upload_unreadable", e.body_text()).hint("the upload may be too large or cut off; deploy again")
}
