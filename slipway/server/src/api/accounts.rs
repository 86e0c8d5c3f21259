//! `GET /accounts`, `GET /accounts/{id}`, `GET /memberships`: a token sees its own account only.

use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::render;

pub async fn list(RawQuery(query): RawQuery, caller: Caller) -> Answer {
    Ok(page(&[account(&caller)], Page::of(query.as_deref())))
}

pub async fn get(Path(id): Path<String>, caller: Caller) -> Answer {
    if id != caller.account.hex.as_str() {
        return Err(Failure::foreign());
    }
    Ok(ok(&account(&caller)))
}

pub async fn memberships(RawQuery(query): RawQuery, caller: Caller) -> Answer {
    Ok(page(&[shown(&caller)], Page::of(query.as_deref())))
}

/// A token's one membership has the token's id.
pub async fn membership(Path(id): Path<String>, caller: Caller) -> Answer {
    if id != caller.token.id {
        return Err(Failure::new(StatusCode::NOT_FOUND, 1_003, "there is no such membership of this token"));
    }
    Ok(ok(&shown(&caller)))
}

fn shown(caller: &Caller) -> Value {
    json!({"id": caller.token.id, "status": "accepted", "account": account(caller), "roles": ["Workers"]})
}

fn account(caller: &Caller) -> Value {
    let account = &caller.account;
    json!({"id": account.hex.as_str(), "name": account.organisation, "type": "standard", "created_on": render::time(account.created_at)})
}
