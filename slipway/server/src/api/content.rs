//! `workers/scripts/{name}/content`: the code as it was uploaded, and other code for the same settings.

use axum::extract::{Path, RawQuery, State};
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use slipway_accounts::token::Permission;
use slipway_workers::Revision;
use slipway_workers::view::UploadedModule;

use super::body::parse;
use super::caller::Caller;
use super::envelope::{Answer, Failure, ok};
use super::upload::Form;
use super::{existing, query, render, versions};
use crate::abuse::judge;
use crate::cloud::Shared;
use crate::events;

/// Where a client learns which part is the main module.
const ENTRYPOINT: &str = "cf-entrypoint";

/// Modules come as a form, a service worker as itself.
pub async fn get(
    State(cloud): State<Shared>,
    Path((account, script)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let id = query(text.as_deref(), "version").map(|id| versions::id(&id)).transpose()?;
    let (version, modules) = cloud.workers.version_content(account, &existing(&script)?, id.as_ref()).await?;
    let Some(main) = &version.main_module else {
        let code = modules.into_iter().next().map(|module| module.bytes).unwrap_or_default();
        return Ok(([(CONTENT_TYPE, "application/javascript")], code).into_response());
    };
    let boundary = format!("part-{}", hex::encode(cloud.env.bytes::<16>()));
    let kind = format!("multipart/form-data; boundary={boundary}");
    let mut response = ([(CONTENT_TYPE, kind)], form(&boundary, &modules)).into_response();
    // names of modules that no header can hold are told by the first part alone
    if let Ok(value) = main.parse() {
        response.headers_mut().insert(ENTRYPOINT, value);
    }
    Ok(response)
}

/// Other modules; the metadata names the main one.
pub async fn put(State(cloud): State<Shared>, Path((account, script)): Path<(String, String)>, caller: Caller, form: Form) -> Answer {
    let mut parts = form.admit(&cloud, &caller.account.id).await?;
    let upload = parts.code().await?;
    judge::code(&cloud, caller.party(), &upload).await?;
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let name = existing(&script)?;
    let said: Value = parse(&upload.metadata)?;
    let named = ["main_module", "body_part"].into_iter().find_map(|key| Some((key, said.get(key)?.clone())));
    let (key, value) = named.ok_or_else(|| Failure::invalid("the metadata names no `main_module`"))?;
    let revision = Revision { settings: Value::Object([(key.to_owned(), value)].into_iter().collect()), modules: Some(upload.modules) };
    let version = caller.workers(&cloud).script_revise(account, &name, revision, &caller.author()).await?;
    events::deployed(&cloud, account, &name);
    let service = cloud.workers.script_get(account, &name).await?;
    Ok(ok(&render::script(&service.script, Some(&version))))
}

fn form(boundary: &str, modules: &[UploadedModule]) -> Vec<u8> {
    let mut body = Vec::new();
    for module in modules {
        let name = module.name.replace('\\', "%5C").replace('"', "%22");
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\ncontent-type: {}\r\n\r\n",
            module.content_type
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&module.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}
