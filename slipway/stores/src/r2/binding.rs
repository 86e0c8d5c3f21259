//! What a Worker's R2 binding asks over the bindings socket (cloud-api.md 4.2): JSON in a header for reads, JSON before the bytes for writes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use purser_values::id::CloudAccountId;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::condition::OnlyIf;
use super::get::{NotSent, Part};
use super::list::{Page, Query};
use super::multipart::Chosen;
use super::put::Options;
use super::{Checksums, HttpFields, Object, millis};
use crate::body::{Body, Incoming, full, one, stream};
use crate::error::{Kind, StoreError};
use crate::limits;
use crate::stores::Stores;

const ERROR: &str = "cf-r2-error";
const REQUEST: &str = "cf-r2-request";
const METADATA_SIZE: &str = "cf-r2-metadata-size";

#[derive(Deserialize)]
#[serde(tag = "method", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Ask {
    Head {
        object: String,
    },
    Get {
        object: String,
        #[serde(default)]
        range: Option<AskRange>,
        #[serde(default)]
        range_header: Option<String>,
        #[serde(default)]
        only_if: OnlyIf,
        #[serde(default)]
        ssec: Option<Value>,
    },
    List {
        #[serde(default)]
        limit: Option<usize>,
        #[serde(default)]
        prefix: Option<String>,
        #[serde(default)]
        cursor: Option<String>,
        #[serde(default)]
        delimiter: Option<String>,
        #[serde(default)]
        start_after: Option<String>,
        #[serde(default)]
        include: Vec<u8>,
    },
    Put {
        object: String,
        #[serde(default)]
        custom_fields: Vec<Field>,
        #[serde(default)]
        http_fields: HttpFields,
        #[serde(default)]
        only_if: OnlyIf,
        #[serde(default)]
        md5: Option<String>,
        #[serde(default)]
        sha1: Option<String>,
        #[serde(default)]
        sha256: Option<String>,
        #[serde(default)]
        sha384: Option<String>,
        #[serde(default)]
        sha512: Option<String>,
        #[serde(default)]
        storage_class: Option<String>,
        #[serde(default)]
        ssec: Option<Value>,
    },
    CreateMultipartUpload {
        object: String,
        #[serde(default)]
        custom_fields: Vec<Field>,
        #[serde(default)]
        http_fields: HttpFields,
        #[serde(default)]
        storage_class: Option<String>,
        #[serde(default)]
        ssec: Option<Value>,
    },
    UploadPart {
        object: String,
        upload_id: String,
        part_number: i64,
    },
    CompleteMultipartUpload {
        object: String,
        upload_id: String,
        parts: Vec<Published>,
    },
    AbortMultipartUpload {
        object: String,
        upload_id: String,
    },
    Delete {
        #[serde(default)]
        object: Option<String>,
        #[serde(default)]
        objects: Vec<String>,
    },
}

#[derive(Deserialize)]
struct AskRange {
    #[serde(default, deserialize_with = "whole_opt")]
    offset: Option<i64>,
    #[serde(default, deserialize_with = "whole_opt")]
    length: Option<i64>,
    #[serde(default, deserialize_with = "whole_opt")]
    suffix: Option<i64>,
}

#[derive(Deserialize)]
struct Field {
    k: String,
    v: String,
}

#[derive(Deserialize)]
struct Published {
    etag: String,
    part: i64,
}

/// Answers one request of a Worker of this account.
pub async fn answer(stores: &Stores, account: &CloudAccountId, bucket: &str, request: Request<Body>) -> Response<Body> {
    match respond(stores, account, bucket, request).await {
        Ok(response) => response,
        Err(NotSent::Precondition(object)) => {
            let mut response = described(&shown(&object, None));
            mark(&mut response, &StoreError::Precondition);
            response
        }
        Err(NotSent::Refused(e)) => {
            let mut response = Response::new(full(""));
            mark(&mut response, &e);
            response
        }
    }
}

async fn respond(stores: &Stores, account: &CloudAccountId, bucket: &str, request: Request<Body>) -> Result<Response<Body>, NotSent> {
    let (parts, body) = request.into_parts();
    let (ask, rest) = match parts.method {
        Method::GET => (parse(header(&parts.headers, REQUEST)?.as_bytes())?, Incoming::of(Bytes::new())),
        Method::PUT => split(&parts.headers, Incoming::from_body(body)).await?,
        _ => return Err(invalid("a binding has no such call").into()),
    };
    let no_key =
        |ssec: &Option<Value>| if ssec.is_some() { Err(invalid("objects under a customer's key do not exist here")) } else { Ok(()) };
    match (&parts.method, ask) {
        (&Method::GET, Ask::Head { object }) => {
            let object = stores.r2_head(account, bucket, &object).await?;
            Ok(described(&shown(&object, Some(0..object.size))))
        }
        (&Method::GET, Ask::Get { object, range, range_header, only_if, ssec }) => {
            no_key(&ssec)?;
            let part = match range_header {
                Some(text) => Part::of_header(&text),
                None => range.map(|range| Part { offset: range.offset, length: range.length, suffix: range.suffix }),
            };
            let got = stores.r2_get(account, bucket, &object, &only_if, part).await?;
            let json = shown(&got.object, Some(got.range)).to_string();
            let (size, total) = (json.len() as u64, json.len() as u64 + got.value.length);
            let mut response = Response::new(stream(one(json.into()).chain(got.value.chunks).boxed()));
            response.headers_mut().insert(METADATA_SIZE, size.into());
            response.headers_mut().insert(http::header::CONTENT_LENGTH, total.into());
            Ok(response)
        }
        (&Method::GET, Ask::List { limit, prefix, cursor, delimiter, start_after, include }) => {
            let query = Query { prefix: prefix.unwrap_or_default(), delimiter, cursor, start_after, limit };
            Ok(described(&listed(stores.r2_list(account, bucket, query).await?, &include)))
        }
        (
            &Method::PUT,
            Ask::Put { object, custom_fields, http_fields, only_if, md5, sha1, sha256, sha384, sha512, storage_class, ssec },
        ) => {
            no_key(&ssec)?;
            let md5 = md5.map(|text| BASE64.decode(text).map(hex::encode)).transpose().map_err(|_| invalid("the MD5 is not base64"))?;
            let expected = Checksums { md5, sha1, sha256, sha384, sha512 };
            let options = Options { http: http_fields, custom: fields(custom_fields), only_if, expected, storage_class };
            let object = stores.r2_put(account, bucket, &object, options, rest).await?;
            Ok(described(&shown(&object, None)))
        }
        (&Method::PUT, Ask::CreateMultipartUpload { object, custom_fields, http_fields, storage_class, ssec }) => {
            no_key(&ssec)?;
            let id = stores.r2_upload_create(account, bucket, &object, &http_fields, &fields(custom_fields), storage_class).await?;
            Ok(described(&json!({"uploadId": id})))
        }
        (&Method::PUT, Ask::UploadPart { object, upload_id, part_number }) => {
            let etag = stores.r2_upload_part(account, bucket, &object, &upload_id, part_number, rest).await?;
            Ok(described(&json!({"etag": etag})))
        }
        (&Method::PUT, Ask::CompleteMultipartUpload { object, upload_id, parts }) => {
            let chosen = parts.into_iter().map(|part| Chosen { number: part.part, etag: part.etag }).collect();
            let object = stores.r2_upload_complete(account, bucket, &object, &upload_id, chosen).await?;
            Ok(described(&shown(&object, None)))
        }
        (&Method::PUT, Ask::AbortMultipartUpload { object, upload_id }) => {
            stores.r2_upload_abort(account, bucket, &object, &upload_id).await?;
            Ok(Response::new(full("")))
        }
        (&Method::PUT, Ask::Delete { object, mut objects }) => {
            objects.extend(object);
            stores.r2_delete(account, bucket, objects).await?;
            Ok(Response::new(full("")))
        }
        _ => Err(invalid("a binding has no such call").into()),
    }
}

/// What is asked, and the bytes behind it.
async fn split(headers: &HeaderMap, mut incoming: Incoming) -> Result<(Ask, Incoming), StoreError> {
    let size: usize = header(headers, METADATA_SIZE)?.parse().map_err(|_| no_metadata())?;
    if size > limits::R2_ASK_BYTES {
        return Err(no_metadata());
    }
    let mut held = BytesMut::new();
    while held.len() < size {
        let Some(piece) = incoming.chunks.next().await else { return Err(StoreError::Broken) };
        held.extend_from_slice(&piece?);
    }
    let ask = parse(&held.split_to(size))?;
    let length = incoming.length.map(|all| all.saturating_sub(size as u64));
    Ok((ask, Incoming { chunks: one(held.freeze()).chain(incoming.chunks).boxed(), length }))
}

fn parse(json: &[u8]) -> Result<Ask, StoreError> {
    serde_json::from_slice(json).map_err(|_| no_metadata())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, StoreError> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).ok_or_else(no_metadata)
}

fn fields(fields: Vec<Field>) -> BTreeMap<String, String> {
    fields.into_iter().map(|field| (field.k, field.v)).collect()
}

fn shown(object: &Object, range: Option<std::ops::Range<u64>>) -> Value {
    let mut value = json!({
        "name": object.name,
        "version": object.version,
        "size": object.size.to_string(),
        "etag": object.etag,
        "uploaded": millis(object.uploaded_at).to_string(),
        "httpFields": http_shown(&object.http),
        "customFields": object.custom.iter().map(|(k, v)| json!({"k": k, "v": v})).collect::<Vec<_>>(),
        "checksums": object.checksums,
        "storageClass": object.storage_class,
    });
    if let Some(range) = range {
        value["range"] = json!({"offset": range.start.to_string(), "length": (range.end - range.start).to_string()});
    }
    value
}

fn http_shown(http: &HttpFields) -> Value {
    let mut value = json!(http);
    if let Some(at) = http.cache_expiry {
        value["cacheExpiry"] = json!(at.to_string());
    }
    value
}

/// `include` are the numbers of what is told besides: 0 for what is sent with objects, 1 for the customers' own.
fn listed(page: Page, include: &[u8]) -> Value {
    let objects = page.objects.iter().map(|object| {
        let mut value = shown(object, None);
        if !include.contains(&0) {
            value["httpFields"] = json!({});
        }
        if !include.contains(&1) {
            value["customFields"] = json!([]);
        }
        value
    });
    let objects: Vec<Value> = objects.collect();
    let mut value = json!({"objects": objects, "truncated": page.cursor.is_some(), "delimitedPrefixes": page.delimited});
    if let Some(cursor) = page.cursor {
        value["cursor"] = json!(cursor);
    }
    value
}

fn described(value: &Value) -> Response<Body> {
    let text = value.to_string();
    let size = text.len() as u64;
    let mut response = Response::new(full(text));
    response.headers_mut().insert(METADATA_SIZE, size.into());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn mark(response: &mut Response<Body>, e: &StoreError) {
    let (status, code) = match e.kind() {
        Kind::NotFound => (StatusCode::NOT_FOUND, e.code()),
        Kind::Precondition => (StatusCode::PRECONDITION_FAILED, e.code()),
        Kind::Range => (StatusCode::RANGE_NOT_SATISFIABLE, e.code()),
        Kind::TooLarge => (StatusCode::BAD_REQUEST, 100_100),
        Kind::Forbidden => (StatusCode::FORBIDDEN, e.code()),
        Kind::Invalid | Kind::Conflict => (StatusCode::BAD_REQUEST, if matches!(e, StoreError::Invalid(_)) { 10_029 } else { e.code() }),
        Kind::Internal => {
            tracing::error!(error = ?e, "an R2 binding was not answered");
            (StatusCode::INTERNAL_SERVER_ERROR, 10_001)
        }
    };
    *response.status_mut() = status;
    let said = json!({"message": e.to_string(), "version": 1, "v4code": code});
    if let Ok(value) = HeaderValue::try_from(said.to_string()) {
        response.headers_mut().insert(ERROR, value);
    }
}

fn invalid(said: &str) -> StoreError {
    StoreError::Invalid(said.to_owned())
}

fn no_metadata() -> StoreError {
    invalid("metadata missing or invalid")
}

/// The runtime writes whole numbers of 64 bits as strings; others as numbers.
pub(super) fn whole_opt<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Whole {
        Number(i64),
        Text(String),
    }
    match Option::<Whole>::deserialize(from)? {
        None => Ok(None),
        Some(Whole::Number(number)) => Ok(Some(number)),
        Some(Whole::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
