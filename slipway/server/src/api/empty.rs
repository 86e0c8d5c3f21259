//! What clients ask in passing and we do not have: an honest nothing where nothing is the answer.

use std::collections::HashMap;

use axum::extract::{Path, RawQuery};
use serde_json::json;

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

/// What refers to a Worker: nothing is told here, and a deletion checks by itself. Unattended, wrangler would take what is told for a
/// question that it answers with yes, and delete a Worker that others call.
pub async fn object(names: Names, caller: Caller) -> Answer {
    own(&caller, &names)?;
    Ok(ok(&json!({})))
}
