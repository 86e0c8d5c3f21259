//! What a Worker's KV binding asks over the bindings socket (cloud-api.md 4.2).

use http::{HeaderValue, Method, Request, Response, StatusCode};
use purser_values::id::CloudAccountId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::KeyName;
use super::list::Query;
use super::put::Options;
use crate::body::{Body, Incoming, full};
use crate::error::{Kind, StoreError};
use crate::limits;
use crate::query::{decoded, find};
use crate::stores::Stores;

const METADATA: &str = "cf-kv-metadata";
const EXPIRATION: &str = "cf-expiration";
/// Largest list of keys of a bulk read, as JSON, in bytes.
const BULK_BODY: usize = limits::KV_BULK_GET * (limits::KV_KEY_BYTES * 6 + 4) + 1024;

/// Answers one request of a Worker of this account.
pub async fn answer(stores: &Stores, account: &CloudAccountId, namespace: &str, request: Request<Body>) -> Response<Body> {
    match respond(stores, account, namespace, request).await {
        Ok(response) => response,
        Err(e) => refused(&e),
    }
}

async fn respond(stores: &Stores, account: &CloudAccountId, namespace: &str, request: Request<Body>) -> Result<Response<Body>, StoreError> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query();
    let path = parts.uri.path().trim_start_matches('/');
    if parts.method == Method::POST && path == "bulk/get" {
        return bulk(stores, account, namespace, body).await;
    }
    if parts.method == Method::GET && path.is_empty() {
        return list(stores, account, namespace, query).await;
    }
    let encoded = find(query, "urlencoded").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let text = if encoded { decoded(path).map(std::borrow::Cow::into_owned) } else { Some(path.to_owned()) };
    let name = KeyName::try_from(text.ok_or_else(|| StoreError::Invalid("could not URL-decode key name".to_owned()))?)?;
    match parts.method {
        Method::GET => {
            let entry = stores.kv_get(account, namespace, &name).await?;
            let length = entry.value.length;
            let mut response = Response::new(entry.value.into_body());
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_LENGTH, length.into());
            if let Some(at) = entry.expires_at {
                headers.insert(EXPIRATION, at.as_secs().into());
            }
            if let Some(metadata) = entry.metadata.and_then(|m| HeaderValue::from_bytes(m.as_bytes()).ok()) {
                headers.insert(METADATA, metadata);
            }
            Ok(response)
        }
        Method::PUT => {
            let metadata = parts.headers.get(METADATA).map(|m| String::from_utf8(m.as_bytes().to_vec())).transpose();
            let metadata = metadata.map_err(|_| StoreError::Invalid("the metadata is not UTF-8".to_owned()))?;
            let (ttl, at) = (find(query, "expiration_ttl"), find(query, "expiration"));
            let options = Options::checked(stores.inner().env.now(), ttl.as_deref(), at.as_deref(), metadata)?;
            stores.kv_put(account, namespace, name, options, Incoming::from_body(body)).await?;
            Ok(Response::new(full("")))
        }
        Method::DELETE => {
            stores.kv_delete(account, namespace, vec![name]).await?;
            Ok(Response::new(full("")))
        }
        _ => Err(StoreError::Invalid("a binding has no such call".to_owned())),
    }
}

async fn list(stores: &Stores, account: &CloudAccountId, namespace: &str, query: Option<&str>) -> Result<Response<Body>, StoreError> {
    let limit = match find(query, "key_count_limit") {
        Some(text) => Some(text.parse().map_err(|_| StoreError::Invalid("the limit is not a number".to_owned()))?),
        None => None,
    };
    let asked = Query { prefix: find(query, "prefix").unwrap_or_default(), cursor: find(query, "cursor"), limit };
    let page = stores.kv_list(account, namespace, asked).await?;
    let keys: Vec<Value> = page
        .keys
        .into_iter()
        .map(|key| {
            let mut shown = Map::from_iter([("name".to_owned(), json!(key.name))]);
            shown.extend(key.expires_at.map(|at| ("expiration".to_owned(), json!(at.as_secs()))));
            // the runtime expects it as JSON in a string
            shown.extend(key.metadata.map(|metadata| ("metadata".to_owned(), json!(metadata))));
            Value::Object(shown)
        })
        .collect();
    let mut said = json!({"keys": keys, "list_complete": page.cursor.is_none(), "cacheStatus": null});
    if let Some(cursor) = page.cursor {
        said["cursor"] = json!(cursor);
    }
    Ok(answered(&said))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bulk {
    keys: Vec<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    with_metadata: bool,
}

async fn bulk(stores: &Stores, account: &CloudAccountId, namespace: &str, body: Body) -> Result<Response<Body>, StoreError> {
    let bytes = Incoming::from_body(body).whole(BULK_BODY).await?;
    let asked: Bulk = serde_json::from_slice(&bytes).map_err(|_| StoreError::Invalid("the list of keys is not JSON".to_owned()))?;
    let json_wanted = match asked.kind.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(_) => return Err(StoreError::Invalid("only `text` and `json` are types of a bulk read".to_owned())),
    };
    let names = asked.keys.into_iter().map(KeyName::try_from).collect::<Result<_, _>>()?;
    let mut said = Map::new();
    for (name, found) in stores.kv_bulk_get(account, namespace, names).await? {
        let value = match found {
            None => Value::Null,
            Some(found) => {
                let not_json = |_| StoreError::Invalid("at least one of the requested keys corresponds to a non-json value".to_owned());
                let value = if json_wanted { serde_json::from_str(&found.value).map_err(not_json)? } else { json!(found.value) };
                if asked.with_metadata { json!({"value": value, "metadata": metadata_value(found.metadata.as_deref())}) } else { value }
            }
        };
        said.insert(name.as_str().to_owned(), value);
    }
    Ok(answered(&Value::Object(said)))
}

/// Metadata as it is shown outside of headers.
#[must_use]
pub fn metadata_value(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn answered(said: &Value) -> Response<Body> {
    let mut response = Response::new(full(said.to_string()));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(e: &StoreError) -> Response<Body> {
    let status = match e.kind() {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Invalid | Kind::Conflict | Kind::Precondition | Kind::Range => StatusCode::BAD_REQUEST,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Internal => {
            tracing::error!(error = ?e, "a KV binding was not answered");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let mut response = Response::new(full(e.to_string()));
    *response.status_mut() = status;
    response
}
