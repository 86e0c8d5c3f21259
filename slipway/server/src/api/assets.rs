//! Static files: opening an upload session with a manifest, and uploading what is missing.

use axum::extract::{Path, RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::json;
use slipway_accounts::token::Permission;
use slipway_workers::WorkersError;
use slipway_workers::limits::BUCKET_FILES;
use slipway_workers::store::asset::Manifest;
use slipway_workers::view::AssetFile;

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::upload::Parts;
use super::{named, query};
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
    let account = caller.within(&account, Permission::Assets)?;
    let session = cloud.workers.assets_session_create(account, &named(&script)?, body.manifest).await?;
    Ok(ok(&json!({"jwt": session.jwt, "buckets": session.buckets})))
}

/// Authenticated by the session's token and not by the API token: that is how its clients call it. The session knows its account; the one
/// in the path is decoration.
pub async fn upload(
    State(cloud): State<Shared>,
    Path(_account): Path<String>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
    mut parts: Parts,
) -> Answer {
    let session = bearer(&headers).ok_or(WorkersError::AssetSession)?;
    let encoded = query(text.as_deref(), "base64").is_some_and(|v| v == "true");
    let mut files = Vec::new();
    while let Some(part) = parts.next().await? {
        if files.len() >= BUCKET_FILES {
            return Err(Failure::body(format!("one upload holds at most {BUCKET_FILES} files")));
        }
        let bytes = if encoded { decode(&part.bytes)? } else { part.bytes };
        files.push(AssetFile { hash: part.name, content_type: part.content_type.unwrap_or_default(), bytes });
    }
    let completed = cloud.workers.assets_upload(&session, files).await?;
    Ok(ok(&completed.map_or_else(|| json!({}), |jwt| json!({"jwt": jwt}))))
}

fn decode(bytes: &[u8]) -> Result<Bytes, Failure> {
    STANDARD.decode(bytes).map(Bytes::from).map_err(|_| Failure::body("a file of the upload is not base64"))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
