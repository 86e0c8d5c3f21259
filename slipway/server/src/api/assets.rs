//! Static files: opening an upload session with a manifest, and uploading what is missing.

use axum::extract::{Path, RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use slipway_accounts::token::Permission;
use slipway_workers::WorkersError;
use slipway_workers::limits::BUCKET_FILES;
use slipway_workers::store::asset::Manifest;
use slipway_workers::view::AssetFile;

use super::body::Json;
use super::caller::{Caller, bearer, standing};
use super::envelope::{Answer, Failure, ok};
use super::upload::Form;
use super::{named, query};
use crate::abuse::judge;
use crate::cloud::Shared;

#[derive(Deserialize)]
pub struct NewSession {
    manifest: Manifest,
}

pub async fn session(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    caller: Caller,
    Json(body): Json<NewSession>,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Assets).await?;
    let session = caller.workers(&cloud).assets_session_create(account, &named(&script)?, body.manifest, &caller.token.id).await?;
    Ok(ok(&json!({"jwt": session.jwt, "buckets": session.buckets})))
}

/// Authenticated by the session's token and not by the API token: that is how its clients call it. The session knows its account; the one
/// in the path is decoration.
pub async fn upload(
    State(cloud): State<Shared>,
    Path(_account): Path<String>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
    form: Form,
) -> Answer {
    let session = bearer(&headers).ok_or(WorkersError::AssetSession)?;
    let (owner, token) = cloud.workers.assets_session_holder(session.expose()).await?;
    // a session outlives neither a stop of the token that opened it nor its account's freeze
    let standing = standing(token, cloud.env.clone());
    let now = standing.clone();
    cloud.db.read(move |tx| now(tx)).await?;
    let mut parts = form.admit(&cloud, &owner).await?;
    let encoded = query(text.as_deref(), "base64").is_some_and(|v| v == "true");
    let mut files = Vec::new();
    while let Some(part) = parts.next().await? {
        if files.len() >= BUCKET_FILES {
            return Err(Failure::body(format!("one upload holds at most {BUCKET_FILES} files")));
        }
        let bytes = if encoded { decode(&part.bytes)? } else { part.bytes };
        files.push(AssetFile { hash: part.name, content_type: part.content_type.unwrap_or_default(), bytes });
    }
    judge::assets(&cloud, (&owner).into(), &files).await?;
    let completed = cloud.workers.only_while(standing).assets_upload(session.expose(), files).await?;
    Ok(ok(&completed.map_or_else(|| json!({}), |jwt| json!({"jwt": jwt}))))
}

fn decode(bytes: &[u8]) -> Result<Bytes, Failure> {
    STANDARD.decode(bytes).map(Bytes::from).map_err(|_| Failure::body("a file of the upload is not base64"))
}
