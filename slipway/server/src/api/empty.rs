//! What clients ask in passing and we do not have: an honest nothing where nothing is the answer, a clear refusal where something was
//! to be changed.

use std::collections::HashMap;

use axum::extract::{Path, RawQuery};
use serde_json::{Value, json};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};

/// What the path names, the account among it.
type Names = Path<HashMap<String, String>>;

/// Nothing is told of an account of somebody else, not even nothing.
fn own(caller: &Caller, Path(names): &Names) -> Result<(), Failure> {
    let named = names.get("account").is_some_and(|account| account == caller.account.hex.as_str());
    if named { Ok(()) } else { Err(Failure::foreign()) }
}

/// A list that is always empty: tails, Durable Objects.
pub async fn list(names: Names, RawQuery(query): RawQuery, caller: Caller) -> Answer {
    own(&caller, &names)?;
    Ok(page(&[], Page::of(query.as_deref())))
}

/// What refers to a Worker: nothing, beyond what a deletion checks by itself.
pub async fn object(names: Names, caller: Caller) -> Answer {
    own(&caller, &names)?;
    Ok(ok(&json!({})))
}

pub async fn routes_put(names: Names, caller: Caller, Json(routes): Json<Vec<Value>>) -> Answer {
    own(&caller, &names)?;
    if routes.is_empty() {
        return Ok(ok(&json!([])));
    }
    Err(Failure::invalid("routes by pattern do not exist here; write `custom_domain = true` to connect a host name"))
}
