//! `…/time_travel`: bookmarks, and bringing one back.

use axum::extract::{Path, RawQuery, State};
use purser_values::Timestamp;
use serde_json::json;
use slipway_accounts::token::Permission;
use slipway_stores::d1::travel::To;

use super::super::caller::Caller;
use super::super::envelope::{Answer, Failure, ok};
use super::super::query;
use crate::cloud::Shared;

type Names = Path<(String, String)>;

pub async fn bookmark(State(cloud): State<Shared>, Path((account, id)): Names, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let at = query(text.as_deref(), "timestamp").map(|text| time(&text)).transpose()?;
    Ok(ok(&json!({"bookmark": cloud.stores.d1_bookmark(account, &id, at).await?})))
}

pub async fn restore(State(cloud): State<Shared>, Path((account, id)): Names, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Workers).await?;
    let to = match (query(text.as_deref(), "bookmark"), query(text.as_deref(), "timestamp")) {
        (Some(bookmark), _) => To::Bookmark(bookmark.into_owned()),
        (None, Some(at)) => To::Time(time(&at)?),
        (None, None) => return Err(Failure::body("name a `bookmark` or a `timestamp`")),
    };
    let restored = caller.stores(&cloud).d1_restore(account, &id, to).await?;
    let message = "the database is as it was at the bookmark; what it was before can be brought back with `previous_bookmark`";
    Ok(ok(&json!({"bookmark": restored.bookmark, "previous_bookmark": restored.previous, "message": message})))
}

/// A time as clients send it: RFC 3339, or seconds since 1970.
fn time(text: &str) -> Result<Timestamp, Failure> {
    if let Ok(secs) = text.parse::<i64>() {
        return Ok(Timestamp::from_secs(secs));
    }
    text.parse().map_err(|_| Failure::body("the `timestamp` is no time; write it as `2026-11-23T12:00:00Z`"))
}
