//! `…/import` and `…/export`: files of SQL. They go to and come from an address of their own, whose holder needs no token.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::StoreError;
use slipway_stores::d1::dump::Options;
use slipway_stores::d1::transfer::Imported;

use super::super::body::Json;
use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, ok};
use super::super::stored::{admit, incoming};
use crate::cloud::Shared;

/// Largest file that is taken, in bytes.
pub const BODY_BYTES: usize = slipway_stores::limits::D1_IMPORT_BYTES;

type Names = Path<(String, String)>;

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Import {
    Init { etag: String },
    Ingest { filename: String },
    Poll,
}

pub async fn import(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(asked): Json<Import>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let stores = caller.stores(&cloud);
    let done = match asked {
        Import::Init { etag } => {
            let upload = stores.d1_import_begin(account, &id, &etag).await?;
            let url = address(&cloud, &upload.token)?;
            return Ok(ok(&json!({"success": true, "type": "import", "filename": upload.name, "upload_url": url, "messages": []})));
        }
        Import::Ingest { filename } => {
            let _place = admit(&cloud, account).await?;
            stores.d1_import(account, &id, &filename).await
        }
        Import::Poll => stores.d1_import_last(account, &id).await,
    };
    match done {
        Ok(done) => Ok(ok(&imported(&done))),
        // the client tells the errors of a file from those of a call by where they are
        Err(StoreError::Sql(said)) => {
            Ok(ok(&json!({"success": true, "type": "import", "status": "error", "errors": [said], "error": said, "messages": []})))
        }
        Err(e) => Err(e.into()),
    }
}

#[derive(Deserialize)]
pub struct Export {
    #[serde(default)]
    dump_options: DumpOptions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DumpOptions {
    no_schema: bool,
    no_data: bool,
    tables: Vec<String>,
}

pub async fn export(State(cloud): State<Shared>, Path((account, id)): Names, caller: Caller, Json(asked): Json<Export>) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let DumpOptions { no_schema, no_data, tables } = asked.dump_options;
    let made = caller.stores(&cloud).d1_export(account, &id, Options { no_schema, no_data, tables }).await?;
    let result = json!({"filename": made.name, "signed_url": address(&cloud, &made.token)?});
    Ok(ok(
        &json!({"success": true, "type": "export", "status": "complete", "at_bookmark": made.bookmark, "messages": [], "result": result}),
    ))
}

/// Takes a file from whoever has its address.
pub async fn upload(State(cloud): State<Shared>, Path(token): Path<String>, request: Request) -> Answer {
    let etag = cloud.stores.d1_upload(&token, incoming(request)).await?;
    let mut response = StatusCode::OK.into_response();
    let value = HeaderValue::try_from(format!("\"{etag}\"")).map_err(|e| Failure::internal(&e))?;
    response.headers_mut().insert(header::ETAG, value);
    Ok(response)
}

/// Gives a file to whoever has its address.
pub async fn download(State(cloud): State<Shared>, Path(token): Path<String>) -> Answer {
    let file = cloud.stores.d1_download(&token).await?;
    let mut response: Response = Body::from_stream(file.chunks).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/sql"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response.headers_mut().insert(header::CONTENT_LENGTH, file.length.into());
    Ok(response)
}

fn address(cloud: &Shared, token: &str) -> Result<String, Failure> {
    let url = cloud.public_url.join(&format!("client/v4/d1/files/{token}")).map_err(|e| Failure::internal(&e))?;
    Ok(url.into())
}

fn imported(done: &Imported) -> Value {
    let meta = json!({
        "served_by": "slipway", "duration": done.duration, "changes": done.changes, "last_row_id": done.last_row_id, "changed_db": true,
        "size_after": done.size_after, "rows_read": done.rows_read, "rows_written": done.rows_written,
    });
    let result = json!({"num_queries": done.statements, "final_bookmark": done.bookmark, "meta": meta});
    json!({"success": true, "type": "import", "status": "complete", "at_bookmark": done.bookmark, "messages": [], "result": result})
}
