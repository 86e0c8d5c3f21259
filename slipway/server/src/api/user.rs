//! `GET /user`, `GET /user/tokens/verify`: what `whoami` asks.

use axum::extract::{Request, State};
use http::StatusCode;
use serde_json::json;
use slipway_accounts::token::verify::Presented;

use super::caller::{Caller, present};
use super::envelope::{Answer, Failure, ok};
use crate::cloud::Shared;

pub async fn get(caller: Caller) -> Answer {
    Ok(ok(&json!({"id": caller.account.hex.as_str(), "email": caller.account.email})))
}

/// Says of any token whether it works, and of a stopped one that it may work again.
pub async fn verify(State(cloud): State<Shared>, request: Request) -> Answer {
    match present(&cloud, request.headers()).await? {
        Presented::Valid { token, .. } => Ok(ok(&json!({"id": token.id, "status": "active"}))),
        Presented::Stopped { id } => Ok(ok(&json!({"id": id, "status": "disabled"}))),
        Presented::Expired { id } => Ok(ok(&json!({"id": id, "status": "expired"}))),
        Presented::Unknown => Err(Failure::new(StatusCode::UNAUTHORIZED, 1_000, "Invalid API Token")),
    }
}
