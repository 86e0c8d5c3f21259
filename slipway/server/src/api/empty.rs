//! What clients ask in passing and we do not have: an honest nothing where nothing is the answer, a clear refusal where something was
//! to be changed.

use axum::extract::RawQuery;
use serde_json::{Value, json};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};

/// A list that is always empty: tails, Durable Objects, KV namespaces.
pub async fn list(RawQuery(query): RawQuery, _caller: Caller) -> Answer {
    Ok(page(&[], Page::of(query.as_deref())))
}

/// What refers to a Worker: nothing, beyond what a deletion checks by itself.
pub async fn object(_caller: Caller) -> Answer {
    Ok(ok(&json!({})))
}

pub async fn schedules(_caller: Caller) -> Answer {
    Ok(ok(&json!({"schedules": []})))
}

pub async fn schedules_put(_caller: Caller, Json(crons): Json<Vec<Value>>) -> Answer {
    if crons.is_empty() {
        return Ok(ok(&json!({"schedules": []})));
    }
    Err(Failure::invalid("cron triggers do not exist here; remove `triggers.crons` from the configuration"))
}

pub async fn routes_put(_caller: Caller, Json(routes): Json<Vec<Value>>) -> Answer {
    if routes.is_empty() {
        return Ok(ok(&json!([])));
    }
    Err(Failure::invalid("routes by pattern do not exist here; write `custom_domain = true` to connect a host name"))
}
