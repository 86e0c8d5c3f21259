//! `…/values/{key}` and `…/metadata/{key}`: values are raw, in no envelope.

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header;
use serde_json::Value;
use slipway_accounts::token::Permission;
use slipway_stores::body::Incoming;
use slipway_stores::kv::KeyName;
use slipway_stores::kv::binding::metadata_value;
use slipway_stores::kv::put::Options;

use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, ok};
use super::super::query;
use super::super::stored::{admit, incoming};
use crate::cloud::Shared;

type Names = Path<(String, String, String)>;

pub async fn get(State(cloud): State<Shared>, Path((account, namespace, key)): Names, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let entry = cloud.stores.kv_get(account, &namespace, &KeyName::try_from(key)?).await?;
    let length = entry.value.length;
    let mut response: Response = Body::from_stream(entry.value.chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if let Some(at) = entry.expires_at {
        headers.insert("expiration", at.as_secs().into());
    }
    Ok(response)
}

pub async fn metadata(State(cloud): State<Shared>, Path((account, namespace, key)): Names, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let found = cloud.stores.kv_metadata(account, &namespace, &KeyName::try_from(key)?).await?;
    Ok(ok(&metadata_value(found.as_deref())))
}

/// The body is the value; or, with metadata, a form of both.
pub async fn put(
    State(cloud): State<Shared>,
    Path((account, namespace, key)): Names,
    RawQuery(text): RawQuery,
    caller: Caller,
    request: Request,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let _place = admit(&cloud, account).await?;
    let name = KeyName::try_from(key)?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (value, metadata) = if kind.starts_with("multipart/form-data") {
        let form = Multipart::from_request(request, &cloud).await.map_err(|e| Failure::body(e.body_text()))?;
        let (value, metadata) = fields(form).await?;
        (Incoming::of(value), metadata)
    } else {
        (incoming(request), None)
    };
    let find = |name| query(text.as_deref(), name);
    let options = Options::checked(cloud.env.now(), find("expiration_ttl").as_deref(), find("expiration").as_deref(), metadata)?;
    caller.stores(&cloud).kv_put(account, &namespace, name, options, value).await?;
    Ok(ok(&Value::Null))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, namespace, key)): Names, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    caller.stores(&cloud).kv_delete(account, &namespace, vec![KeyName::try_from(key)?]).await?;
    Ok(ok(&Value::Null))
}

async fn fields(mut form: Multipart) -> Result<(Bytes, Option<String>), Failure> {
    let refuse = |_| Failure::body("the body is not a well-formed multipart form");
    let (mut value, mut metadata) = (None, None);
    while let Some(field) = form.next_field().await.map_err(refuse)? {
        match field.name() {
            Some("value") => value = Some(field.bytes().await.map_err(refuse)?),
            Some("metadata") => metadata = Some(field.text().await.map_err(refuse)?),
            _ => {}
        }
    }
    Ok((value.ok_or_else(|| Failure::body("the form has no field `value`"))?, metadata.filter(|text| text != "null")))
}
