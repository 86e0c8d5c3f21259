//! `GET /accounts/{id}/members` and `…/roles`: who the account belongs to, as far as a token may know. Nothing here changes it.

use axum::extract::{Path, RawQuery};
use serde_json::{Value, json};

use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, page};

/// The one role that there is for people; ids are ours.
const OWNER: &str = "00000000000000000000000000000001";

pub async fn list(Path(account): Path<String>, RawQuery(query): RawQuery, caller: Caller) -> Answer {
    own(&caller, &account)?;
    let member = json!({
        "id": caller.account.hex.as_str(), "email": caller.account.email, "status": "accepted", "roles": [role()],
        "user": {"email": caller.account.email, "id": caller.account.hex.as_str()},
    });
    Ok(page(&[member], Page::of(query.as_deref())))
}

pub async fn roles(Path(account): Path<String>, RawQuery(query): RawQuery, caller: Caller) -> Answer {
    own(&caller, &account)?;
    Ok(page(&[role()], Page::of(query.as_deref())))
}

fn role() -> Value {
    json!({"id": OWNER, "name": "Owner", "description": "Decides about connections, payment and everything else, in a browser.", "permissions": {}})
}

fn own(caller: &Caller, account: &str) -> Result<(), Failure> {
    if account == caller.account.hex.as_str() { Ok(()) } else { Err(Failure::foreign()) }
}
