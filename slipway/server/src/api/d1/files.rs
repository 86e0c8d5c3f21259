//! `…/import` and `…/export`: files of SQL. They go to and come from an address of their own, whose holder needs no token; it is good as long
//! as the token works that asked for it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use purser_values::id::CloudAccountId;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_accounts::token::verify::token_stands;
use slipway_stores::d1::dump::Options;
use slipway_stores::d1::transfer::Imported;
use slipway_stores::error::Thing;
use slipway_stores::{Condition, StoreError, Stores};

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
            let upload = stores.d1_import_begin(account, &id, &etag, Some(&caller.token.id)).await?;
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
    let _place = admit(&cloud, account).await?;
    let DumpOptions { no_schema, no_data, tables } = asked.dump_options;
    let options = Options { no_schema, no_data, tables };
    let made = caller.stores(&cloud).d1_export(account, &id, options, Some(&caller.token.id)).await?;
    let result = json!({"filename": made.name, "signed_url": address(&cloud, &made.token)?});
    Ok(ok(
        &json!({"success": true, "type": "export", "status": "complete", "at_bookmark": made.bookmark, "messages": [], "result": result}),
    ))
}

/// Takes a file from whoever has its address.
pub async fn upload(State(cloud): State<Shared>, Path(token): Path<String>, request: Request) -> Answer {
    let (stores, account) = holder(&cloud, &token).await?;
    let _place = admit(&cloud, &account).await?;
    let etag = stores.d1_upload(&token, incoming(request)).await?;
    let mut response = StatusCode::OK.into_response();
    let value = HeaderValue::try_from(format!("\"{etag}\"")).map_err(|e| Failure::internal(&e))?;
    response.headers_mut().insert(header::ETAG, value);
    Ok(response)
}

/// Gives a file to whoever has its address.
pub async fn download(State(cloud): State<Shared>, Path(token): Path<String>) -> Answer {
    let (stores, _) = holder(&cloud, &token).await?;
    let file = stores.d1_download(&token).await?;
    let mut response: Response = Body::from_stream(file.chunks).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/sql"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response.headers_mut().insert(header::CONTENT_LENGTH, file.length.into());
    Ok(response)
}

/// The stores for an address, on the condition that the token still works that asked for it; and its account. An address without that is none.
async fn holder(cloud: &Shared, address: &str) -> Result<(Stores, CloudAccountId), Failure> {
    let holder = cloud.stores.d1_transfer_holder(address).await?;
    let Some(by) = holder.by else { return Ok((cloud.stores.clone(), holder.account)) };
    let env = cloud.env.clone();
    let condition: Condition =
        Arc::new(move |tx| if token_stands(tx, &by, env.now())? { Ok(()) } else { Err(StoreError::NotFound(Thing::Transfer)) });
    let asked = condition.clone();
    cloud.db.read(move |tx| asked(tx)).await?;
    Ok((cloud.stores.only_while(condition), holder.account))
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
