//! `…/objects/{key}`: bodies are raw both ways; slashes of a key are slashes of the path.

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_stores::StoreError;
use slipway_stores::r2::condition::OnlyIf;
use slipway_stores::r2::get::{NotSent, Part};
use slipway_stores::r2::list::Query;
use slipway_stores::r2::put::Options;
use slipway_stores::r2::{HttpFields, Object};

use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, ok, plain};
use super::super::stored::{admit, incoming};
use super::super::{query, render};
use super::anywhere;
use crate::cloud::Shared;

/// Largest object that one call takes: what clients send without parts, in bytes.
pub const BODY_BYTES: usize = 315 * 1024 * 1024;
/// The header that names a storage class.
pub const STORAGE_CLASS: &str = "cf-r2-storage-class";

type Names = Path<(String, String, String)>;

pub async fn list(
    State(cloud): State<Shared>,
    Path((account, bucket)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
    caller: Caller,
) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    let find = |name| query(text.as_deref(), name).map(std::borrow::Cow::into_owned);
    let asked = Query {
        prefix: find("prefix").unwrap_or_default(),
        delimiter: find("delimiter"),
        cursor: find("cursor").filter(|cursor| !cursor.is_empty()),
        start_after: find("start_after"),
        limit: find("per_page").and_then(|n| n.parse().ok()),
    };
    let page = cloud.stores.r2_list(account, &bucket, asked).await?;
    let shown: Vec<Value> = page.objects.iter().map(object).collect();
    let info = json!({"cursor": page.cursor.as_deref().unwrap_or_default(), "is_truncated": page.cursor.is_some(), "delimited": page.delimited,
        "count": shown.len()});
    Ok(plain(&json!({"success": true, "errors": [], "messages": [], "result": shown, "result_info": info})))
}

pub async fn get(State(cloud): State<Shared>, Path((account, bucket, key)): Names, headers: HeaderMap, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    let part = text(&headers, header::RANGE.as_str()).as_deref().and_then(Part::of_header);
    let got = match cloud.stores.r2_get(account, &bucket, &key, &OnlyIf::default(), part).await {
        Ok(got) => got,
        Err(NotSent::Refused(e)) => return Err(e.into()),
        Err(NotSent::Precondition(_)) => return Err(StoreError::Precondition.into()),
    };
    let mut response: Response = Body::from_stream(got.value.chunks).into_response();
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {}-{}/{}", got.range.start, got.range.end.saturating_sub(1), got.object.size);
        set(&mut response, header::CONTENT_RANGE, Some(&range));
    }
    let http = &got.object.http;
    set(&mut response, header::CONTENT_TYPE, Some(http.content_type.as_deref().unwrap_or("application/octet-stream")));
    set(&mut response, header::CONTENT_LANGUAGE, http.content_language.as_deref());
    set(&mut response, header::CONTENT_DISPOSITION, http.content_disposition.as_deref());
    set(&mut response, header::CONTENT_ENCODING, http.content_encoding.as_deref());
    set(&mut response, header::CACHE_CONTROL, http.cache_control.as_deref());
    set(&mut response, header::ETAG, Some(&format!("\"{}\"", got.object.etag)));
    response.headers_mut().insert(header::CONTENT_LENGTH, got.value.length.into());
    Ok(response)
}

pub async fn put(State(cloud): State<Shared>, Path((account, bucket, key)): Names, caller: Caller, request: Request) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let headers = request.headers();
    anywhere(headers)?;
    let find = |name: header::HeaderName| text(headers, name.as_str());
    let http = HttpFields {
        content_type: find(header::CONTENT_TYPE),
        content_language: find(header::CONTENT_LANGUAGE),
        content_disposition: find(header::CONTENT_DISPOSITION),
        content_encoding: find(header::CONTENT_ENCODING),
        cache_control: find(header::CACHE_CONTROL),
        cache_expiry: None,
    };
    let options = Options { http, storage_class: text(headers, STORAGE_CLASS), ..Options::default() };
    let _place = admit(&cloud, account).await?;
    let value = incoming(request);
    if value.length.is_none() {
        return Err(Failure::new(StatusCode::LENGTH_REQUIRED, 10_029, "the length of the body is missing; send it with `content-length`"));
    }
    let made = caller.stores(&cloud).r2_put(account, &bucket, &key, options, value).await?;
    Ok(ok(&object(&made)))
}

pub async fn delete(State(cloud): State<Shared>, Path((account, bucket, key)): Names, headers: HeaderMap, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    anywhere(&headers)?;
    caller.stores(&cloud).r2_delete(account, &bucket, vec![key]).await?;
    Ok(ok(&json!({})))
}

pub fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn set(response: &mut Response, name: header::HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(name, value);
    }
}

fn object(object: &Object) -> Value {
    json!({
        "key": object.name,
        "etag": object.etag,
        "size": object.size,
        "version": object.version,
        "last_modified": render::time(object.uploaded_at),
        "http_metadata": object.http,
        "custom_metadata": object.custom,
        "storage_class": object.storage_class,
    })
}
