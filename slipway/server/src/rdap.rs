//! RDAP (RFC 9082, 9083): what is registered below the suffixes that are kept here, for everybody.
//!
//! Only what is asked for by its exact name is told; there is no search, so nothing can be harvested.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use purser_db::{DbError, Tx};
use purser_values::Timestamp;
use purser_values::name::{DomainName, HostName};
use serde_json::Value;
use slipway_registry::rdap::{self, Base};

use crate::cloud::Shared;

purser_http::routes! { Shared;
    get "/rdap/domain/{name}" => domain;
    get "/rdap/nameserver/{name}" => nameserver;
    get "/rdap/entity/{handle}" => entity;
    get "/rdap/help" => help;
    get "/rdap/{*rest}" => nothing;
}

const JSON: &str = "application/rdap+json";
/// Longest handle (roidType and clIDType are shorter).
const HANDLE: usize = 64;

type Look = fn(&mut Tx<'_>, &Base<'_>, &str, Timestamp) -> Result<Option<Value>, DbError>;

pub fn router(cloud: Shared) -> Router {
    table().with_state(cloud)
}

async fn domain(State(cloud): State<Shared>, Path(name): Path<String>) -> Response {
    match name.parse::<DomainName>() {
        Ok(name) => found(&cloud, name.as_str().to_owned(), rdap::domain).await,
        Err(e) => refused(StatusCode::BAD_REQUEST, "Bad request", &e.to_string()),
    }
}

async fn nameserver(State(cloud): State<Shared>, Path(name): Path<String>) -> Response {
    match name.parse::<HostName>() {
        Ok(name) => found(&cloud, name.as_str().to_owned(), rdap::nameserver).await,
        Err(e) => refused(StatusCode::BAD_REQUEST, "Bad request", &e.to_string()),
    }
}

async fn entity(State(cloud): State<Shared>, Path(handle): Path<String>) -> Response {
    if handle.len() > HANDLE {
        return refused(StatusCode::BAD_REQUEST, "Bad request", "that is no handle");
    }
    found(&cloud, handle, rdap::entity).await
}

async fn help(State(cloud): State<Shared>) -> Response {
    answer(StatusCode::OK, &rdap::help(&Base(&base(&cloud))))
}

/// Networks, numbers and searches are nobody's business here.
async fn nothing() -> Response {
    refused(StatusCode::NOT_FOUND, "Not found", "domains, nameservers and registrars are told of, each by its name")
}

async fn found(cloud: &Shared, name: String, look: Look) -> Response {
    let (base, now) = (base(cloud), cloud.env.now());
    match cloud.db.read(move |tx| look(tx, &Base(&base), &name, now)).await {
        Ok(Some(found)) => answer(StatusCode::OK, &found),
        Ok(None) => refused(StatusCode::NOT_FOUND, "Not found", "nothing of that name is registered here"),
        Err(e) => {
            tracing::error!(error = %e, "RDAP could not look");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "try again in a moment")
        }
    }
}

fn base(cloud: &Shared) -> String {
    format!("{}rdap/", cloud.public_url)
}

fn refused(status: StatusCode, title: &str, description: &str) -> Response {
    answer(status, &rdap::error(status.as_u16(), title, description))
}

/// Any page may read it (RFC 7480 section 5.6).
fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response();
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
